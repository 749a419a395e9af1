//! The formula of the norms, and their positions in a block.

/// The norm's formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// `(x − mean) / √(variance + eps) · weight + bias`.
    LayerNorm,
    /// LayerNorm without the bias (MPT).
    LayerNormNoBias,
    /// LayerNorm with neither weight nor bias (OLMo).
    LayerNormNoWeight,
    /// `x / √(mean(x²) + eps) · weight`.
    RmsNorm,
    /// `x / √(mean(x²) + eps) · (1 + weight)` (Gemma).
    RmsNormPlusOne,
}

impl NormKind {
    /// True if the mean is subtracted first.
    pub fn is_centred(self) -> bool {
        matches!(self, NormKind::LayerNorm | NormKind::LayerNormNoBias | NormKind::LayerNormNoWeight)
    }

    /// True if it has a weight.
    pub fn has_weight(self) -> bool {
        self != NormKind::LayerNormNoWeight
    }

    /// True if it has a bias.
    pub fn has_bias(self) -> bool {
        self == NormKind::LayerNorm
    }

    /// The weight that multiplies by one.
    pub(crate) fn neutral_weight(self) -> f32 {
        match self {
            NormKind::LayerNorm
            | NormKind::LayerNormNoBias
            | NormKind::LayerNormNoWeight
            | NormKind::RmsNorm => 1.0,
            NormKind::RmsNormPlusOne => 0.0,
        }
    }

    /// The name for people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            NormKind::LayerNorm => "LayerNorm",
            NormKind::LayerNormNoBias => "LayerNorm without bias",
            NormKind::LayerNormNoWeight => "LayerNorm without parameters",
            NormKind::RmsNorm => "RMSNorm",
            NormKind::RmsNormPlusOne => "RMSNorm times 1 + weight",
        }
    }
}

/// The positions of the norms in a block; `f` is attention or MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// `x + f(norm(x))`.
    Before,
    /// `norm(x + f(x))` (BERT, OPT-350m).
    AfterSum,
    /// `x + norm(f(x))` (OLMo-2).
    AfterOutput,
    /// `x + norm(f(norm(x)))`: a sandwich (Gemma 2 and 3, GLM-4).
    Both,
}

impl Placement {
    /// The place in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Placement::Before => "before",
            Placement::AfterSum => "after each sum",
            Placement::AfterOutput => "after each output",
            Placement::Both => "before and after",
        }
    }

    /// True if a norm precedes `f`, or follows the sum of stream and output.
    pub fn has_norm_of_stream(self) -> bool {
        self != Placement::AfterOutput
    }

    /// True if a norm follows `f` itself.
    pub fn has_norm_of_output(self) -> bool {
        matches!(self, Placement::AfterOutput | Placement::Both)
    }
}
