//! A whole model as data: its sizes, its parts, its hook points.

use super::attention::Attention;
use super::block::{ActivationFn, Biases, BlockKind, Mlp};
use super::embedding::Embedding;
use super::head::Head;
use super::layer::{Layer, PositionEncoding};
use super::norm::{NormKind, Placement};
use crate::hook_point::{HookPoint, HookWidth};

/// Everything that the forward pass needs to know about a model, except its weights.
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
    /// Longest text for which the numbers equal the reference's, in tokens.
    pub n_context: usize,
    /// From tokens to the stream.
    pub embedding: Embedding,
    /// The settings of attention that all layers share.
    pub attention: Attention,
    /// The settings that differ from layer to layer, one entry per block.
    pub layers: Vec<Layer>,
    /// The norm's formula.
    pub norm: NormKind,
    /// Added to the variance inside the norm.
    pub norm_eps: f64,
    /// The positions of the norms in a block.
    pub placement: Placement,
    /// Attention and MLP in sequence or in parallel.
    pub block: BlockKind,
    /// The MLP's form.
    pub mlp: Mlp,
    /// The matrices that have a bias.
    pub biases: Biases,
    /// Factor on the outputs of attention and MLP before they are added to the stream (Granite).
    pub residual_scale: f64,
    /// From the stream to logits; `None` for a checkpoint without a head.
    pub head: Option<Head>,
}

/// The sizes that every config states.
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
    /// The simplest model of these sizes: causal multi-head attention without positions, LayerNorm before attention
    /// and MLP, sequential blocks, plain gelu, all biases, tied embeddings. A family changes the fields in which it
    /// differs.
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
            layers: Layer::all(n_layers, PositionEncoding::Nothing),
            norm: NormKind::LayerNorm,
            norm_eps: 1e-5,
            placement: Placement::Before,
            block: BlockKind::Sequential,
            mlp: Mlp::Plain(ActivationFn::Gelu),
            biases: Biases::ALL,
            residual_scale: 1.0,
            head: Some(Head::plain(true)),
        }
    }

    /// The width of the token embedding.
    pub(crate) fn d_embed(&self) -> usize {
        self.embedding.d_embed.unwrap_or(self.d_model)
    }

    /// The same spec with a separate unembedding, if it has a head.
    pub(crate) fn untied(&self) -> Spec {
        Spec { head: self.head.map(|head| Head { tied: false, ..head }), ..self.clone() }
    }

    /// The width of all queries concatenated.
    pub(crate) fn d_queries(&self) -> usize {
        self.n_heads * self.d_head
    }

    /// The width of all keys, or all values, concatenated.
    pub(crate) fn d_keys(&self) -> usize {
        self.n_kv_heads * self.d_head
    }

    /// The width of the values at a hook point; `None` if this model lacks the point.
    pub fn width_at(&self, point: HookPoint) -> Option<usize> {
        let exists = self.block.has_resid_mid() || !matches!(point, HookPoint::ResidMid(_));
        (point.layer() < self.n_layers && exists).then(|| match point.width() {
            HookWidth::Stream => self.d_model,
            HookWidth::Heads => self.d_queries(),
            HookWidth::Neurons => self.d_mlp,
        })
    }

    /// The hook points of this model, in the order of the forward pass.
    pub fn hook_points(&self) -> Vec<HookPoint> {
        let all = HookPoint::all(self.n_layers).into_iter();
        all.filter(|point| self.width_at(*point).is_some()).collect()
    }

    /// The spec of the blocks up to and including block `layer`, without a head.
    pub(crate) fn up_to(&self, layer: usize) -> Spec {
        let n_layers = self.n_layers.min(layer + 1);
        let layers = self.layers[..n_layers].to_vec();
        Spec { n_layers, layers, head: None, ..self.clone() }
    }
}
