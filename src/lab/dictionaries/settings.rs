//! Settings of a dictionary's training.

use crate::tokenizer::Bos;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of a dictionary's training.
#[derive(Debug, Clone)]
pub struct DictionarySettings {
    /// The hook point.
    pub hook_point: String,
    /// Datasets whose entities are the texts; by default the bundled ones, if there are no files.
    pub datasets: Vec<String>,
    /// The prompts around each name.
    pub prompts: Vec<String>,
    /// The number of sentences that begin with each entity.
    pub sentences: usize,
    /// Files of texts, one a line.
    pub files: Vec<PathBuf>,
    /// The token at the beginning of each text; it is no row.
    pub bos: Bos,
    /// The number of latents.
    pub latents: usize,
    /// Latents that are active on a row, at most.
    pub k: usize,
    /// Passes over the rows.
    pub epochs: usize,
    /// Rows of a step.
    pub batch: usize,
    /// The highest learning rate.
    pub rate: f32,
    /// A latent is dead when so many rows have passed since it was last active.
    pub dead_after: u64,
    /// GiB of rows that are held at once; more are computed again in each epoch.
    pub memory: f64,
    /// Seeds the first weights, the order of the rows, the sentences, and the held-out texts.
    pub seed: u64,
    /// The share of texts that is held out.
    pub held_out: f64,
    /// Time between checkpoints.
    pub checkpoint_every: Duration,
    /// The name of the folder; by default the hook point, the number of latents and k.
    pub called: Option<String>,
}
