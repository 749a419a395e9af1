//! Causal tests: exchanges of subspaces, angles between them, and their ablation.

use serde::{Deserialize, Serialize};

/// Exchange: nothing; the model's own answers about the bases.
pub const NOTHING: &str = "none";
/// Exchange: the whole stream.
pub const STREAM: &str = "stream";
/// Exchange: the subspace that was found by gradient.
pub const DAS: &str = "das";
/// Exchange: the subspace of the probe's weights.
pub const PROBE: &str = "probe";
/// Exchange: the subspace of the probe's pattern.
pub const PATTERN: &str = "pattern";
/// Exchange: a random subspace.
pub const RANDOM: &str = "random";
/// Control: a subspace that was found by gradient for arbitrary answers.
pub const DAS_ARBITRARY: &str = "das, arbitrary answers";
/// Control: the subspace of the reported layer, exchanged at another layer.
pub const DAS_ELSEWHERE: &str = "das, other layer";
/// Control: a subspace that was found by gradient in an untrained model.
pub const DAS_UNTRAINED: &str = "das, untrained model";
/// Control: the whole stream of an untrained model.
pub const STREAM_UNTRAINED: &str = "stream, untrained model";

/// The answers after a part of the stream is exchanged between pairs of texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InterchangeRow {
    /// The dataset's name.
    pub dataset: String,
    /// The model's name.
    pub model: String,
    /// The prompt's name.
    pub prompt: String,
    /// The hook point of the exchange as it is printed.
    pub hook_point: String,
    /// Its block.
    pub layer: usize,
    /// The exchanged part: `none`, `stream`, `das`, `probe`, `pattern` or `random`; or a control, such as
    /// `das, arbitrary answers`.
    pub exchanged: String,
    /// The number of dimensions; 0 for none.
    pub rank: usize,
    /// The seed of a random subspace; 0 for others.
    pub seed: u64,
    /// The number of pairs.
    pub n_pairs: usize,
    /// The number of groups of pairs that share no entity, which the interval resamples.
    pub n_groups: usize,
    /// The share of pairs with the source's answer (for arbitrary answers: the arbitrary one).
    pub accuracy: f64,
    /// Lower end of the 95 % bootstrap interval.
    pub low: f64,
    /// Upper end of the 95 % bootstrap interval.
    pub high: f64,
    /// The share of a model that guesses among the answers.
    pub chance: f64,
    /// The mean log-probability of the source's answer minus that of the base's, in nats.
    pub log_odds: f64,
    /// The share of training pairs with the wanted answer in the last epoch; empty for a part that was not trained.
    pub train_accuracy: Option<f64>,
}

/// A principal angle between two subspaces at one layer, and its distribution for random subspaces of these ranks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AngleRow {
    /// The dataset's name.
    pub dataset: String,
    /// The model's name.
    pub model: String,
    /// The prompt's name.
    pub prompt: String,
    /// The hook point as it is printed.
    pub hook_point: String,
    /// Its block.
    pub layer: usize,
    /// The first subspace: `probe`, `das` or `pattern`.
    pub first: String,
    /// The second subspace.
    pub second: String,
    /// The number of the angle, from 1, the smallest.
    pub number: usize,
    /// The angle in degrees.
    pub degrees: f64,
    /// The mean of this angle over random subspaces.
    pub random_mean: f64,
    /// Its quantile at 2.5 %.
    pub random_low: f64,
    /// Its quantile at 97.5 %.
    pub random_high: f64,
}

/// The model's answers and losses while a subspace is ablated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubspaceAblationRow {
    /// The dataset's name.
    pub dataset: String,
    /// The model's name.
    pub model: String,
    /// The prompt's name.
    pub prompt: String,
    /// The hook point as it is printed.
    pub hook_point: String,
    /// Its block.
    pub layer: usize,
    /// The subspace: `none`, `das`, `probe`, `pattern` or `random`.
    pub subspace: String,
    /// The number of dimensions; 0 for none.
    pub rank: usize,
    /// The seed of a random subspace; 0 for others.
    pub seed: u64,
    /// The stream in the subspace: `zero` or `mean`; empty for none.
    pub fill: String,
    /// The number of entities' texts.
    pub n_texts: usize,
    /// The share of correct answers.
    pub accuracy: f64,
    /// The mean loss per token in the entities' texts with their answers, in nats.
    pub entity_loss: f64,
    /// The mean loss per token in the control sentences, in nats.
    pub control_loss: f64,
}
