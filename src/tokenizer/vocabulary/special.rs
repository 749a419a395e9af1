//! Special and added tokens, and the other settings of a folder's JSON files.

use crate::error::{Error, Result};
use crate::limits::Limit;
use crate::tokenizer::json_object;
use crate::tokenizer::tokenizer_files::SPECIAL_TOKEN_NAMES;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use tokenizers::AddedToken;

/// The settings of a folder's tokenizer, from its JSON files.
pub(super) struct Settings {
    /// The `model_type` of config.json.
    pub family: String,
    /// The class that tokenizer_config.json or config.json names.
    pub class: Option<String>,
    /// The fields of tokenizer_config.json, and in older folders those of special_tokens_map.json.
    fields: Map<String, Value>,
    /// Added tokens by id, from `added_tokens_decoder` or added_tokens.json.
    added: BTreeMap<u32, AddedToken>,
}

/// The tokens that are added to a vocabulary.
pub(super) struct Special {
    /// Special tokens by their purpose.
    pub named: BTreeMap<String, String>,
    /// All added tokens, in order.
    pub tokens: Vec<AddedToken>,
}

impl Settings {
    /// Reads the JSON files that a folder has.
    ///
    /// # Errors
    /// [`Error::BadFile`] for a file with a wrong format.
    pub(super) fn read(folder: &Path) -> Result<Settings> {
        let path = folder.join("tokenizer_config.json");
        let mut fields = json_object::read(&path)?;
        let config = json_object::read(&folder.join("config.json"))?;
        let text = |fields: &Map<String, Value>, key: &str| fields.get(key)?.as_str().map(String::from);
        let class = text(&fields, "tokenizer_class").or_else(|| text(&config, "tokenizer_class"));
        let family = text(&config, "model_type").unwrap_or_default();
        let mut added = BTreeMap::new();
        if let Some(listed) = fields.get("added_tokens_decoder") {
            let wrong = || {
                Error::bad_file(&path, "`added_tokens_decoder` in another form", "a map from ids to tokens")
            };
            for (id, value) in listed.as_object().ok_or_else(wrong)? {
                let id = id.parse().map_err(|_| wrong())?;
                added.insert(id, token(value, false).ok_or_else(wrong)?);
            }
        } else {
            fields.extend(json_object::read(&folder.join("special_tokens_map.json"))?);
            added = older(&folder.join("added_tokens.json"), &fields)?;
        }
        Ok(Settings { family, class, fields, added })
    }

    /// The text of the added token with an id, if there is one.
    pub(super) fn added(&self, id: u32) -> Option<&str> {
        self.added.get(&id).map(|token| &token.content[..])
    }

    /// The value of a boolean setting, if it is given.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.fields.get(name)?.as_bool()
    }

    /// The value of an integer setting, if it is given.
    ///
    /// # Errors
    /// A sentence about a value outside the range.
    pub(super) fn count(&self, limit: Limit, name: &str) -> Result<Option<usize>, String> {
        let Some(number) = self.fields.get(name).and_then(Value::as_u64) else { return Ok(None) };
        limit.size(number).map(Some).ok_or_else(|| format!("`{name}` {number}, not {limit}"))
    }

    /// The text of a special token: the folder's, else the default; none if the folder sets it to null.
    pub(super) fn text(&self, name: &str, defaults: &[(&str, &str)]) -> Option<String> {
        match self.fields.get(name) {
            Some(value) => token(value, true).map(|token| token.content),
            None => defaults.iter().find(|(known, _)| *known == name).map(|(_, text)| text.to_string()),
        }
    }

    /// The tokens to add; `defaults` are the defaults of the class, `extra` the tokens of a SentencePiece model.
    pub(super) fn special(&self, defaults: &[(&str, &str)], extra: Vec<AddedToken>) -> Special {
        let mut special = Special { named: BTreeMap::new(), tokens: self.added.values().cloned().collect() };
        let others = self.fields.keys().map(String::as_str);
        let others = others.filter(|name| name.ends_with("_token") && !SPECIAL_TOKEN_NAMES.contains(name));
        for name in SPECIAL_TOKEN_NAMES.into_iter().chain(others) {
            let Some(text) = self.text(name, defaults) else { continue };
            let own = self.fields.get(name).and_then(|value| token(value, true));
            special.named.insert(name.into(), text.clone());
            special.add(own.unwrap_or_else(|| AddedToken::from(text, true)), true);
        }
        // The folder's list replaces the model's.
        for token in self.extra().unwrap_or(extra) {
            special.add(token, false);
        }
        special
    }

    /// The list of further special tokens, under its new or its old name.
    fn extra(&self) -> Option<Vec<AddedToken>> {
        let list = |name: &str| self.fields.get(name)?.as_array();
        let list = list("extra_special_tokens").or_else(|| list("additional_special_tokens"))?;
        Some(list.iter().filter_map(|value| token(value, true)).collect())
    }
}

impl Special {
    fn add(&mut self, token: AddedToken, is_named: bool) {
        match self.tokens.iter_mut().find(|known| known.content == token.content) {
            // A token with an id keeps its properties, but a named token is special.
            Some(known) => known.special |= is_named,
            None => self.tokens.push(AddedToken { special: token.special || is_named, ..token }),
        }
    }
}

/// A token, from its text alone or from an object with its properties.
fn token(value: &Value, is_special: bool) -> Option<AddedToken> {
    let flag = |name: &str| value[name].as_bool();
    let content = value.as_str().or_else(|| value["content"].as_str())?;
    let special = flag("special").unwrap_or(is_special);
    Some(AddedToken {
        content: content.into(),
        single_word: flag("single_word").unwrap_or(false),
        lstrip: flag("lstrip").unwrap_or(false),
        rstrip: flag("rstrip").unwrap_or(false),
        normalized: flag("normalized").unwrap_or(!special),
        special,
    })
}

/// The tokens of added_tokens.json; those named in other files are special.
fn older(path: &Path, fields: &Map<String, Value>) -> Result<BTreeMap<u32, AddedToken>> {
    let listed = ["extra_special_tokens", "additional_special_tokens"];
    let listed = listed.iter().filter_map(|name| fields.get(*name)?.as_array()).flatten();
    let named = SPECIAL_TOKEN_NAMES.iter().filter_map(|name| fields.get(*name));
    let special: Vec<AddedToken> = named.chain(listed).filter_map(|value| token(value, true)).collect();
    let mut added = BTreeMap::new();
    for (content, id) in json_object::read(path)? {
        let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
        let id =
            id.ok_or_else(|| Error::bad_file(path, format!("`{content}` without an id"), "an id per token"))?;
        let known = special.iter().find(|token| token.content == content).cloned();
        let is_special = known.is_some();
        added.insert(id, AddedToken::from(content, is_special));
    }
    Ok(added)
}
