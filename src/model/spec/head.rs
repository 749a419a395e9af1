//! From the stream to logits.

use super::block::ActivationFn;

/// From the stream after the last block to logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Head {
    /// True if a norm precedes the unembedding.
    pub norm: bool,
    /// A matrix, an activation function and a norm before the unembedding (masked-language models).
    pub transform: Option<ActivationFn>,
    /// True if the unembedding is the embedding.
    pub tied: bool,
    /// True if the unembedding has a bias.
    pub bias: bool,
    /// Factor on the logits.
    pub scale: f64,
    /// `cap · tanh(logit / cap)` (Gemma 2).
    pub soft_cap: Option<f64>,
}

impl Head {
    /// A final norm and an unembedding, nothing else.
    pub fn plain(tied: bool) -> Head {
        Head { norm: true, transform: None, tied, bias: false, scale: 1.0, soft_cap: None }
    }
}
