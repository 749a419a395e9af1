//! A dataset with its prompt.

use crate::activations::{PromptedDataset, Unplaced};
use crate::datasets::{Dataset, Prompt};

/// A dataset with its prompt; entities to skip are already removed.
#[derive(Debug, Clone)]
pub struct Prompted {
    /// The dataset.
    pub dataset: Dataset,
    /// The entities left out, because they have no tokens of their own in their texts.
    pub unplaced: Vec<Unplaced>,
    /// The prompt.
    pub prompt: Prompt,
}

impl Prompted {
    /// Borrows the dataset with its prompt.
    pub fn texts(&self) -> PromptedDataset<'_> {
        PromptedDataset { dataset: &self.dataset, prompt: &self.prompt }
    }
}
