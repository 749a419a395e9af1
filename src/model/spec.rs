//! The choices that tell transformer families apart, as data.

use super::rotary::Rotary;
use crate::hook_point::HookPoint;

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
    /// Longest text whose numbers are those of the reference, in tokens.
    pub n_context: usize,
    /// How tokens enter the stream.
    pub embedding: Embedding,
    /// How heads look at other tokens, alike in every layer.
    pub attention: Attention,
    /// What differs from layer to layer, one entry a block.
    pub layers: Vec<Layer>,
    /// The norm's formula.
    pub norm: NormKind,
    /// Added to the variance inside the norm.
    pub norm_eps: f64,
    /// Where the norms stand.
    pub placement: Placement,
    /// How attention and MLP are joined.
    pub block: BlockKind,
    /// The MLP's form.
    pub mlp: Mlp,
    /// Which matrices have a bias.
    pub biases: Biases,
    /// What attention and MLP are multiplied by before they are added to the stream (Granite).
    pub residual_scale: f64,
    /// From the stream to logits; `None` for a checkpoint that came without.
    pub head: Option<Head>,
}

/// The sizes that every config tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Width of the residual stream.
    pub d_model: usize,
    /// Number of blocks.
    pub n_layers: usize,
    /// Number of query heads.
    pub n_heads: usize,
    /// Number of MLP neurons.
    pub d_mlp: usize,
    /// Number of token ids.
    pub d_vocab: usize,
    /// Longest text, in tokens.
    pub n_context: usize,
}

impl Spec {
    /// The plainest model of these sizes: causal multi-head attention without positions, LayerNorm before,
    /// one block after the other, plain gelu, biases everywhere, tied; a family says how it departs.
    pub fn plain(family: &'static str, sizes: Sizes) -> Spec {
        let Sizes { d_model, n_layers, n_heads, d_mlp, d_vocab, n_context } = sizes;
        let d_head = d_model / n_heads;
        Spec {
            family,
            d_model,
            n_layers,
            n_heads,
            n_kv_heads: n_heads,
            d_head,
            d_mlp,
            d_vocab,
            n_context,
            embedding: Embedding::PLAIN,
            attention: Attention::causal(d_head),
            layers: Layer::all(n_layers, Position::Nothing),
            norm: NormKind::LayerNorm,
            norm_eps: 1e-5,
            placement: Placement::Before,
            block: BlockKind::Sequential,
            mlp: Mlp::Plain(Activation::Gelu),
            biases: Biases::ALL,
            residual_scale: 1.0,
            head: Some(Head::plain(true)),
        }
    }

    /// The width of what passes at a hook point; `None` where this model has no such place.
    pub fn width_at(&self, point: HookPoint) -> Option<usize> {
        let is_there = self.block.has_resid_mid() || !matches!(point, HookPoint::ResidMid(_));
        (point.layer() < self.n_layers && is_there).then(|| match point {
            HookPoint::AttnZ(_) => self.n_heads * self.d_head,
            HookPoint::MlpPost(_) => self.d_mlp,
            _ => self.d_model,
        })
    }
}

/// How tokens enter the stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Embedding {
    /// Width of the table where it is not `d_model`; a matrix then leads into the stream (OPT-350m).
    pub d_embed: Option<usize>,
    /// What the tokens' vectors are multiplied by.
    pub scale: f64,
    /// What is added for the token's place.
    pub positions: Positions,
    /// Number of token types (BERT); every token is of type 0.
    pub n_token_types: Option<usize>,
    /// Whether a norm stands before block 0.
    pub norm: bool,
}

/// What is added to a token's embedding for its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// Nothing: attention alone tells places apart.
    Nothing,
    /// One learned vector a position; position 0 has row `offset`.
    Learned {
        /// Rows before the first position's.
        offset: usize,
    },
    /// One learned vector a position, counted from the row after padding's; a padding token has padding's
    /// row and is not counted (RoBERTa).
    AfterPadding {
        /// The id of the padding token, and its row.
        padding: usize,
    },
    /// Fixed sines and then cosines; position 0 is counted as `offset` (XGLM).
    Sinusoidal {
        /// What is added to the position.
        offset: usize,
    },
}

/// How heads look at other tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attention {
    /// What the product of query and key is multiplied by.
    pub scale: f64,
    /// `cap · tanh(score / cap)` (Gemma 2).
    pub soft_cap: Option<f64>,
    /// Which tokens of its text a token sees.
    pub direction: Direction,
    /// A norm on queries and keys, before the rotation.
    pub qk_norm: Option<QkNorm>,
    /// Queries, keys and values are cut to `±clip` (OLMo, MPT).
    pub clip: Option<f64>,
}

/// Which tokens of its text a token sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Itself and those before it.
    Causal,
    /// All (encoders).
    Bidirectional,
}

/// A norm on queries and keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QkNorm {
    /// Its formula.
    pub kind: NormKind,
    /// What one norm is taken over.
    pub over: QkNormOver,
}

