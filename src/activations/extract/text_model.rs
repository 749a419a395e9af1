//! The inputs of an extraction: a model with its tokenizer, and a dataset with its prompt.

use crate::datasets::{Dataset, Prompt};
use crate::model::Transformer;
use crate::tokenizer::Tokenizer;

/// A transformer and the tokenizer that it was trained with.
#[derive(Clone, Copy)]
pub struct TextModel<'a> {
    /// The weights, and the forward pass.
    pub transformer: &'a Transformer,
    /// Converts texts to tokens.
    pub tokenizer: &'a Tokenizer,
}

/// A dataset's entities, each within a prompt's text.
#[derive(Debug, Clone, Copy)]
pub struct PromptedDataset<'a> {
    /// The entities.
    pub dataset: &'a Dataset,
    /// The text around each entity.
    pub prompt: &'a Prompt,
}
