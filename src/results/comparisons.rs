//! Comparisons of two sets of predictions.

use serde::{Deserialize, Serialize};

/// One score of two sets of predictions, A and B, for the same test entities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRow {
    /// The metric, as in score rows.
    pub metric: String,
    /// The target, as in score rows.
    pub target: String,
    /// The score of A.
    pub a: f64,
    /// The score of B.
    pub b: f64,
    /// A minus B.
    pub difference: f64,
    /// Lower end of the difference's 95 % interval, from bootstrap samples that A and B share.
    pub low: f64,
    /// Upper end of that interval.
    pub high: f64,
}
