//! Geometry of probes: participation ratios and cosines.

use serde::{Deserialize, Serialize};

/// The effective number of principal components of the stream and of a probe's predictions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParticipationRow {
    /// The dataset's name.
    pub dataset: String,
    /// The model's name.
    pub model: String,
    /// The prompt's name.
    pub prompt: String,
    /// The hook point as it is printed.
    pub hook_point: String,
    /// `embed` or the block index.
    pub layer: String,
    /// The target of the probe.
    pub target: String,
    /// The width of the stream, which bounds both numbers.
    pub d_model: usize,
    /// The participation ratio of the stream's principal components.
    pub stream: f64,
    /// The participation ratio of the variances of the probe's predictions along the principal components.
    pub probe: f64,
}

/// The cosines between two probes that differ in layer, target or dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CosineRow {
    /// The model's name.
    pub model: String,
    /// The prompt's name.
    pub prompt: String,
    /// The first probe's dataset.
    pub dataset_a: String,
    /// Its hook point as it is printed.
    pub hook_point_a: String,
    /// Its layer: `embed` or the block index.
    pub layer_a: String,
    /// Its target.
    pub target_a: String,
    /// The second probe's dataset.
    pub dataset_b: String,
    /// Its hook point as it is printed.
    pub hook_point_b: String,
    /// Its layer: `embed` or the block index.
    pub layer_b: String,
    /// Its target.
    pub target_b: String,
    /// The cosine between their weights.
    pub weights: f64,
    /// The cosine between their patterns.
    pub pattern: f64,
}
