//! What is recorded of each entity: which of its tokens, made one or not, in which numbers.

use super::span::Span;
use crate::artefact::Card;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::{AttentionDirection, Spec};
use half::{bf16, f16};
use safetensors::tensor::Dtype;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// What is read of an entity's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Readout {
    /// The last token.
    #[default]
    Last,
    /// The first token.
    First,
    /// The mean over all tokens.
    Mean,
    /// The largest value of each dimension over all tokens.
    Max,
    /// Every token, a row each.
    Every,
}

/// Which tokens are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// The entity's own.
    #[default]
    Entity,
    /// The whole text's; those that stand for no text, such as BOS, `[CLS]` and `[SEP]`, are none of them.
    Text,
}

/// The numbers that a store keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stored {
    /// 32 bits, as they were computed.
    #[default]
    F32,
    /// 16 bits, 11 of them digits; at most 65504.
    F16,
    /// 16 bits, 8 of them digits; as large as f32.
    Bf16,
}

/// What is recorded of each entity, at every hook point alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recording {
    /// What is read of the tokens.
    pub readout: Readout,
    /// Which tokens.
    pub scope: Scope,
    /// In which numbers it is stored.
    pub stored: Stored,
}

const READOUTS: [(&str, Readout); 5] = [
    ("last", Readout::Last),
    ("first", Readout::First),
    ("mean", Readout::Mean),
    ("max", Readout::Max),
    ("every", Readout::Every),
];
const SCOPES: [(&str, Scope); 2] = [("entity", Scope::Entity), ("text", Scope::Text)];
const STORED: [(&str, Stored); 3] = [("f32", Stored::F32), ("f16", Stored::F16), ("bf16", Stored::Bf16)];

/// The value that a word means, or an error that lists the words.
fn parse<T: Copy>(what: &str, word: &str, known: &[(&str, T)]) -> Result<T> {
    let found = known.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let words: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        Error::invalid(what, word, words.join(", "))
    })
}

fn name<T: PartialEq>(value: &T, known: &[(&'static str, T)]) -> &'static str {
    known.iter().find(|(_, known)| known == value).map_or("", |(name, _)| name)
}

impl FromStr for Readout {
    type Err = Error;

    fn from_str(word: &str) -> Result<Readout> {
        parse("what is read of the tokens", word, &READOUTS)
    }
}

impl FromStr for Scope {
    type Err = Error;

    fn from_str(word: &str) -> Result<Scope> {
        parse("tokens to read", word, &SCOPES)
    }
}

impl FromStr for Stored {
    type Err = Error;

    fn from_str(word: &str) -> Result<Stored> {
        parse("numbers to store", word, &STORED)
    }
}

impl fmt::Display for Readout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(self, &READOUTS))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(self, &SCOPES))
    }
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(self, &STORED))
    }
}

impl Recording {
    /// What the card says about the tokens.
    pub fn token_position(self) -> String {
        let of = self.scope;
        match self.readout {
            Readout::Last => format!("last token of the {of}"),
            Readout::First => format!("first token of the {of}"),
            Readout::Mean => format!("mean over the tokens of the {of}"),
            Readout::Max => format!("largest over the tokens of the {of}"),
            Readout::Every => format!("every token of the {of}"),
        }
    }

    /// Adds to a card what decides the content.
    pub fn describe(self, card: Card) -> Card {
        card.input("token_position", self.token_position()).input("dtype", self.stored)
    }

    /// The folder's name for a prompt: the prompt's, and whatever is not the usual, such as `empty.mean_text.f16`.
    pub fn folder(self, prompt: &str) -> String {
        let usual = Recording::default();
        let mut folder = prompt.to_string();
        if (self.readout, self.scope) != (usual.readout, usual.scope) {
            folder += &format!(".{}_{}", self.readout, self.scope);
        }
        if self.stored != usual.stored {
            folder += &format!(".{}", self.stored);
        }
        folder
    }

    /// The tokens of a text that are read.
    pub(super) fn tokens(self, span: &Span) -> Range<usize> {
        let all = match self.scope {
            Scope::Entity => span.first..span.last + 1,
            Scope::Text => span.text.clone(),
        };
        match self.readout {
            Readout::Last => all.end - 1..all.end,
            Readout::First => all.start..all.start + 1,
            Readout::Mean | Readout::Max | Readout::Every => all,
        }
    }

    /// The tokens that have a part in what is read.
    pub(super) fn seen(self, span: &Span, direction: AttentionDirection) -> &[u32] {
        match direction {
            AttentionDirection::Causal => &span.ids[..self.tokens(span).end],
            AttentionDirection::Bidirectional => &span.ids,
        }
    }

    /// How many rows an entity has.
    pub(super) fn n_rows(self, span: &Span) -> usize {
        if self.readout == Readout::Every { self.tokens(span).len() } else { 1 }
    }
}

