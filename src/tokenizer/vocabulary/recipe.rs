//! A tokenizer from its parts: model, normaliser, pre-tokenizer, decoder, special tokens.

use super::class::Class;
use super::special::{Settings, Special};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tokenizers::{AddedToken, ModelWrapper, NormalizerWrapper, Tokenizer};

/// The parts of a tokenizer.
pub(super) struct Recipe {
    pub model: ModelWrapper,
    pub normalizer: Option<NormalizerWrapper>,
    pub pre_tokenizer: Option<Value>,
    pub decoder: Value,
    pub post_processor: PostProcessor,
    /// The default special tokens, by name.
    pub defaults: Vec<(&'static str, String)>,
    /// Control and user-defined tokens of a SentencePiece model, and further tokens of its class.
    pub extra: Vec<AddedToken>,
}

/// The special tokens around a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PostProcessor {
    /// As the settings `add_bos_token` and `add_eos_token` require.
    AsAsked,
    /// As `AsAsked`; but if both settings are missing, no token is added, and offsets include a leading space.
    Untrimmed,
    /// RoBERTa's tokens before and after a text.
    Roberta,
    /// BERT's tokens before and after a text.
    Bert,
    /// EOS before the text.
    EosBefore,
    /// EOS after the text.
    EosAfter,
    /// BOS before and EOS after the text.
    Both,
}

/// A tokenizer and the special tokens in it.
pub(super) struct Built {
    pub tokenizer: Tokenizer,
    pub named: BTreeMap<String, String>,
}

/// An error of the tokenizers library, or a sentence.
pub(super) type Refusal = Box<dyn std::error::Error + Send + Sync>;

/// Parses a part of a tokenizer from JSON.
pub(super) fn part<T: DeserializeOwned>(json: Value) -> Result<T, Refusal> {
    Ok(serde_json::from_value(json)?)
}

/// The default special tokens of a class.
pub(super) fn default_tokens(class: Class) -> Vec<(&'static str, String)> {
    class.tokens().iter().map(|(name, text)| (*name, text.to_string())).collect()
}

impl Recipe {
    /// Builds the tokenizer, with its added tokens.
    ///
    /// # Errors
    /// Errors of the tokenizers library.
    pub(super) fn build(self, settings: &Settings) -> Result<Built, Refusal> {
        let mut tokenizer = Tokenizer::new(self.model);
        tokenizer.with_normalizer(self.normalizer)?;
        if let Some(pre_tokenizer) = self.pre_tokenizer {
            tokenizer.with_pre_tokenizer(Some(part::<tokenizers::PreTokenizerWrapper>(pre_tokenizer)?));
        }
        tokenizer.with_decoder(Some(part::<tokenizers::DecoderWrapper>(self.decoder)?));
        let defaults: Vec<(&str, &str)> =
            self.defaults.iter().map(|(name, text)| (*name, &text[..])).collect();
        let Special { named, tokens } = settings.special(&defaults, self.extra);
        tokenizer.add_tokens(tokens)?;
        let built = Built { tokenizer, named };
        let post_processor = built.post_processor(self.post_processor, settings)?;
        let Built { mut tokenizer, named } = built;
        tokenizer.with_post_processor(Some(part::<tokenizers::PostProcessorWrapper>(post_processor)?));
        Ok(Built { tokenizer, named })
    }
}

impl Built {
    /// The post-processor.
    fn post_processor(&self, kind: PostProcessor, settings: &Settings) -> Result<Value, Refusal> {
        let asked = ["add_bos_token", "add_eos_token"].map(|name| settings.flag(name));
        let is_asked = |at: usize| asked[at] == Some(true);
        match kind {
            PostProcessor::Untrimmed if asked == [None, None] => Ok(json!({
                "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true
            })),
            PostProcessor::AsAsked | PostProcessor::Untrimmed => {
                // A token that does not exist cannot be added.
                let end = |at: usize, name: &'static str| {
                    (is_asked(at) && self.named.contains_key(name)).then_some(name)
                };
                self.template(end(0, "bos_token"), end(1, "eos_token"))
            }
            PostProcessor::Roberta => {
                let prefix = settings.flag("add_prefix_space").unwrap_or(false);
                let trims = settings.flag("trim_offsets").unwrap_or(true);
                let (sep, cls) = (self.token("sep_token")?, self.token("cls_token")?);
                Ok(json!({
                    "type": "RobertaProcessing", "sep": [sep.0, sep.1], "cls": [cls.0, cls.1],
                    "trim_offsets": trims, "add_prefix_space": prefix,
                }))
            }
            PostProcessor::Bert => self.template(Some("cls_token"), Some("sep_token")),
            PostProcessor::EosBefore => self.template(Some("eos_token"), None),
            PostProcessor::EosAfter => self.template(None, Some("eos_token")),
            PostProcessor::Both => self.template(Some("bos_token"), Some("eos_token")),
        }
    }

    /// A special token and its id.
    fn token(&self, name: &str) -> Result<(&str, u32), Refusal> {
        let text = self.named.get(name).ok_or_else(|| format!("no `{name}`"))?;
        let id = self.tokenizer.token_to_id(text).ok_or_else(|| format!("no token `{text}`"))?;
        Ok((text, id))
    }

    fn template(&self, before: Option<&str>, after: Option<&str>) -> Result<Value, Refusal> {
        let mut special = Map::new();
        let mut end = |name: Option<&str>| -> Result<Option<Value>, Refusal> {
            let Some(name) = name else { return Ok(None) };
            let (text, id) = self.token(name)?;
            special.insert(text.into(), json!({ "id": text, "ids": [id], "tokens": [text] }));
            Ok(Some(json!({ "SpecialToken": { "id": text, "type_id": 0 } })))
        };
        let (before, after) = (end(before)?, end(after)?);
        let text = |id: &str| json!({ "Sequence": { "id": id, "type_id": 0 } });
        let around = |texts: Vec<Value>| -> Vec<Value> {
            before.iter().cloned().chain(texts).chain(after.iter().cloned()).collect()
        };
        Ok(json!({
            "type": "TemplateProcessing",
            "single": around(vec![text("A")]),
            "pair": around(vec![text("A"), text("B")]),
            "special_tokens": special,
        }))
    }
}
