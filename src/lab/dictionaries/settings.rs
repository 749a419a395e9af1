//! Settings of a dictionary's training.

use crate::artefact::FolderName;
use crate::tokenizer::Bos;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of a dictionary's training.
#[derive(Debug, Clone)]
pub struct DictionarySettings {
    /// The hook point.
    pub hook_point: String,
    /// Datasets whose entities give the texts; by default, if `files` is empty, the bundled datasets.
    pub datasets: Vec<String>,
    /// The prompts around each name.
    pub prompts: Vec<String>,
    /// The number of additional sentences that begin with each entity.
    pub sentences: usize,
    /// Files of texts, one text per line.
    pub files: Vec<PathBuf>,
    /// The rule for a BOS token at the beginning of each text; BOS is never a row.
    pub bos: Bos,
    /// The number of latents.
    pub latents: usize,
    /// The maximum number of active latents per row.
    pub k: usize,
    /// The number of passes over the rows.
    pub epochs: usize,
    /// The number of rows per step.
    pub batch: usize,
    /// The highest learning rate.
    pub rate: f32,
    /// A latent is dead if it was not active on this number of successive rows.
    pub dead_after: u64,
    /// Memory for rows, in GiB; if all rows do not fit, they are computed again in each epoch.
    pub memory: f64,
    /// The seed of the initial weights, the order of the rows, the sentences, and the choice of held-out texts.
    pub seed: u64,
    /// The share of held-out texts.
    pub held_out: f64,
    /// Time between checkpoints.
    pub checkpoint_every: Duration,
    /// The name of the folder; by default the hook point, the number of latents and k.
    pub called: Option<FolderName>,
}
