//! The text baselines: predictions from an entity's name, without the model.

use crate::results::{NAMES_ONLY, TEXT, WORD_VECTORS};

/// A set of text features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    /// The n-grams of the name.
    Names,
    /// The static word vectors of the name.
    Vectors,
    /// Both.
    Both,
}

impl TextKind {
    /// All text baselines, in the order of the result rows.
    pub const ALL: [TextKind; 3] = [TextKind::Names, TextKind::Vectors, TextKind::Both];

    /// The name in result rows.
    pub fn name(self) -> &'static str {
        match self {
            TextKind::Names => NAMES_ONLY,
            TextKind::Vectors => WORD_VECTORS,
            TextKind::Both => TEXT,
        }
    }

    /// Returns true if it contains the n-grams of the name.
    pub(super) fn has_names(self) -> bool {
        self != TextKind::Vectors
    }

    /// Returns true if it needs word vectors.
    pub fn has_vectors(self) -> bool {
        self != TextKind::Names
    }
}
