//! Scores of lenses by layer, and the tokens that they read in a text.

use serde::{Deserialize, Serialize};

/// One lens at one hook point, on held-out texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LensScoreRow {
    /// The model's name.
    pub model: String,
    /// The lens: `logit`, `ridge`, or its name.
    pub lens: String,
    /// The hook point as it is printed.
    pub hook_point: String,
    /// `embed`, or the block.
    pub layer: String,
    /// The mean cross-entropy of the next token, in nats.
    pub cross_entropy: f64,
    /// The lower end of its 95 % interval over texts.
    pub low: f64,
    /// The upper end of its 95 % interval over texts.
    pub high: f64,
    /// The mean divergence of the model's prediction from the lens's, KL(model ‖ lens), in nats.
    pub kl: f64,
    /// The share of tokens at which lens and model have the same most probable next token.
    pub agreement: f64,
    /// The penalty of the map, for a ridge lens; otherwise NaN.
    pub penalty: f64,
    /// The number of held-out tokens.
    pub tokens: usize,
    /// The number of held-out texts.
    pub texts: usize,
}

/// One probable next token that a lens reads at one hook point and token of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LensTokenRow {
    /// The model's name.
    pub model: String,
    /// The lens: `logit`, `ridge`, or its name.
    pub lens: String,
    /// The hook point as it is printed.
    pub hook_point: String,
    /// `embed`, or the block.
    pub layer: String,
    /// The index of the token in the text, from 0.
    pub position: usize,
    /// The token of the text.
    pub token: String,
    /// The rank of the read token, from 1.
    pub rank: usize,
    /// The read token.
    pub read: String,
    /// Its probability.
    pub probability: f64,
}
