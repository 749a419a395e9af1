//! Texts to tokens, with each token's place in the text.

use crate::artefact;
use crate::error::{Error, Result};
use serde::Deserialize;
use std::path::Path;
use tokenizers::{NormalizedString, Normalizer};

/// A Hugging Face tokenizer (`tokenizer.json`).
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    unknown: Option<u32>,
    /// SHA-256 of `tokenizer.json`.
    pub sha256: String,
}

/// A tokenised text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The token ids, with whatever the tokenizer puts before and after a text.
    pub ids: Vec<u32>,
    /// Each token's bytes in the text; empty ranges for tokens that stand for no text.
    pub spans: Vec<(usize, usize)>,
}

/// The part of a tokenizer.json that says which token stands for what has none.
#[derive(Deserialize)]
struct Described {
    model: DescribedModel,
}

#[derive(Deserialize)]
struct DescribedModel {
    unk_token: Option<String>,
    unk_id: Option<u32>,
}

impl Encoded {
    /// How many tokens at the beginning stand for no text, such as BOS.
    pub fn n_special(&self) -> usize {
        self.spans.iter().take_while(|(start, end)| start == end).count()
    }
}

impl Tokenizer {
    /// Reads a tokenizer.json; `path` names it in errors.
    ///
    /// # Errors
    /// [`Error::BadFile`] if it is not one.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Tokenizer> {
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(|e| {
            Error::bad_file(path, e, "a tokenizer.json of the Hugging Face tokenizers library")
        })?;
        // Some files ask for padding or cutting; a probe needs each text whole and nothing else.
        inner.with_padding(None);
        inner
            .with_truncation(None)
            .map_err(|e| Error::bad_file(path, e, "a tokenizer without truncation"))?;
        let described: Option<Described> = serde_json::from_slice(bytes).ok();
        let unknown = described
            .and_then(|Described { model }| model.unk_id.or_else(|| inner.token_to_id(&model.unk_token?)));
        Ok(Tokenizer { inner, unknown, sha256: artefact::hash(bytes) })
    }

    /// The tokens of a text, with the special tokens that the tokenizer adds (such as BOS).
    ///
    /// # Errors
    /// [`Error::Invalid`] if the tokenizer refuses the text.
    pub fn encode(&self, text: &str) -> Result<Encoded> {
        let encoding = self
            .inner
            .encode(text, true)
            .map_err(|e| Error::invalid(format!("text `{text}`"), e, "a text this tokenizer can encode"))?;
        Ok(Encoded { ids: encoding.get_ids().to_vec(), spans: encoding.get_offsets().to_vec() })
    }

    /// The text of some tokens, special tokens left out.
    ///
    /// # Errors
    /// [`Error::Invalid`] if an id is unknown.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, true).map_err(|e| Error::invalid("token ids", e, "ids of this tokenizer"))
    }

    /// The text of some tokens, special tokens as they are written: a name that holds `[UNK]` shows it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if an id is unknown.
    pub fn spell(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, false).map_err(|e| Error::invalid("token ids", e, "ids of this tokenizer"))
    }

    /// How many characters of a text are left to be made tokens: cleaned, composed or stripped of accents
    /// as the tokenizer does it, and without spaces.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the tokenizer refuses the text.
    pub fn n_characters(&self, text: &str) -> Result<usize> {
        let mut normalized = NormalizedString::from(text);
        if let Some(normalizer) = self.inner.get_normalizer() {
            normalizer.normalize(&mut normalized).map_err(|e| {
                Error::invalid(format!("text `{text}`"), e, "a text this tokenizer can normalize")
            })?;
        }
        Ok(normalized.get().chars().filter(|c| !c.is_whitespace()).count())
    }

    /// The token that stands for what has no token, such as `[UNK]`, if there is one.
    pub fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    /// The id of a token by its exact spelling.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The largest id that a token has.
    pub fn largest_id(&self) -> Option<u32> {
        self.inner.get_vocab(true).into_values().max()
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
