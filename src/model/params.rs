//! The parameters a spec asks for, their shapes, and random values for them.

use super::compute::Compute;
use super::linear::Weight;
use super::spec::{BlockKind, Positions, QkNormOver, Spec};
use super::transformer::Transformer;
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use rand::SeedableRng;
use rand_distr::{Distribution, Normal};
use std::fmt;

/// A parameter of the model, by mappa's name: a place's weight or its bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Param {
    /// Where in the model.
    pub place: Place,
    /// Weight or bias.
    pub kind: Kind,
}

/// Weight or bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each name explains itself")]
pub enum Kind {
    Weight,
    Bias,
}

/// A place in the model that has parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Token embedding, `[d_vocab, d_embed]`.
    Embed,
    /// From an embedding of another width into the stream, `[d_model, d_embed]`.
    ProjectIn,
    /// Learned positions, `[offset + n_context, d_model]`.
    Positions,
    /// Token types, `[n_token_types, d_model]`.
    TokenTypes,
    /// The norm before block 0.
    EmbedNorm,
    /// A part of block `l`.
    Block(usize, Part),
    /// The norm after the last block.
    FinalNorm,
    /// From the stream to an unembedding of another width, `[d_embed, d_model]`.
    ProjectOut,
    /// The masked-language model's matrix before the unembedding, `[d_model, d_model]`.
    HeadDense,
    /// The norm after it.
    HeadNorm,
    /// Unembedding, `[d_vocab, d_embed]`.
    Unembed,
}

/// A part of one block; matrices are `[out, in]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The norm before attention, or after its sum where norms come after.
    AttnNorm,
    /// `[n_heads · d_head, d_model]`.
    Query,
    /// `[n_kv_heads · d_head, d_model]`.
    Key,
    /// `[n_kv_heads · d_head, d_model]`.
    Value,
    /// The norm on queries.
    QueryNorm,
    /// The norm on keys.
    KeyNorm,
    /// `[d_model, n_heads · d_head]`.
    AttnOut,
    /// The norm on what attention gives.
    AttnOutNorm,
    /// The norm before the MLP, or after its sum where norms come after.
    MlpNorm,
    /// `[d_mlp, d_model]`.
    Gate,
    /// `[d_mlp, d_model]`.
    Up,
    /// `[d_model, d_mlp]`.
    Down,
    /// The norm on what the MLP gives.
    MlpOutNorm,
}

impl Place {
    /// The place's weight.
    pub fn weight(self) -> Param {
        Param { place: self, kind: Kind::Weight }
    }

    /// The place's bias.
    pub fn bias(self) -> Param {
        Param { place: self, kind: Kind::Bias }
    }

    /// Whether the place belongs to the head, which some checkpoints leave out.
    pub fn is_head(self) -> bool {
        matches!(self, Place::ProjectOut | Place::HeadDense | Place::HeadNorm | Place::Unembed)
    }

    /// Whether the place is a norm.
    pub fn is_norm(self) -> bool {
        use Part::*;
        let in_block =
            |part| matches!(part, AttnNorm | QueryNorm | KeyNorm | AttnOutNorm | MlpNorm | MlpOutNorm);
        match self {
            Place::EmbedNorm | Place::FinalNorm | Place::HeadNorm => true,
            Place::Block(_, part) => in_block(part),
            _ => false,
        }
    }
}

impl Param {
    /// True for the matrices of a block.
    pub(super) fn is_block_matrix(self) -> bool {
        matches!(self.place, Place::Block(..)) && self.kind == Kind::Weight && !self.place.is_norm()
    }
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Block(l, part) => write!(f, "blocks.{l}.{part:?}")?,
            place => write!(f, "{place:?}")?,
        }
        if self.kind == Kind::Bias { write!(f, "Bias") } else { Ok(()) }
    }
}

/// Collects parameters with their shapes.
struct Listed<'a> {
    spec: &'a Spec,
    all: Vec<(Param, Vec<usize>)>,
}

