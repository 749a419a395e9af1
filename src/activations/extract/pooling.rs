//! Pooling: the tokens of each entity that are recorded, and the rows computed from them.

use super::span::Span;
use super::value_names::{name_of, parse};
use crate::error::{Error, Result};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// The reduction of an entity's tokens to rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pooling {
    /// The last token.
    #[default]
    Last,
    /// The first token.
    First,
    /// The mean over all tokens.
    Mean,
    /// The largest value of each dimension over all tokens.
    Max,
    /// No pooling: one row per token.
    Every,
}

/// The tokens that are pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TokenScope {
    /// The entity's own tokens.
    #[default]
    Entity,
    /// All tokens of the text, without special tokens such as BOS, `[CLS]` and `[SEP]`.
    Text,
}

pub(super) const POOLINGS: [(&str, Pooling); 5] = [
    ("last", Pooling::Last),
    ("first", Pooling::First),
    ("mean", Pooling::Mean),
    ("max", Pooling::Max),
    ("every", Pooling::Every),
];
pub(super) const SCOPES: [(&str, TokenScope); 2] =
    [("entity", TokenScope::Entity), ("text", TokenScope::Text)];

impl FromStr for Pooling {
    type Err = Error;

    fn from_str(word: &str) -> Result<Pooling> {
        parse("pooling over tokens", word, &POOLINGS)
    }
}

impl FromStr for TokenScope {
    type Err = Error;

    fn from_str(word: &str) -> Result<TokenScope> {
        parse("tokens to pool", word, &SCOPES)
    }
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(self, &POOLINGS))
    }
}

impl fmt::Display for TokenScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(self, &SCOPES))
    }
}

impl Pooling {
    /// The range of tokens that are pooled, within a scope.
    pub(super) fn tokens(self, scope: TokenScope, span: &Span) -> Range<usize> {
        let all = match scope {
            TokenScope::Entity => span.first..span.last + 1,
            TokenScope::Text => span.text.clone(),
        };
        match self {
            Pooling::Last => all.end - 1..all.end,
            Pooling::First => all.start..all.start + 1,
            Pooling::Mean | Pooling::Max | Pooling::Every => all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_parse_and_print_alike_and_unknown_ones_list_the_known() {
        for (word, pooling) in POOLINGS {
            assert_eq!((word.parse::<Pooling>().unwrap(), pooling.to_string()), (pooling, word.to_string()));
        }
        for (refused, known) in [
            ("median".parse::<Pooling>().map(|_| ()), "last, first, mean, max, every"),
            ("prompt".parse::<TokenScope>().map(|_| ()), "entity, text"),
        ] {
            let message = refused.unwrap_err().to_string();
            assert!(message.contains(known), "{message}");
        }
    }
}
