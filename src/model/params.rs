//! The parameters a spec asks for, their shapes, and random values for them.

use super::spec::{BlockKind, Mlp, NormKind, Position, Spec};
use super::transformer::Transformer;
use crate::error::{Error, Result};
use candle_core::{Device, Tensor};
use rand::SeedableRng;
use rand_distr::{Distribution, Normal};
use std::fmt;

/// A parameter of the model, by mappa's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Param {
    /// Token embedding, `[d_vocab, d_model]`.
    Embed,
    /// Learned positions, `[n_context, d_model]`.
    Positions,
    /// A parameter of block `l`.
    Block(usize, BlockParam),
    /// Weight of the norm before the unembedding, `[d_model]`.
    FinalNormWeight,
    /// Bias of that norm, `[d_model]`.
    FinalNormBias,
    /// Unembedding, `[d_vocab, d_model]`.
    Unembed,
}

/// A parameter of one block; matrices are `[out, in]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // each name is its own plain sentence
pub enum BlockParam {
    AttnNormWeight,
    AttnNormBias,
    Query,
    QueryBias,
    Key,
    KeyBias,
    Value,
    ValueBias,
    AttnOut,
    AttnOutBias,
    MlpNormWeight,
    MlpNormBias,
    Gate,
    GateBias,
    Up,
    UpBias,
    Down,
    DownBias,
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Param::Block(l, param) => write!(f, "blocks.{l}.{param:?}"),
            param => write!(f, "{param:?}"),
        }
    }
}

/// Every parameter that a spec asks for, with its shape.
pub fn list(spec: &Spec) -> Vec<(Param, Vec<usize>)> {
    let mut all = vec![(Param::Embed, vec![spec.d_vocab, spec.d_model])];
    if spec.position == Position::Learned {
        all.push((Param::Positions, vec![spec.n_context, spec.d_model]));
    }
    let block = block_params(spec);
    all.extend(
        (0..spec.n_layers).flat_map(|l| block.iter().map(move |(p, s)| (Param::Block(l, *p), s.clone()))),
    );
    all.push((Param::FinalNormWeight, vec![spec.d_model]));
    if spec.norm == NormKind::LayerNorm {
        all.push((Param::FinalNormBias, vec![spec.d_model]));
    }
    if !spec.tied {
        all.push((Param::Unembed, vec![spec.d_vocab, spec.d_model]));
    }
    all
}

fn block_params(spec: &Spec) -> Vec<(BlockParam, Vec<usize>)> {
    use BlockParam::*;
    let (d, m) = (spec.d_model, spec.d_mlp);
    let (q, kv) = (spec.n_heads * spec.d_head, spec.n_kv_heads * spec.d_head);
    let mut all = vec![
        (AttnNormWeight, vec![d]),
        (Query, vec![q, d]),
        (Key, vec![kv, d]),
        (Value, vec![kv, d]),
        (AttnOut, vec![d, q]),
        (MlpNormWeight, vec![d]),
        (Up, vec![m, d]),
        (Down, vec![d, m]),
    ];
    if spec.norm == NormKind::LayerNorm {
        all.extend([(AttnNormBias, vec![d]), (MlpNormBias, vec![d])]);
    }
    if spec.biases.qkv {
        all.extend([(QueryBias, vec![q]), (KeyBias, vec![kv]), (ValueBias, vec![kv])]);
    }
    if spec.biases.attn_out {
        all.push((AttnOutBias, vec![d]));
    }
    if let Mlp::Gated(_) = spec.mlp {
        all.push((Gate, vec![m, d]));
    }
    if spec.biases.mlp {
        all.extend([(UpBias, vec![m]), (DownBias, vec![d])]);
        if let Mlp::Gated(_) = spec.mlp {
            all.push((GateBias, vec![m]));
        }
    }
    all
}

/// The number of weights of a spec.
pub fn count(spec: &Spec) -> usize {
    list(spec).iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
}

/// A random value for one parameter: norms begin at 1, biases at 0, the rest is normal.
///
/// Matrices that write to the stream are made smaller, so that depth does not make the stream grow.
pub(crate) fn random(spec: &Spec, param: Param, shape: &[usize], rng: &mut impl rand::Rng) -> Result<Tensor> {
    use BlockParam::*;
    let n: usize = shape.iter().product();
    let deviation = match param {
        Param::FinalNormWeight | Param::Block(_, AttnNormWeight | MlpNormWeight) => {
            return Ok(Tensor::ones(shape, candle_core::DType::F32, &Device::Cpu)?);
        }
        _ if shape.len() == 1 => {
            return Ok(Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu)?);
        }
        Param::Embed | Param::Positions => 0.05,
        Param::Block(_, AttnOut | Down) => {
            (shape[1] as f32).sqrt().recip() / (2.0 * spec.n_layers as f32).sqrt()
        }
        _ => (shape[1] as f32).sqrt().recip(),
    };
    let normal = Normal::new(0f32, deviation).map_err(|e| Error::Internal(e.to_string()))?;
    let values: Vec<f32> = (0..n).map(|_| normal.sample(rng)).collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// A model of this shape that never learned anything: the baseline a trained model must beat.
///
/// # Errors
/// [`Error::Tensor`] if the shapes cannot be laid out.
pub fn untrained(spec: &Spec, seed: u64) -> Result<Transformer> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    Transformer::new(spec.clone(), &mut |param, shape| random(spec, param, shape, &mut rng))
}

impl BlockKind {
    /// Whether the stream between attention and MLP exists as a hook point.
    pub fn has_resid_mid(self) -> bool {
        self == BlockKind::Sequential
    }
}