impl Listed<'_> {
    fn weight(&mut self, place: Place, shape: &[usize]) {
        self.all.push((place.weight(), shape.to_vec()));
    }

    fn matrix(&mut self, place: Place, shape: [usize; 2], has_bias: bool) {
        self.weight(place, &shape);
        if has_bias {
            self.all.push((place.bias(), vec![shape[0]]));
        }
    }

    fn norm(&mut self, place: Place, kind: super::spec::NormKind, shape: &[usize]) {
        if kind.has_weight() {
            self.weight(place, shape);
        }
        if kind.has_bias() {
            self.all.push((place.bias(), shape.to_vec()));
        }
    }

    fn block(&mut self, l: usize) {
        use Part::*;
        let spec = self.spec;
        let at = |part| Place::Block(l, part);
        let (d, m) = (spec.d_model, spec.d_mlp);
        let (q, kv) = (spec.n_heads * spec.d_head, spec.n_kv_heads * spec.d_head);
        if spec.placement.has_norm_of_stream() {
            self.norm(at(AttnNorm), spec.norm, &[d]);
        }
        self.matrix(at(Query), [q, d], spec.biases.qkv);
        self.matrix(at(Key), [kv, d], spec.biases.qkv);
        self.matrix(at(Value), [kv, d], spec.biases.qkv);
        self.matrix(at(AttnOut), [d, q], spec.biases.attn_out);
        if let Some(norm) = spec.attention.qk_norm {
            let (of_query, of_key) = match norm.over {
                QkNormOver::Head => (vec![spec.d_head], vec![spec.d_head]),
                QkNormOver::OwnHead => (vec![spec.n_heads, spec.d_head], vec![spec.n_kv_heads, spec.d_head]),
                QkNormOver::Heads => (vec![q], vec![kv]),
            };
            self.norm(at(QueryNorm), norm.kind, &of_query);
            self.norm(at(KeyNorm), norm.kind, &of_key);
        }
        if spec.placement.has_norm_of_output() {
            self.norm(at(AttnOutNorm), spec.norm, &[d]);
            self.norm(at(MlpOutNorm), spec.norm, &[d]);
        }
        if spec.placement.has_norm_of_stream() && spec.block != BlockKind::ParallelOneNorm {
            self.norm(at(MlpNorm), spec.norm, &[d]);
        }
        self.matrix(at(Up), [m, d], spec.biases.mlp);
        self.matrix(at(Down), [d, m], spec.biases.mlp);
        if spec.mlp.is_gated() {
            self.matrix(at(Gate), [m, d], spec.biases.mlp);
        }
    }

    fn embedding(&mut self) {
        let Spec { d_model, d_vocab, embedding, .. } = *self.spec;
        self.weight(Place::Embed, &[d_vocab, embedding.d_embed.unwrap_or(d_model)]);
        if let Some(d_embed) = embedding.d_embed {
            self.weight(Place::ProjectIn, &[d_model, d_embed]);
        }
        let offset = match embedding.positions {
            Positions::Learned { offset } => Some(offset),
            Positions::AfterPadding { padding } => Some(padding + 1),
            Positions::Nothing | Positions::Sinusoidal { .. } => None,
        };
        if let Some(offset) = offset {
            self.weight(Place::Positions, &[offset + self.spec.n_context, d_model]);
        }
        if let Some(n) = embedding.n_token_types {
            self.weight(Place::TokenTypes, &[n, d_model]);
        }
        if embedding.norm {
            self.norm(Place::EmbedNorm, self.spec.norm, &[d_model]);
        }
    }

    fn head(&mut self) {
        let Some(head) = self.spec.head else { return };
        let Spec { d_model, d_vocab, embedding, .. } = *self.spec;
        if head.norm {
            self.norm(Place::FinalNorm, self.spec.norm, &[d_model]);
        }
        if let Some(d_embed) = embedding.d_embed {
            self.weight(Place::ProjectOut, &[d_embed, d_model]);
        }
        if head.transform.is_some() {
            self.matrix(Place::HeadDense, [d_model, d_model], true);
            self.norm(Place::HeadNorm, self.spec.norm, &[d_model]);
        }
        let shape = [d_vocab, embedding.d_embed.unwrap_or(d_model)];
        if !head.tied {
            self.weight(Place::Unembed, &shape);
        }
        if head.bias {
            self.all.push((Place::Unembed.bias(), vec![d_vocab]));
        }
    }
}

/// Every parameter that a spec asks for, with its shape.
pub fn list(spec: &Spec) -> Vec<(Param, Vec<usize>)> {
    let mut listed = Listed { spec, all: vec![] };
    listed.embedding();
    (0..spec.n_layers).for_each(|l| listed.block(l));
    listed.head();
    listed.all
}

/// The number of weights of a spec.
pub fn count(spec: &Spec) -> usize {
    list(spec).iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
}

/// A random value for one parameter: norms begin at 1, biases at 0, the rest is normal.
///
/// Matrices that write to the stream are made smaller, so that depth does not make the stream grow.
pub(crate) fn random(spec: &Spec, param: Param, shape: &[usize], rng: &mut impl rand::Rng) -> Result<Tensor> {
    if param.kind == Kind::Bias {
        return Ok(Tensor::zeros(shape, DType::F32, &Device::Cpu)?);
    }
    if param.place.is_norm() {
        let first = if spec.norm == super::spec::NormKind::RmsNormPlusOne { 0.0 } else { 1.0 };
        return Ok(Tensor::full(first as f32, shape, &Device::Cpu)?);
    }
    let deviation = match param.place {
        Place::Embed | Place::Positions | Place::TokenTypes => 0.05,
        Place::Block(_, Part::AttnOut | Part::Down) => {
            (shape[1] as f32).sqrt().recip() / (2.0 * spec.n_layers as f32).sqrt()
        }
        _ => (shape[1] as f32).sqrt().recip(),
    };
    let normal = Normal::new(0f32, deviation).map_err(|e| Error::Internal(e.to_string()))?;
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| normal.sample(rng)).collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// A model of this shape that never learned anything: the baseline a trained model must beat.
///
/// # Errors
/// [`Error::Tensor`] if the shapes cannot be laid out.
pub fn untrained(spec: &Spec, seed: u64) -> Result<Transformer> {
    draw(spec, spec.clone(), (seed, Compute::F32))
}

/// The blocks of [`untrained`] up to one of them, with the same weights, and no head.
///
/// # Errors
/// As [`untrained`].
pub fn untrained_up_to(layer: usize, spec: &Spec, seed: u64) -> Result<Transformer> {
    draw(spec, up_to(layer, spec), (seed, Compute::F32))
}

/// The spec of the blocks up to one of them, without a head.
pub(super) fn up_to(layer: usize, spec: &Spec) -> Spec {
    let n_layers = spec.n_layers.min(layer + 1);
    let layers = spec.layers[..n_layers].to_vec();
    Spec { n_layers, layers, head: None, ..spec.clone() }
}

/// The parameters of `part`, drawn as those of the whole: the first of them are the same.
pub(super) fn draw(whole: &Spec, part: Spec, (seed, compute): (u64, Compute)) -> Result<Transformer> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    Transformer::new(part, &mut |param, shape| {
        Weight::Dense(random(whole, param, shape, &mut rng)?).kept(param, &Device::Cpu, compute)
    })
}
