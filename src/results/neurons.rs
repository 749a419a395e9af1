//! MLP units that correlate with a target, and their ablation.

use serde::{Deserialize, Serialize};

/// One unit of an MLP and one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NeuronRow {
    /// The dataset's name.
    pub dataset: String,
    /// The model's name.
    pub model: String,
    /// The prompt's name.
    pub prompt: String,
    /// The hook point of the unit as it is printed.
    pub hook_point: String,
    /// The block.
    pub layer: usize,
    /// The unit within its block, from 0.
    pub unit: usize,
    /// The target.
    pub target: String,
    /// Spearman's rank correlation of the unit with the target over training entities.
    pub rho: f64,
    /// The p-value of the correlation.
    pub p: f64,
    /// The p-value adjusted for all units of all blocks (Benjamini and Hochberg).
    pub q: f64,
    /// The cosine between the unit's input weights and the probe of the stream that enters the block.
    pub input_cosine: f64,
    /// The cosine between the unit's output weights and the probe of the stream that leaves the block.
    pub output_cosine: f64,
}

/// The probe's score and the model's losses while chosen units are fixed at their means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AblationRow {
    /// The dataset's name.
    pub dataset: String,
    /// The model's name.
    pub model: String,
    /// The prompt's name.
    pub prompt: String,
    /// The probe's target, by which the units were chosen.
    pub target: String,
    /// The hook point of the probe.
    pub hook_point: String,
    /// The choice of the units: `none`, `correlated`, `input`, `output`, or `random` from the same blocks.
    pub units: String,
    /// The seed of the random choice; 0 for other choices.
    pub seed: u64,
    /// The number of units.
    pub k: usize,
    /// R² of the probe on test entities.
    pub r2: f64,
    /// The mean loss per token in the entities' texts, in nats; NaN if the model has no language-model head.
    pub entity_loss: f64,
    /// The mean loss per token in the control texts, in nats; NaN if the model has no language-model head.
    pub control_loss: f64,
}
