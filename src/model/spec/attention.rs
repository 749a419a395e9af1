//! The settings of attention that all layers share.

use super::norm::NormKind;

/// The settings of attention that all layers share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attention {
    /// Factor on the product of query and key.
    pub scale: f64,
    /// `cap · tanh(score / cap)` (Gemma 2).
    pub soft_cap: Option<f64>,
    /// Causal or bidirectional.
    pub direction: AttentionDirection,
    /// A norm on queries and keys, before the rotation.
    pub qk_norm: Option<QkNorm>,
    /// Queries, keys and values are clipped to `±clip` (OLMo, MPT).
    pub clip: Option<f64>,
}

/// The tokens to which a token attends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttentionDirection {
    /// Itself and earlier tokens.
    Causal,
    /// All tokens of its text (encoders).
    Bidirectional,
}

/// A norm on queries and keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QkNorm {
    /// Its formula.
    pub kind: NormKind,
    /// The values that one norm covers.
    pub over: QkNormOver,
}

/// The values that one norm of a query or key covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QkNormOver {
    /// Each head, all with the same weights (Qwen3, Gemma 3, Phi).
    Head,
    /// Each head, with its own weights (StableLM).
    OwnHead,
    /// All heads concatenated (OLMo-2).
    Heads,
}

impl Attention {
    /// Causal attention scaled by `1 / √d_head`, without soft-cap, norms or clipping.
    pub fn causal(d_head: usize) -> Attention {
        let scale = (d_head as f64).sqrt().recip();
        Attention { scale, soft_cap: None, direction: AttentionDirection::Causal, qk_norm: None, clip: None }
    }
}