/// The places that a model has, in the order in which a pass comes by.
pub fn hook_points(spec: &Spec) -> Vec<HookPoint> {
    let is_there = |point: &HookPoint| spec.block.has_resid_mid() || !matches!(point, HookPoint::ResidMid(_));
    HookPoint::all(spec.n_layers).into_iter().filter(is_there).collect()
}

/// The width of the values at a place.
pub(super) fn width(spec: &Spec, point: HookPoint) -> usize {
    match point {
        HookPoint::AttnZ(_) => spec.n_heads * spec.d_head,
        HookPoint::MlpPost(_) => spec.d_mlp,
        _ => spec.d_model,
    }
}

impl Stored {
    /// The dtype's name in safetensors.
    pub(super) fn dtype(self) -> Dtype {
        match self {
            Stored::F32 => Dtype::F32,
            Stored::F16 => Dtype::F16,
            Stored::Bf16 => Dtype::BF16,
        }
    }

    /// The numbers that a dtype in safetensors means, if it is one of ours.
    pub(super) fn of(dtype: Dtype) -> Option<Stored> {
        STORED.iter().map(|(_, stored)| *stored).find(|stored| stored.dtype() == dtype)
    }

    /// Bytes of one number.
    pub(super) fn size(self) -> usize {
        if self == Stored::F32 { 4 } else { 2 }
    }

    /// The largest number there is.
    pub(super) fn largest(self) -> f32 {
        match self {
            Stored::F32 => f32::MAX,
            Stored::F16 => f16::MAX.to_f32(),
            Stored::Bf16 => bf16::MAX.to_f32(),
        }
    }

    /// Appends values in little-endian order; answers the first that would become an infinity.
    pub(super) fn encode(self, values: &[f32], bytes: &mut Vec<u8>) -> Result<(), f32> {
        // What lies between the largest bf16 and the largest f32 may still be rounded to either side.
        let overflows = |x: f32| match self {
            Stored::F32 => false,
            Stored::F16 => x.abs() > self.largest(),
            Stored::Bf16 => bf16::from_f32(x).is_infinite(),
        };
        if let Some(large) = values.iter().find(|x| overflows(**x)) {
            return Err(*large);
        }
        match self {
            Stored::F32 => bytes.extend(values.iter().flat_map(|x| x.to_le_bytes())),
            Stored::F16 => bytes.extend(values.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes())),
            Stored::Bf16 => bytes.extend(values.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes())),
        }
        Ok(())
    }

    /// The values that some bytes hold.
    pub(super) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Stored::F32 => bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Stored::F16 => bytes.as_chunks::<2>().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
            Stored::Bf16 => {
                bytes.as_chunks::<2>().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_and_unknown_ones_list_the_known() {
        for (word, readout) in READOUTS {
            assert_eq!((word.parse::<Readout>().unwrap(), readout.to_string()), (readout, word.to_string()));
        }
        for (refused, known) in [
            ("median".parse::<Readout>().map(|_| ()), "last, first, mean, max, every"),
            ("prompt".parse::<Scope>().map(|_| ()), "entity, text"),
            ("f8".parse::<Stored>().map(|_| ()), "f32, f16, bf16"),
        ] {
            let message = refused.unwrap_err().to_string();
            assert!(message.contains(known), "{message}");
        }
    }

    #[test]
    fn every_recording_has_a_folder_of_its_own_and_the_usual_one_the_prompts() {
        let mut folders = std::collections::BTreeSet::new();
        for (_, readout) in READOUTS {
            for (_, scope) in SCOPES {
                for (_, stored) in STORED {
                    folders.insert(Recording { readout, scope, stored }.folder("empty"));
                }
            }
        }
        assert_eq!(folders.len(), 5 * 2 * 3);
        assert_eq!(Recording::default().folder("empty"), "empty");
        assert!(folders.contains("empty.mean_text.f16"));
    }

    #[test]
    fn numbers_come_back_rounded_once_and_none_becomes_an_infinity() {
        let values = [0.0, -0.0, 1.0, -2.5, 65504.0, 1e-7, 3.140_625, 0.1, -65504.0];
        for (_, stored) in STORED {
            let mut bytes = Vec::new();
            stored.encode(&values, &mut bytes).unwrap();
            assert_eq!(bytes.len(), values.len() * stored.size());
            let back = stored.decode(&bytes);
            for (x, y) in values.iter().zip(&back) {
                // Half a unit in the last place, or of the smallest number of f16.
                let digits = [(Stored::F32, 24), (Stored::F16, 11), (Stored::Bf16, 8)];
                let (_, digits) = digits.iter().find(|(of, _)| *of == stored).unwrap();
                assert!((x - y).abs() <= x.abs() * 0.5f32.powi(*digits) + 3e-8, "{stored}: {x} became {y}");
            }
            let mut again = Vec::new();
            stored.encode(&back, &mut again).unwrap();
            assert_eq!(again, bytes, "{stored}");
        }
        for (stored, large) in [(Stored::F16, 65505.0), (Stored::F16, -7e4), (Stored::Bf16, f32::MAX)] {
            assert_eq!(stored.encode(&[1.0, large], &mut Vec::new()), Err(large));
        }
    }
}
