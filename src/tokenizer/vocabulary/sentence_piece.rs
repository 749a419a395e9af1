//! A SentencePiece model, unigram or BPE, as each class of transformers reads it.

use super::super::pieces::PieceLengths;
use super::class::Class;
use super::proto::{Piece, Proto};
use super::recipe::{PostProcessor, Recipe, Refusal, default_tokens, part};
use super::special::Settings;
use crate::limits::SENTINELS;
use crate::tokenizer::growth;
use serde_json::{Value, json};
use std::collections::HashMap;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::Sequence;
use tokenizers::normalizers::precompiled::Precompiled;
use tokenizers::{AddedToken, ModelWrapper, NormalizerWrapper};

/// The space of SentencePiece.
const SPACE: &str = "\u{2581}";

/// A model and the class that reads it.
struct SentencePieceModel<'a> {
    proto: Proto,
    class: Class,
    settings: &'a Settings,
    /// True for `tokenizer.model`, the file name that transformers expects for every class.
    is_plain: bool,
    /// The number of T5's sentinel tokens.
    n_sentinels: usize,
}

/// The recipe of a class, from the bytes of its file.
///
/// # Errors
/// The error, as a sentence.
pub(super) fn recipe(class: Class, settings: &Settings, name: &str, bytes: &[u8]) -> Result<Recipe, Refusal> {
    let proto =
        Proto::parse(bytes).map_err(|problem| format!("{name}: not a SentencePiece model: {problem}"))?;
    if !(1..=2).contains(&proto.model_type) {
        return Err(format!("{name}: a model of words or characters, not unigram or BPE").into());
    }
    let n_sentinels = settings.count(SENTINELS, "extra_ids")?.unwrap_or(100);
    let is_plain = name == "tokenizer.model";
    let model = SentencePieceModel { proto, class, settings, is_plain, n_sentinels };
    Ok(Recipe {
        model: model.model()?,
        normalizer: model.normalizer()?,
        pre_tokenizer: model.pre_tokenizer(),
        decoder: model.decoder(),
        post_processor: match class {
            Class::Xglm => PostProcessor::EosBefore,
            Class::T5 => PostProcessor::EosAfter,
            Class::XlmRoberta => PostProcessor::Both,
            _ => PostProcessor::AsAsked,
        },
        defaults: model.defaults(),
        extra: model.extra(),
    })
}

