//! The form of a block: its order, its MLP, its activation function, its biases.

/// Attention and MLP in sequence or in parallel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// The MLP reads the stream after attention.
    Sequential,
    /// Both read the stream that enters the block, each through its own norm.
    Parallel,
    /// Both read the stream that enters the block through one norm.
    ParallelOneNorm,
}

impl BlockKind {
    /// True if the stream between attention and MLP exists as a hook point.
    pub fn has_resid_mid(self) -> bool {
        self == BlockKind::Sequential
    }
}

/// The MLP's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mlp {
    /// `down(act(up(x)))`.
    Plain(ActivationFn),
    /// `down(act(gate(x)) · up(x))`.
    Gated(ActivationFn),
}

impl Mlp {
    /// The activation function.
    pub fn activation(self) -> ActivationFn {
        match self {
            Mlp::Plain(activation) | Mlp::Gated(activation) => activation,
        }
    }

    /// True if a gate multiplies the neurons.
    pub fn is_gated(self) -> bool {
        matches!(self, Mlp::Gated(_))
    }
}

/// An activation function of the MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivationFn {
    /// `max(x, 0)`.
    Relu,
    /// `x · Φ(x)`, with the error function.
    Gelu,
    /// The tanh approximation of gelu.
    GeluTanh,
    /// `x · σ(x)`.
    Silu,
}

impl ActivationFn {
    /// The activation function with this name in Hugging Face configs.
    pub fn from_hugging_face(name: &str) -> Option<ActivationFn> {
        Some(match name {
            "relu" => ActivationFn::Relu,
            "gelu" => ActivationFn::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => ActivationFn::GeluTanh,
            "silu" | "swish" => ActivationFn::Silu,
            _ => return None,
        })
    }

    /// The names that [`ActivationFn::from_hugging_face`] accepts.
    pub const KNOWN: &'static str = "relu, gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, silu, swish";
}

/// The matrices that have a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Biases {
    /// Query, key and value.
    pub qkv: bool,
    /// The attention's output matrix.
    pub attn_out: bool,
    /// The MLP's matrices.
    pub mlp: bool,
}

impl Biases {
    /// No matrix has one.
    pub const NONE: Biases = Biases { qkv: false, attn_out: false, mlp: false };
    /// Every matrix has one.
    pub const ALL: Biases = Biases { qkv: true, attn_out: true, mlp: true };
}
