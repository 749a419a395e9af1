//! The settings of a recording: pooling over tokens, and the numbers that are stored.

use super::dtype::StoredDtype;
use super::pooling::{Pooling, TokenScope};
use super::span::Span;
use crate::artefact::{Card, FolderName};
use crate::model::AttentionDirection;
use std::ops::Range;

/// The settings for recording each entity, the same at every hook point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recording {
    /// The reduction of an entity's tokens to rows.
    pub pooling: Pooling,
    /// The tokens that are pooled.
    pub scope: TokenScope,
    /// The number format of the stored rows.
    pub dtype: StoredDtype,
}

impl Recording {
    /// The pooled tokens in words, as cards print them.
    pub fn token_position(self) -> String {
        let of = self.scope;
        match self.pooling {
            Pooling::Last => format!("last token of the {of}"),
            Pooling::First => format!("first token of the {of}"),
            Pooling::Mean => format!("mean over the tokens of the {of}"),
            Pooling::Max => format!("largest over the tokens of the {of}"),
            Pooling::Every => format!("every token of the {of}"),
        }
    }

    /// Adds the settings to a card.
    pub fn describe(self, card: Card) -> Card {
        card.input("token_position", self.token_position()).input("dtype", self.dtype)
    }

    /// The name of a prompt's folder, with every setting that is not the default, such as `empty.mean_text.f16`.
    pub fn folder(self, prompt: &FolderName) -> FolderName {
        let default = Recording::default();
        let mut words = String::new();
        if (self.pooling, self.scope) != (default.pooling, default.scope) {
            words += &format!(".{}_{}", self.pooling, self.scope);
        }
        if self.dtype != default.dtype {
            words += &format!(".{}", self.dtype);
        }
        prompt.with(&words)
    }

    /// The tokens of a text that are pooled.
    pub(super) fn pooled_tokens(self, span: &Span) -> Range<usize> {
        self.pooling.tokens(self.scope, span)
    }

    /// The tokens of a text on which the pooled tokens depend.
    pub(super) fn context(self, span: &Span, direction: AttentionDirection) -> &[u32] {
        match direction {
            AttentionDirection::Causal => &span.ids[..self.pooled_tokens(span).end],
            AttentionDirection::Bidirectional => &span.ids,
        }
    }

    /// The number of an entity's rows.
    pub(super) fn n_rows(self, span: &Span) -> usize {
        if self.pooling == Pooling::Every { self.pooled_tokens(span).len() } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::dtype::DTYPES;
    use super::super::pooling::{POOLINGS, SCOPES};
    use super::*;

    #[test]
    fn every_recording_has_its_own_folder_and_the_default_one_the_prompts() {
        let mut folders = std::collections::BTreeSet::new();
        for (_, pooling) in POOLINGS {
            for (_, scope) in SCOPES {
                for (_, dtype) in DTYPES {
                    folders.insert(Recording { pooling, scope, dtype }.folder(&FolderName::of_text("empty")));
                }
            }
        }
        assert_eq!(folders.len(), 5 * 2 * 3);
        assert_eq!(Recording::default().folder(&FolderName::of_text("empty")), "empty");
        assert!(folders.contains("empty.mean_text.f16"));
    }
}
