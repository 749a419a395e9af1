//! The measured differences from transformers.

use serde::{Deserialize, Serialize};

/// The difference of a checkpoint's numbers from those of transformers: a line of `measured.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The family.
    pub family: String,
    /// The fixture's folder.
    pub checkpoint: String,
    /// Largest difference over texts, layers and logits, relative to the largest reference value.
    pub error: f32,
    /// The version of transformers that made the fixture.
    pub transformers: String,
    /// The checkpoint's choices, in words.
    pub choices: String,
}

/// The table of measured differences, as written by the tests.
pub const MEASURED: &str = include_str!("measured.csv");
