//! A dataset with its prompt.

use crate::activations::{PromptedDataset, Unplaced};
use crate::datasets::{Dataset, Prompt};

/// A dataset as prompted, without unplaced entities if they are left out.
#[derive(Debug, Clone)]
pub struct Prompted {
    /// The dataset.
    pub dataset: Dataset,
    /// The entities that are left out, since they have no place in their texts.
    pub unplaced: Vec<Unplaced>,
    /// The prompt.
    pub prompt: Prompt,
}

impl Prompted {
    /// The dataset and its prompt.
    pub fn texts(&self) -> PromptedDataset<'_> {
        PromptedDataset { dataset: &self.dataset, prompt: &self.prompt }
    }
}
