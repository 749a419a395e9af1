//! A config.json, read field by field; what changes numbers and is not read is refused by name.

use super::harmless;
use crate::artefact;
use crate::error::{Error, Result};
use crate::model::spec::Activation;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A config.json, where it came from, and which of its fields were read.
///
/// A field that is `null` counts as left out, as transformers takes it.
pub struct Config {
    path: PathBuf,
    /// Before a field's name in errors, where the config is an object inside another.
    within: String,
    fields: Map<String, Value>,
    read: RefCell<BTreeSet<String>>,
}

impl Config {
    /// Parses a config.json.
    ///
    /// # Errors
    /// [`Error::BadFile`] if it is not a JSON object.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Config> {
        let fields = serde_json::from_str(artefact::text_of(path, bytes)?)
            .map_err(|e| Error::bad_file(path, e, "a Hugging Face config.json"))?;
        Ok(Config::of(path, fields))
    }

    /// A config from its fields; `path` names it in errors.
    pub fn of(path: &Path, fields: Map<String, Value>) -> Config {
        Config { path: path.to_path_buf(), within: String::new(), fields, read: RefCell::default() }
    }

    /// The file it came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A field that is there, noted as read.
    fn field(&self, name: &str) -> Option<&Value> {
        self.read.borrow_mut().insert(name.to_string());
        self.fields.get(name).filter(|value| !value.is_null())
    }

    fn typed<T>(&self, name: &str, as_type: fn(&Value) -> Option<T>, expected: &str) -> Result<Option<T>> {
        let Some(value) = self.field(name) else { return Ok(None) };
        as_type(value).map(Some).ok_or_else(|| self.unsupported(name, value, format!("{expected} is")))
    }

    fn required<T>(&self, name: &str, found: Option<T>) -> Result<T> {
        let missing = || {
            let expected = "a complete config of its family";
            Error::bad_file(&self.path, format!("no `{}{name}`", self.within), expected)
        };
        found.ok_or_else(missing)
    }

    /// A whole number, at least 1.
    pub fn count(&self, name: &str) -> Result<usize> {
        let found = self.maybe_count(name)?;
        self.required(name, found)
    }

    /// A whole number, at least 1, if the field is there.
    pub fn maybe_count(&self, name: &str) -> Result<Option<usize>> {
        let positive = |value: &Value| value.as_u64().filter(|n| *n > 0).map(|n| n as usize);
        self.typed(name, positive, "a whole number of at least 1")
    }

    /// A whole number, at least 1, under the first of these names that is there.
    pub fn count_of(&self, names: &[&str]) -> Result<usize> {
        let found = names.iter().find_map(|name| self.maybe_count(name).transpose()).transpose()?;
        self.required(names[0], found)
    }

    /// A number.
    pub fn number(&self, name: &str) -> Result<f64> {
        let found = self.maybe_number(name)?;
        self.required(name, found)
    }

    /// A number, if the field is there.
    pub fn maybe_number(&self, name: &str) -> Result<Option<f64>> {
        self.typed(name, Value::as_f64, "a number")
    }

    /// A number, or what the family takes where the field is left out.
    pub fn number_or(&self, name: &str, default: f64) -> Result<f64> {
        Ok(self.maybe_number(name)?.unwrap_or(default))
    }

    /// True or false, or what the family takes where the field is left out.
    pub fn flag_or(&self, name: &str, default: bool) -> Result<bool> {
        Ok(self.typed(name, Value::as_bool, "true or false")?.unwrap_or(default))
    }

    /// A word, if the field is there.
    pub fn maybe_text(&self, name: &str) -> Result<Option<String>> {
        self.typed(name, |value| value.as_str().map(str::to_string), "a word")
    }

    /// A list of whole numbers, if the field is there.
    pub fn maybe_counts(&self, name: &str) -> Result<Option<Vec<usize>>> {
        let counts = |value: &Value| value.as_array()?.iter().map(|n| Some(n.as_u64()? as usize)).collect();
        self.typed(name, counts, "a list of whole numbers")
    }

    /// A list of numbers, if the field is there.
    pub fn maybe_numbers(&self, name: &str) -> Result<Option<Vec<f64>>> {
        let numbers = |value: &Value| value.as_array()?.iter().map(Value::as_f64).collect();
        self.typed(name, numbers, "a list of numbers")
    }

    /// A list of words, if the field is there.
    pub fn maybe_texts(&self, name: &str) -> Result<Option<Vec<String>>> {
        let texts = |value: &Value| value.as_array()?.iter().map(|v| Some(v.as_str()?.to_string())).collect();
        self.typed(name, texts, "a list of words")
    }

    /// The activation that a field names, or the family's own.
    pub fn activation(&self, name: &str, default: Activation) -> Result<Activation> {
        let Some(found) = self.maybe_text(name)? else { return Ok(default) };
        let known = || self.unsupported(name, &found, format!("one of {} is", Activation::KNOWN));
        Activation::from_hugging_face(&found).ok_or_else(known)
    }

    /// An object within the config, if it is there; its fields are refused like any others.
    pub fn object(&self, name: &str) -> Result<Option<Config>> {
        let fields = self.typed(name, |value| value.as_object().cloned(), "an object")?;
        let within = format!("{}{name}.", self.within);
        Ok(fields.map(|fields| Config { within, ..Config::of(&self.path, fields) }))
    }

    /// Refuses a field whose value is not the one that is honoured; left out is as good.
    pub fn only(&self, name: &str, honoured: impl Into<Value>) -> Result<()> {
        let honoured = honoured.into();
        let same = |value: &Value| match (value.as_f64(), honoured.as_f64()) {
            (Some(a), Some(b)) => a == b,
            _ => *value == honoured,
        };
        match self.field(name) {
            Some(value) if !same(value) => Err(self.unsupported(name, value, format!("only {honoured} is"))),
            _ => Ok(()),
        }
    }

    /// Whether a field stands in the file, be it `null`.
    pub fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// Notes fields that transformers does not read for this family either.
    pub fn unread(&self, names: &[&str]) {
        self.read.borrow_mut().extend(names.iter().map(|name| name.to_string()));
    }

    /// Refuses a value that the forward pass does not honour.
    pub fn unsupported(&self, field: &str, value: impl ToString, expected: impl ToString) -> Error {
        Error::UnsupportedConfig {
            path: self.path.clone(),
            field: format!("{}{field}", self.within),
            value: value.to_string(),
            expected: expected.to_string(),
        }
    }

    /// Refuses every field that was not read and is not known to change no number.
    ///
    /// # Errors
    /// [`Error::UnsupportedConfig`] naming the first such field.
    pub fn finish(&self) -> Result<()> {
        let read = self.read.borrow();
        let unread = |(name, value): &(&String, &Value)| {
            !read.contains(*name) && !value.is_null() && !harmless::is_harmless(name)
        };
        match self.fields.iter().find(unread) {
            Some((name, value)) => {
                let expected = "nothing is known of this field, so it may change numbers; \
                                take it out of config.json if you know that it does not";
                Err(self.unsupported(name, value, expected))
            }
            None => Ok(()),
        }
    }
}
