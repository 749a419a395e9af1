//! The surplus of activations over the text in parts of the test entities.

use serde::{Deserialize, Serialize};

/// A stratum of the test entities: its R² without and with the activations, and its part of the surplus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StratumRow {
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
    /// The text baseline: `names-only`, `word-vectors` or `text`.
    pub text: String,
    /// `rank`, `tokens`, `script` or a column; `all` for all test entities.
    pub by: String,
    /// The stratum; `all` for all test entities.
    pub stratum: String,
    /// The strata with too few test entities that are merged in this one, separated by `; `.
    pub merged: String,
    /// The number of test entities.
    pub n_test: usize,
    /// The number of resampled entities or groups among them; with fewer than five, there are no intervals.
    pub n_units: usize,
    /// `latitude`, `longitude`, `year`, a quantity's name, or `mean` over the targets.
    pub target: String,
    /// The share of the squared differences from the mean of all test entities.
    pub share: f64,
    /// R² of the text, about the mean of all test entities.
    pub r2_text: f64,
    /// Lower end of its 95 % interval.
    pub r2_text_low: f64,
    /// Upper end of its 95 % interval.
    pub r2_text_high: f64,
    /// R² of text and activations, about the mean of all test entities.
    pub r2_both: f64,
    /// Lower end of its 95 % interval.
    pub r2_both_low: f64,
    /// Upper end of its 95 % interval.
    pub r2_both_high: f64,
    /// The difference of the two.
    pub surplus: f64,
    /// Lower end of its 95 % interval.
    pub surplus_low: f64,
    /// Upper end of its 95 % interval.
    pub surplus_high: f64,
    /// The contribution to the surplus of all test entities; contributions add up to it.
    pub contribution: f64,
    /// Lower end of its 95 % interval.
    pub contribution_low: f64,
    /// Upper end of its 95 % interval.
    pub contribution_high: f64,
    /// The surplus minus that of all other strata together.
    pub against_rest: f64,
    /// Lower end of its 95 % interval.
    pub against_rest_low: f64,
    /// Upper end of its 95 % interval.
    pub against_rest_high: f64,
}

/// The name, as `by` and as `stratum`, of all test entities.
pub const ALL: &str = "all";
