//! A model of tokens with all that stands around it, made a tokenizer.

use super::class::Class;
use super::special::{Settings, Special};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tokenizers::{AddedToken, ModelWrapper, NormalizerWrapper, Tokenizer};

/// A model of tokens, and the steps before and after it.
pub(super) struct Recipe {
    pub model: ModelWrapper,
    pub normalizer: Option<NormalizerWrapper>,
    pub pre_tokenizer: Option<Value>,
    pub decoder: Value,
    pub around: Around,
    /// The special tokens where the folder names no others.
    pub usual: Vec<(&'static str, String)>,
    /// Tokens that the model itself says are to be added.
    pub extra: Vec<AddedToken>,
}

/// The special tokens around a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Around {
    /// Those that `add_bos_token` and `add_eos_token` ask for.
    AsAsked,
    /// The same, or else nothing, with spaces left in the tokens' places.
    Untrimmed,
    /// RoBERTa's two ends.
    Roberta,
    /// BERT's two ends.
    Bert,
    /// EOS before the text.
    EosBefore,
    /// EOS after the text.
    EosAfter,
    /// BOS before and EOS after it.
    Both,
}

/// A tokenizer and the special tokens in it.
pub(super) struct Built {
    pub tokenizer: Tokenizer,
    pub named: BTreeMap<String, String>,
}

/// A refusal of the tokenizers library, as a sentence.
pub(super) type Refusal = Box<dyn std::error::Error + Send + Sync>;

/// A part of a tokenizer as its JSON describes it.
pub(super) fn part<T: DeserializeOwned>(json: Value) -> Result<T, Refusal> {
    Ok(serde_json::from_value(json)?)
}

/// The special tokens of a class, as texts.
pub(super) fn usual(class: Class) -> Vec<(&'static str, String)> {
    class.tokens().iter().map(|(name, text)| (*name, text.to_string())).collect()
}

impl Recipe {
    /// The tokenizer with its added tokens.
    ///
    /// # Errors
    /// The refusals of the tokenizers library.
    pub fn build(self, settings: &Settings) -> Result<Built, Refusal> {
        let mut tokenizer = Tokenizer::new(self.model);
        tokenizer.with_normalizer(self.normalizer)?;
        if let Some(pre_tokenizer) = self.pre_tokenizer {
            tokenizer.with_pre_tokenizer(Some(part::<tokenizers::PreTokenizerWrapper>(pre_tokenizer)?));
        }
        tokenizer.with_decoder(Some(part::<tokenizers::DecoderWrapper>(self.decoder)?));
        let usual: Vec<(&str, &str)> = self.usual.iter().map(|(name, text)| (*name, &text[..])).collect();
        let Special { named, tokens } = settings.special(&usual, self.extra);
        tokenizer.add_tokens(tokens)?;
        let built = Built { tokenizer, named };
        let around = built.around(self.around, settings)?;
        let Built { mut tokenizer, named } = built;
        tokenizer.with_post_processor(Some(part::<tokenizers::PostProcessorWrapper>(around)?));
        Ok(Built { tokenizer, named })
    }
}

impl Built {
    /// The post-processor.
    fn around(&self, around: Around, settings: &Settings) -> Result<Value, Refusal> {
        let asked = ["add_bos_token", "add_eos_token"].map(|name| settings.flag(name));
        let is_asked = |at: usize| asked[at] == Some(true);
        match around {
            Around::Untrimmed if asked == [None, None] => Ok(json!({
                "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true
            })),
            Around::AsAsked | Around::Untrimmed => {
                // Where there is no such token, none can be asked for.
                let end = |at: usize, name: &'static str| {
                    (is_asked(at) && self.named.contains_key(name)).then_some(name)
                };
                self.template(end(0, "bos_token"), end(1, "eos_token"))
            }
            Around::Roberta => {
                let prefix = settings.flag("add_prefix_space").unwrap_or(false);
                let trims = settings.flag("trim_offsets").unwrap_or(true);
                let (sep, cls) = (self.token("sep_token")?, self.token("cls_token")?);
                Ok(json!({
                    "type": "RobertaProcessing", "sep": [sep.0, sep.1], "cls": [cls.0, cls.1],
                    "trim_offsets": trims, "add_prefix_space": prefix,
                }))
            }
            Around::Bert => self.template(Some("cls_token"), Some("sep_token")),
            Around::EosBefore => self.template(Some("eos_token"), None),
            Around::EosAfter => self.template(None, Some("eos_token")),
            Around::Both => self.template(Some("bos_token"), Some("eos_token")),
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
