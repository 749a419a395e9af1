//! MLP neurons that correlate with a target, and their ablation.

use serde::{Deserialize, Serialize};

/// One MLP neuron and one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NeuronRow {
    /// The dataset's name.
    pub dataset: String,
    /// The model's name.
    pub model: String,
    /// The prompt's name.
    pub prompt: String,
    /// The hook point of the neuron as it is printed.
    pub hook_point: String,
    /// The block.
    pub layer: usize,
    /// The neuron within its block, from 0.
    pub unit: usize,
    /// The target.
    pub target: String,
    /// Spearman's rank correlation of the neuron with the target over training entities.
    pub rho: f64,
    /// The p-value of the correlation.
    pub p: f64,
    /// The p-value adjusted for all neurons of all blocks (Benjamini and Hochberg).
    pub q: f64,
    /// The cosine between the neuron's input weights and the probe of the stream that enters the block.
    pub input_cosine: f64,
    /// The cosine between the neuron's output weights and the probe of the stream that leaves the block.
    pub output_cosine: f64,
}

/// The probe's score and the model's losses while a set of neurons is held at their means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AblationRow {
    /// The dataset's name.
    pub dataset: String,
    /// The model's name.
    pub model: String,
    /// The prompt's name.
    pub prompt: String,
    /// The probe's target; the neurons were chosen for it.
    pub target: String,
    /// The hook point of the probe.
    pub hook_point: String,
    /// The choice of the neurons: `none`, `correlated`, `input`, `output`, or `random` from the same blocks.
    pub units: String,
    /// The seed of the random choice; 0 for other choices.
    pub seed: u64,
    /// The number of neurons.
    pub k: usize,
    /// R² of the probe on test entities.
    pub r2: f64,
    /// The mean loss per token in the entities' texts, in nats; NaN if the model cannot generate text.
    pub entity_loss: f64,
    /// The mean loss per token in the control sentences, in nats; NaN if the model cannot generate text.
    pub control_loss: f64,
}
