//! The choices that tell transformer families apart, as data.

/// Everything the forward pass needs to know about a model besides its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The family's `model_type`.
    pub family: &'static str,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Number of blocks.
    pub n_layers: usize,
    /// Number of query heads.
    pub n_heads: usize,
    /// Number of key and value heads; fewer than `n_heads` is grouped-query attention.
    pub n_kv_heads: usize,
    /// Width of one head.
    pub d_head: usize,
    /// Number of MLP neurons.
    pub d_mlp: usize,
    /// Number of token ids.
    pub d_vocab: usize,
    /// Longest text the model was made for, in tokens.
    pub n_context: usize,
    /// How a token's place in its text is told.
    pub position: Position,
    /// The norm's formula.
    pub norm: NormKind,
    /// Added to the variance inside the norm.
    pub norm_eps: f64,
    /// How attention and MLP are joined.
    pub block: BlockKind,
    /// The MLP's form.
    pub mlp: Mlp,
    /// Which matrices have a bias.
    pub biases: Biases,
    /// Whether the unembedding is the embedding.
    pub tied: bool,
}

/// How a token's place in its text is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Position {
    /// One learned vector a position, added to the embedding.
    Learned,
    /// Queries and keys are rotated by an angle that grows with the position.
    Rotary {
        /// How many of a head's dimensions are rotated.
        n_rotated: usize,
        /// The base of the frequencies.
        theta: f64,
        /// Which dimensions form a pair.
        layout: RotaryLayout,
    },
}

/// Which dimensions of a head are rotated together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotaryLayout {
    /// Dimension `i` with `i + n_rotated / 2` (GPT-NeoX, Llama).
    Half,
    /// Dimension `2i` with `2i + 1` (GPT-J).
    Interleaved,
}

/// The norm's formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// `(x − mean) / √(variance + eps) · weight + bias`.
    LayerNorm,
    /// `x / √(mean(x²) + eps) · weight`.
    RmsNorm,
}

/// How attention and MLP are joined in a block; the norm stands before each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// The MLP reads the stream after attention.
    Sequential,
    /// Both read the stream that enters the block, each through its own norm.
    Parallel,
}

/// The MLP's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mlp {
    /// `down(act(up(x)))`.
    Plain(Activation),
    /// `down(act(gate(x)) · up(x))`.
    Gated(Activation),
}

/// A non-linearity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x · Φ(x)`, with the error function.
    Gelu,
    /// The tanh approximation of gelu.
    GeluTanh,
    /// `x · σ(x)`.
    Silu,
}

impl Activation {
    /// The activation that Hugging Face calls so.
    pub fn from_hugging_face(name: &str) -> Option<Activation> {
        Some(match name {
            "relu" => Activation::Relu,
            "gelu" => Activation::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Activation::GeluTanh,
            "silu" | "swish" => Activation::Silu,
            _ => return None,
        })
    }

    /// The names that [`Activation::from_hugging_face`] knows.
    pub const KNOWN: &'static str = "relu, gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, silu, swish";
}

/// Which matrices have a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Biases {
    /// Query, key and value.
    pub qkv: bool,
    /// The attention's output matrix.
    pub attn_out: bool,
    /// The MLP's matrices.
    pub mlp: bool,
}

impl Mlp {
    /// The non-linearity.
    pub fn activation(self) -> Activation {
        match self {
            Mlp::Plain(activation) | Mlp::Gated(activation) => activation,
        }
    }
}
