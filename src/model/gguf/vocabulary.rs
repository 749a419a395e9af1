//! The tokens of a file: their texts, their types, and the special tokens around a text.

use super::header::Value as Stored;
use super::metadata::Metadata;
use crate::error::{Error, Result};
use crate::limits::ANY;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// The types of tokens, by the file's codes.
pub(super) mod class {
    pub(crate) const NORMAL: u32 = 1;
    pub(crate) const UNKNOWN: u32 = 2;
    pub(crate) const CONTROL: u32 = 3;
    pub(crate) const USER_DEFINED: u32 = 4;
    pub(crate) const UNUSED: u32 = 5;
}

/// The vocabulary: each token's text and type, by id.
pub(super) struct Vocabulary {
    pub tokens: Vec<String>,
    pub classes: Vec<u32>,
    pub ids: HashMap<String, usize>,
}

impl Vocabulary {
    /// Reads the vocabulary; `text` returns the text to use for a token, from its stored text and its type.
    ///
    /// # Errors
    /// A value that is missing or of the wrong type, or a duplicate token.
    pub(super) fn read(metadata: &Metadata, text: impl Fn(String, u32) -> String) -> Result<Vocabulary> {
        let key = "tokenizer.ggml.tokens";
        let stored = metadata.required(key, metadata.texts(key))?;
        let key = "tokenizer.ggml.token_type";
        let classes = metadata.numbers(key)?.unwrap_or_else(|| vec![class::NORMAL.into(); stored.len()]);
        check_length(metadata, key, classes.len(), stored.len())?;
        let classes: Vec<u32> = classes.into_iter().map(|class| class as u32).collect();
        let mut tokens: Vec<String> = vec![];
        let mut ids: HashMap<String, usize> = HashMap::new();
        for (id, token) in stored.into_iter().enumerate() {
            // llama.cpp's names for empty tokens, with which some vocabularies are padded to a round number.
            let token = if token.is_empty() { format!("[EMPTY_{id}]") } else { token.to_string() };
            let mut token = text(token, classes[id]);
            if let Some(first) = ids.get(&token) {
                let is_unused = |id: usize| classes[id] == class::UNUSED;
                if !is_unused(id) && !is_unused(*first) {
                    let found = format!("token `{token}` under id {first} and again under id {id}");
                    let expected = "each token once, as llama.cpp requires; convert the model again";
                    return Err(Error::bad_file(metadata.path(), found, expected));
                }
                let named = if is_unused(id) { id } else { *first };
                let other = format!("[UNUSED_{named}]");
                if named == id {
                    token = other;
                } else {
                    tokens[named] = other.clone();
                    ids.insert(other, named);
                }
            }
            ids.insert(token.clone(), id);
            tokens.push(token);
        }
        Ok(Vocabulary { tokens, classes, ids })
    }

    /// Tokens that are matched in a text before it is split: unknown, control and user-defined tokens.
    pub(super) fn added(&self) -> Value {
        let is_added = |(_, class): &(usize, &u32)| {
            matches!(**class, class::UNKNOWN | class::CONTROL | class::USER_DEFINED)
        };
        let token = |(id, class): (usize, &u32)| {
            json!({
                "id": id,
                "content": self.tokens[id],
                "single_word": false,
                "lstrip": false,
                "rstrip": false,
                "normalized": false,
                "special": *class != class::USER_DEFINED,
            })
        };
        self.classes.iter().enumerate().filter(is_added).map(token).collect()
    }

    /// The ids by text.
    pub(super) fn json(&self) -> Value {
        Value::Object(self.tokens.iter().zip(0..).map(|(t, id)| (t.to_string(), Value::from(id))).collect())
    }

    /// The id of a special token: the value of a key, or the default.
    ///
    /// # Errors
    /// [`Error::BadFile`] with the key, if neither the key nor the default token exists; [`Error::UnsupportedConfig`]
    /// for an id outside the vocabulary.
    pub(super) fn special(&self, metadata: &Metadata, key: &str, default: Option<usize>) -> Result<usize> {
        let default = default.filter(|id| *id < self.tokens.len());
        let id = metadata.required(key, metadata.count(ANY, key).map(|found| found.or(default)))?;
        if id < self.tokens.len() {
            return Ok(id);
        }
        let expected = format!("an id below {} is supported", self.tokens.len());
        Err(metadata.unsupported(key, &Stored::Integer(id as i64), expected))
    }

    /// The template around a text: BOS and EOS, if the file requires them.
    ///
    /// # Errors
    /// A value that is missing or of the wrong type; the error names the key.
    pub(super) fn template(&self, metadata: &Metadata, adds_bos: bool) -> Result<Value> {
        let end = |flag: &str, key: &str, default: bool| -> Result<Option<usize>> {
            let is_added = metadata.flag(flag)?.unwrap_or(default);
            is_added.then(|| self.special(metadata, key, None)).transpose()
        };
        let bos = end("tokenizer.ggml.add_bos_token", "tokenizer.ggml.bos_token_id", adds_bos)?;
        let eos = end("tokenizer.ggml.add_eos_token", "tokenizer.ggml.eos_token_id", false)?;
        Ok(self.around(bos, eos))
    }

    /// A template with a token before and a token after every text.
    pub(super) fn around(&self, before: Option<usize>, after: Option<usize>) -> Value {
        let mut special = Map::new();
        for id in before.iter().chain(&after) {
            let token = &self.tokens[*id];
            special.insert(token.clone(), json!({ "id": token, "ids": [id], "tokens": [token] }));
        }
        let token = |id: &usize| json!({ "SpecialToken": { "id": self.tokens[*id], "type_id": 0 } });
        let text = |id: &str| json!({ "Sequence": { "id": id, "type_id": 0 } });
        let around = |texts: Vec<Value>| -> Vec<Value> {
            before.iter().map(token).chain(texts).chain(after.iter().map(token)).collect()
        };
        json!({
            "type": "TemplateProcessing",
            "single": around(vec![text("A")]),
            "pair": around(vec![text("A"), text("B")]),
            "special_tokens": special,
        })
    }
}

/// Refuses a list whose length is not the number of tokens.
///
/// # Errors
/// [`Error::BadFile`] with the name of the list.
pub(super) fn check_length(metadata: &Metadata, key: &str, n: usize, n_tokens: usize) -> Result<()> {
    if n == n_tokens {
        return Ok(());
    }
    let found = format!("`{key}` with {n} entries");
    Err(Error::bad_file(metadata.path(), found, format!("one for each of the {n_tokens} tokens")))
}