/// What one norm of a query or key is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QkNormOver {
    /// Each head, all with the same weights (Qwen3, Gemma 3, Phi).
    Head,
    /// Each head, with weights of its own (StableLM).
    OwnHead,
    /// All heads side by side (OLMo-2).
    Heads,
}

/// What one layer has of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// How many tokens back attention reaches, the token itself counted; `None` is all.
    pub window: Option<usize>,
    /// How attention tells places apart.
    pub position: Position,
}

/// How attention tells places apart.
#[derive(Debug, Clone, PartialEq)]
pub enum Position {
    /// It does not.
    Nothing,
    /// Queries and keys are rotated by an angle that grows with the position.
    Rotary(Rotary),
    /// A penalty on the score that grows with the distance (ALiBi).
    Alibi(Alibi),
}

/// Attention with linear biases: `slope · position of the key` is added to a head's scores.
///
/// A softmax does not see what is common to a row, so this is the same as a penalty on the distance.
#[derive(Debug, Clone, PartialEq)]
pub struct Alibi {
    /// One slope a head.
    pub slopes: Vec<f32>,
    /// How `slope · position` is rounded.
    pub rounding: Rounding,
}

/// How an ALiBi term is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// As f32 is, positions counted from the text's beginning (BLOOM).
    F32,
    /// As f32 is, positions counted back from the last, so that it is finest there (MPT).
    F32FromEnd,
    /// To bf16, then scaled as the scores are (Falcon).
    Bf16,
}

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
    /// Whether the mean is taken off first.
    pub fn is_centred(self) -> bool {
        matches!(self, NormKind::LayerNorm | NormKind::LayerNormNoBias | NormKind::LayerNormNoWeight)
    }

    /// Whether it has a weight.
    pub fn has_weight(self) -> bool {
        self != NormKind::LayerNormNoWeight
    }

    /// Whether it has a bias.
    pub fn has_bias(self) -> bool {
        self == NormKind::LayerNorm
    }
}

/// Where the norms of a block stand; `f` is attention or MLP.
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
    /// Whether a norm stands between the stream and `f`, or after their sum.
    pub fn has_norm_of_stream(self) -> bool {
        self != Placement::AfterOutput
    }

    /// Whether a norm stands on what `f` gives.
    pub fn has_norm_of_output(self) -> bool {
        matches!(self, Placement::AfterOutput | Placement::Both)
    }
}

/// How attention and MLP are joined in a block.
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
    /// Whether the stream between attention and MLP exists as a hook point.
    pub fn has_resid_mid(self) -> bool {
        self == BlockKind::Sequential
    }
}

/// The MLP's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mlp {
    /// `down(act(up(x)))`.
    Plain(Activation),
    /// `down(act(gate(x)) · up(x))`.
    Gated(Activation),
}

impl Mlp {
    /// The non-linearity.
    pub fn activation(self) -> Activation {
        match self {
            Mlp::Plain(activation) | Mlp::Gated(activation) => activation,
        }
    }

    /// Whether a gate stands beside the neurons.
    pub fn is_gated(self) -> bool {
        matches!(self, Mlp::Gated(_))
    }
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

impl Biases {
    /// No matrix has one.
    pub const NONE: Biases = Biases { qkv: false, attn_out: false, mlp: false };
    /// Every matrix has one.
    pub const ALL: Biases = Biases { qkv: true, attn_out: true, mlp: true };
}

/// From the stream after the last block to logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Head {
    /// Whether a norm stands before it.
    pub norm: bool,
    /// A matrix, a non-linearity and a norm before the unembedding (masked-language models).
    pub transform: Option<Activation>,
    /// Whether the unembedding is the embedding.
    pub tied: bool,
    /// Whether the unembedding has a bias.
    pub bias: bool,
    /// What the logits are multiplied by.
    pub scale: f64,
    /// `cap · tanh(logit / cap)` (Gemma 2).
    pub soft_cap: Option<f64>,
}

impl Head {
    /// A final norm and an unembedding, without anything else.
    pub fn plain(tied: bool) -> Head {
        Head { norm: true, transform: None, tied, bias: false, scale: 1.0, soft_cap: None }
    }
}

impl Embedding {
    /// The tokens' vectors as they are.
    pub const PLAIN: Embedding = Embedding {
        d_embed: None,
        scale: 1.0,
        positions: Positions::Nothing,
        n_token_types: None,
        norm: false,
    };
}

impl Attention {
    /// Causal, scaled by `1 / √d_head`, nothing else.
    pub fn causal(d_head: usize) -> Attention {
        let scale = (d_head as f64).sqrt().recip();
        Attention { scale, soft_cap: None, direction: Direction::Causal, qk_norm: None, clip: None }
    }
}

impl Layer {
    /// The same for every layer: all tokens in reach.
    pub fn all(n_layers: usize, position: Position) -> Vec<Layer> {
        vec![Layer { window: None, position }; n_layers]
    }
}