impl SentencePieceModel<'_> {
    fn model(&self) -> Result<ModelWrapper, Refusal> {
        let unknown = self.settings.text("unk_token", Class::Gemma.tokens());
        match self.class {
            Class::Llama => self.pairs(None, true),
            Class::Gemma => self.pairs(unknown, true),
            Class::Backend if self.proto.model_type == 2 => {
                self.pairs(Some(self.proto.names[0].clone()), self.proto.byte_fallback)
            }
            Class::Backend => {
                let unknown = usize::try_from(self.proto.ids[0]).map_err(|_| "no unknown piece")?;
                Ok(Unigram::from(self.scored(), Some(unknown), self.proto.byte_fallback)?.into())
            }
            Class::T5 => Ok(Unigram::from(self.scored(), Some(2), false)?.into()),
            _ => Ok(Unigram::from(self.scored(), Some(3), false)?.into()),
        }
    }

    /// The pieces with their scores, in the order that the class expects.
    fn scored(&self) -> Vec<(String, f64)> {
        let score = |piece: &Piece| (piece.text.clone(), f64::from(piece.score));
        let after = |n: usize| self.proto.pieces.iter().skip(n).map(score);
        let named = |name: &str| (self.settings.text(name, self.class.tokens()).unwrap_or_default(), 0.0);
        let first = ["bos_token", "pad_token", "eos_token", "unk_token"].map(named).into_iter();
        match self.class {
            Class::T5 => {
                after(0).chain(self.sentinels().into_iter().rev().map(|token| (token, 0.0))).collect()
            }
            Class::XlmRoberta => first.chain(after(3)).chain([named("mask_token")]).collect(),
            // XGLM's released weights use the token ids of fairseq.
            Class::Xglm if !self.is_plain => {
                first.chain(after(3)).chain(made_up().map(|token| (token, 0.0))).collect()
            }
            _ => after(0).collect(),
        }
    }

    /// A BPE model; its merges are all pairs of pieces whose concatenation is a piece, in ascending order of that
    /// piece's id.
    fn pairs(&self, unknown: Option<String>, byte_fallback: bool) -> Result<ModelWrapper, Refusal> {
        let pieces = &self.proto.pieces;
        let ids: HashMap<&str, u32> = pieces.iter().map(|piece| &piece.text[..]).zip(0..).collect();
        let lengths = PieceLengths::of(pieces.iter().map(|piece| &piece.text[..]))?;
        let is_piece = |text: &str| ids.contains_key(text);
        let splits = |piece: &'_ Piece| -> Vec<(String, String)> {
            let pairs = lengths.splits(&piece.text).filter(|(left, right)| is_piece(left) && is_piece(right));
            pairs.map(|(left, right)| (left.to_string(), right.to_string())).collect()
        };
        let merges = pieces.iter().flat_map(splits).collect();
        let renamed = |text: &str, id: u32| match self.settings.added(id) {
            // The model's piece with this id is a placeholder, which an added token replaces.
            Some(token) if self.class == Class::Backend && !ids.contains_key(token) => token.to_string(),
            _ => text.to_string(),
        };
        let vocabulary: Vocab = ids.iter().map(|(text, id)| (renamed(text, *id), *id)).collect();
        let builder = BPE::builder().vocab_and_merges(vocabulary, merges);
        let builder = builder.fuse_unk(true).byte_fallback(byte_fallback);
        Ok(match unknown {
            Some(unknown) => builder.unk_token(unknown).build()?.into(),
            None => builder.build()?.into(),
        })
    }

    fn normalizer(&self) -> Result<Option<NormalizerWrapper>, Refusal> {
        let characters = match &self.proto.characters[..] {
            [] => None,
            table => {
                growth::check_table(table, table.len())?;
                let table = Precompiled::from(table)
                    .map_err(|e| format!("its table of character normalisation: {e}"))?;
                Some(NormalizerWrapper::from(table))
            }
        };
        let spaces = |from: Value, to: &str| json!({ "type": "Replace", "pattern": from, "content": to });
        let last = match self.class {
            Class::Llama => return Ok(None),
            Class::Gemma => return Ok(Some(part(spaces(json!({ "String": " " }), SPACE))?)),
            Class::T5 | Class::XlmRoberta => return Ok(characters),
            Class::Xglm => spaces(json!({ "Regex": " {2,}" }), " "),
            _ => spaces(json!({ "String": " " }), SPACE),
        };
        Ok(Some(Sequence::new(characters.into_iter().chain([part(last)?]).collect()).into()))
    }

    /// True if a space is added before a text.
    fn adds_prefix(&self) -> bool {
        self.settings.flag("add_prefix_space").unwrap_or(true)
    }

    fn pre_tokenizer(&self) -> Option<Value> {
        let metaspace = |scheme: &str, split: bool| json!({ "type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": split });
        let scheme = if self.adds_prefix() { "always" } else { "never" };
        let words = |scheme: &str| json!({ "type": "Sequence", "pretokenizers": [{ "type": "WhitespaceSplit" }, metaspace(scheme, true)] });
        Some(match self.class {
            Class::Llama => {
                let is_legacy = self.settings.flag("legacy").unwrap_or(false);
                metaspace(if self.adds_prefix() && !is_legacy { "first" } else { scheme }, false)
            }
            Class::Gemma => json!({
                "type": "Split", "pattern": { "String": " " }, "behavior": "MergedWithPrevious", "invert": false
            }),
            Class::Xglm => metaspace(scheme, true),
            Class::T5 => words("always"),
            Class::XlmRoberta => words(scheme),
            _ => return None,
        })
    }

    fn decoder(&self) -> Value {
        let scheme = if self.adds_prefix() || self.class == Class::T5 { "always" } else { "never" };
        let spaces = json!({ "type": "Replace", "pattern": { "String": SPACE }, "content": " " });
        let mut decoders = vec![spaces];
        match self.class {
            Class::Xglm | Class::T5 | Class::XlmRoberta => {
                return json!({
                    "type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": true
                });
            }
            Class::Backend if !self.proto.byte_fallback => {}
            _ => decoders.extend([json!({ "type": "ByteFallback" }), json!({ "type": "Fuse" })]),
        }
        if self.class == Class::Llama && self.adds_prefix() {
            decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
        }
        json!({ "type": "Sequence", "decoders": decoders })
    }

    /// The default special tokens: those of the class, or the model's.
    fn defaults(&self) -> Vec<(&'static str, String)> {
        if self.class != Class::Backend {
            return default_tokens(self.class);
        }
        let names = ["unk_token", "bos_token", "eos_token"].into_iter().zip(self.proto.names.iter().cloned());
        names.zip(self.proto.ids).filter(|(_, id)| *id >= 0).map(|(named, _)| named).collect()
    }

    /// Control and user-defined pieces, and the tokens that the class adds.
    fn extra(&self) -> Vec<AddedToken> {
        let pieces = self.proto.pieces.iter().filter(|piece| matches!(piece.class, 3 | 4));
        let token = |piece: &Piece| AddedToken {
            content: piece.text.clone(),
            special: piece.class == 3,
            normalized: false,
            ..AddedToken::default()
        };
        let special = |text: String| AddedToken::from(text, true);
        let pieces = pieces.map(token);
        match self.class {
            Class::T5 => pieces.chain(self.sentinels().into_iter().map(special)).collect(),
            Class::Xglm => pieces.chain(made_up().map(special)).collect(),
            _ => pieces.collect(),
        }
    }

    /// T5's sentinel tokens, which mark omitted spans.
    fn sentinels(&self) -> Vec<String> {
        (0..self.n_sentinels).map(|at| format!("<extra_id_{at}>")).collect()
    }
}

/// The tokens that pad XGLM's vocabulary.
fn made_up() -> impl Iterator<Item = String> {
    (0..7).map(|at| format!("<madeupword{at}>"))
}
