//! A config.json, read field by field; a field that may change numbers and is not read is refused by name.

use super::{harmless, reference};
use crate::artefact;
use crate::error::{Error, Result};
use crate::limits::{ANY, CONFIG_BYTES, LAYERS, Limit};
use crate::model::spec::ActivationFn;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// A config.json, its path, and the fields that were read so far.
///
/// A field that is `null` counts as missing, as in transformers.
pub struct Config {
    path: PathBuf,
    /// The prefix of field names in errors, for an object inside another config.
    within: String,
    fields: Map<String, Value>,
    /// True if the checkpoint has its own code, which may read fields that transformers ignores.
    has_own_code: bool,
    read: RefCell<BTreeSet<String>>,
}

impl Config {
    /// Parses a config.json.
    ///
    /// # Errors
    /// [`Error::BadFile`] if it is not a JSON object.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Config> {
        let fields = artefact::json_of(path, bytes, CONFIG_BYTES, "a Hugging Face config.json")?;
        Ok(Config::of(path, fields))
    }

    /// A config from its fields; `path` names it in errors.
    pub fn of(path: &Path, fields: Map<String, Value>) -> Config {
        let is_model = |map: &Map<String, Value>| map.keys().any(|class| class.starts_with("AutoModel"));
        let has_own_code = fields.get("auto_map").and_then(Value::as_object).is_some_and(is_model);
        let (path, within) = (path.to_path_buf(), String::new());
        Config { path, within, fields, has_own_code, read: RefCell::default() }
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A field by its own name or the family's other name, marked as read.
    fn field(&self, name: &str) -> Option<&Value> {
        let get = |name: &str| {
            self.read.borrow_mut().insert(name.to_string());
            self.fields.get(name).filter(|value| !value.is_null())
        };
        let own = get(name);
        reference::alias(self.model_type(), name).and_then(get).or(own)
    }

    /// The family's name, empty for an object inside a config.
    fn model_type(&self) -> &str {
        let name = self.fields.get("model_type").and_then(Value::as_str);
        name.filter(|_| self.within.is_empty()).unwrap_or_default()
    }

    fn typed<T>(
        &self,
        name: &str,
        as_type: impl Fn(&Value) -> Option<T>,
        expected: impl fmt::Display,
    ) -> Result<Option<T>> {
        let Some(value) = self.field(name) else { return Ok(None) };
        as_type(value)
            .map(Some)
            .ok_or_else(|| self.unsupported(name, value, format!("{expected} is supported")))
    }

    fn required<T>(&self, name: &str, found: Option<T>) -> Result<T> {
        let missing = || {
            let expected = "a complete config of its family";
            Error::bad_file(&self.path, format!("no `{}{name}`", self.within), expected)
        };
        found.ok_or_else(missing)
    }

    /// A whole number in a range.
    pub fn count(&self, limit: Limit, name: &str) -> Result<usize> {
        let found = self.maybe_count(limit, name)?;
        self.required(name, found)
    }

    /// A whole number in a range, if the field exists.
    pub fn maybe_count(&self, limit: Limit, name: &str) -> Result<Option<usize>> {
        self.typed(name, |value| limit.size(value.as_u64()?), limit)
    }

    /// A whole number in a range, by the first of these names that exists.
    pub fn count_of(&self, limit: Limit, names: &[&str]) -> Result<usize> {
        let found = names.iter().find_map(|name| self.maybe_count(limit, name).transpose()).transpose()?;
        self.required(names[0], found)
    }

    /// A number.
    pub fn number(&self, name: &str) -> Result<f64> {
        let found = self.maybe_number(name)?;
        self.required(name, found)
    }

    /// A number, if the field exists.
    pub fn maybe_number(&self, name: &str) -> Result<Option<f64>> {
        self.typed(name, Value::as_f64, "a number")
    }

    /// A number, or the family's default.
    pub fn number_or(&self, name: &str, default: f64) -> Result<f64> {
        Ok(self.maybe_number(name)?.unwrap_or(default))
    }

    /// True or false, or the family's default.
    pub fn flag_or(&self, name: &str, default: bool) -> Result<bool> {
        Ok(self.typed(name, Value::as_bool, "true or false")?.unwrap_or(default))
    }

    /// A text, if the field exists.
    pub fn maybe_text(&self, name: &str) -> Result<Option<String>> {
        self.typed(name, |value| value.as_str().map(str::to_string), "a word")
    }

    /// A list of whole numbers, if the field exists.
    pub fn maybe_counts(&self, name: &str) -> Result<Option<Vec<usize>>> {
        let counts = |value: &Value| value.as_array()?.iter().map(|n| ANY.size(n.as_u64()?)).collect();
        self.typed(name, counts, "a list of whole numbers")
    }

    /// A list of numbers, if the field exists.
    pub fn maybe_numbers(&self, name: &str) -> Result<Option<Vec<f64>>> {
        let numbers = |value: &Value| value.as_array()?.iter().map(Value::as_f64).collect();
        self.typed(name, numbers, "a list of numbers")
    }

    /// A list of texts, if the field exists.
    pub fn maybe_texts(&self, name: &str) -> Result<Option<Vec<String>>> {
        let texts = |value: &Value| value.as_array()?.iter().map(|v| Some(v.as_str()?.to_string())).collect();
        self.typed(name, texts, "a list of words")
    }

    /// Lists of texts, each repeated by its count and concatenated (GPT-Neo), if the field exists.
    pub fn runs_of_words(&self, name: &str) -> Result<Option<Vec<String>>> {
        let runs = self.typed(
            name,
            |value| value.as_array().cloned(),
            "a list of lists of words, each with a whole number",
        )?;
        let Some(runs) = runs else { return Ok(None) };
        let mut words: Option<Vec<&str>> = Some(Vec::new());
        for run in &runs {
            words = words.and_then(|words| with_run(words, run));
        }
        let refused = || {
            self.unsupported(
                name,
                "a list of another form",
                "lists of words, each with a whole number, are supported",
            )
        };
        let words = words.ok_or_else(refused)?;
        Ok(Some(words.into_iter().map(str::to_string).collect()))
    }

    /// The activation function that a field names, or the family's default.
    pub fn activation(&self, name: &str, default: ActivationFn) -> Result<ActivationFn> {
        let Some(found) = self.maybe_text(name)? else { return Ok(default) };
        let known = || self.unsupported(name, &found, format!("one of {} is supported", ActivationFn::KNOWN));
        ActivationFn::from_hugging_face(&found).ok_or_else(known)
    }

    /// An object inside the config, if it exists; its unread fields are refused by its own [`Config::finish`].
    pub fn object(&self, name: &str) -> Result<Option<Config>> {
        let fields = self.typed(name, |value| value.as_object().cloned(), "an object")?;
        let within = format!("{}{name}.", self.within);
        let has_own_code = self.has_own_code;
        Ok(fields.map(|fields| Config { within, has_own_code, ..Config::of(&self.path, fields) }))
    }

    /// Refuses a field with another value than the supported one; a missing field is accepted.
    pub fn only(&self, name: &str, supported: impl Into<Value>) -> Result<()> {
        let supported = supported.into();
        let same = |value: &Value| match (value.as_f64(), supported.as_f64()) {
            (Some(a), Some(b)) => a == b,
            _ => *value == supported,
        };
        match self.field(name) {
            Some(value) if !same(value) => {
                Err(self.unsupported(name, value, format!("only {supported} is supported")))
            }
            _ => Ok(()),
        }
    }

    /// True if it has no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// True if a field exists and is `null`.
    pub fn is_null(&self, name: &str) -> bool {
        self.read.borrow_mut().insert(name.to_string());
        self.fields.get(name).is_some_and(Value::is_null)
    }

    /// True if a field exists, even as `null`.
    pub fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// Marks fields as read, because transformers does not read them for this family either.
    pub fn unread(&self, names: &[&str]) {
        self.read.borrow_mut().extend(names.iter().map(|name| name.to_string()));
    }

    /// The error for a value that the forward pass does not support.
    pub fn unsupported(&self, field: &str, value: impl ToString, expected: impl ToString) -> Error {
        Error::UnsupportedConfig {
            path: self.path.clone(),
            field: format!("{}{field}", self.within),
            value: value.to_string(),
            expected: expected.to_string(),
        }
    }

    /// Refuses every field that was not read and may change numbers.
    ///
    /// These are the fields that transformers reads for this family, and probable typos of missing fields. If the
    /// checkpoint has its own code, or transformers lacks the family, only fields that are known to be harmless are
    /// accepted.
    ///
    /// # Errors
    /// [`Error::UnsupportedConfig`] with the first such field.
    pub fn finish(&self) -> Result<()> {
        let read = self.read.borrow();
        for (name, value) in &self.fields {
            if read.contains(name) || value.is_null() {
                continue;
            }
            if let Some(reason) = self.refusal(name, value) {
                return Err(self.unsupported(name, value, reason));
            }
        }
        Ok(())
    }

    /// The reason to refuse an unread field, if there is one.
    fn refusal(&self, name: &str, value: &Value) -> Option<String> {
        let is_rotation = self.within.starts_with("rope_");
        let known =
            if is_rotation { reference::of_rotation() } else { reference::of_family(self.model_type()) };
        let unknown = "the field is unknown, so it may change numbers; \
                       remove it from config.json if you know that it does not";
        let Some(known) = known.filter(|_| !self.has_own_code) else {
            return (!harmless::is_harmless(name)).then(|| unknown.into());
        };
        if is_rotation {
            // Each kind of scaling has read its numbers and lists; an object has the settings of one kind of layers.
            let is_of_layers =
                value.is_object().then(|| "one rotation for all layers is supported in this family".into());
            return is_of_layers.or_else(|| self.typo(name, known));
        }
        if known.contains(name) {
            return Some("for this family, transformers reads the field, and mappa does not".into());
        }
        self.typo(name, known)
    }

    /// The error for an unread field whose name may be a typo of another field.
    fn typo(&self, name: &str, known: &BTreeSet<String>) -> Option<String> {
        let is_missing =
            |meant: &&String| !self.fields.contains_key(*meant) && reference::is_typo(name, meant);
        let meant = known.iter().find(is_missing).filter(|_| !harmless::is_harmless(name))?;
        Some(format!("no model reads this field: rename it to `{meant}`, which is missing, or remove it"))
    }
}

/// Appends a list of words to `words` several times; `run` contains the list and the number of times. `None` if `run`
/// has another form, or for more words than a model may have layers.
fn with_run<'a>(mut words: Vec<&'a str>, run: &'a Value) -> Option<Vec<&'a str>> {
    let [own, times] = run.as_array()?.as_slice() else { return None };
    let own: Vec<&str> = own.as_array()?.iter().map(Value::as_str).collect::<Option<_>>()?;
    let n = (words.len() as u64).saturating_add((own.len() as u64).saturating_mul(times.as_u64()?));
    if n > LAYERS.most {
        return None;
    }
    words.extend(own.iter().copied().cycle().take(n as usize - words.len()));
    Some(words)
}
