//! The forward pass: one transformer for every family, one line a hook point.

use super::attention::ForestAttention;
use super::forest::Forest;
use super::hook::Hook;
use super::norm::Norm;
use super::params::{BlockParam, Param, list};
use super::rotary::Rotary;
use super::spec::{Activation, BlockKind, Mlp, NormKind, Position, Spec};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use candle_core::{Device, Tensor};
use std::collections::HashMap;
use std::sync::Arc;

/// A matrix `[out, in]` and perhaps a bias.
#[derive(Debug, Clone)]
struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = x.matmul(&self.weight.t()?)?; // [n_tokens, in] -> [n_tokens, out]
        Ok(match &self.bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        })
    }
}

#[derive(Debug, Clone)]
struct Block {
    attn_norm: Norm,
    query: Linear,
    key: Linear,
    value: Linear,
    attn_out: Linear,
    mlp_norm: Norm,
    gate: Option<Linear>,
    up: Linear,
    down: Linear,
}

/// A transformer: its spec and its weights.
#[derive(Debug, Clone)]
pub struct Transformer {
    /// The choices it was built from.
    pub spec: Spec,
    embed: Tensor,
    positions: Option<Tensor>,
    blocks: Vec<Block>,
    final_norm: Norm,
    unembed: Tensor,
}

/// The keys and values of the nodes that earlier passes computed, a pair a layer.
#[derive(Debug, Clone, Default)]
pub struct Cache {
    layers: Vec<(Tensor, Tensor)>,
}

/// What one pass carries from block to block besides the stream.
struct Pass<'a> {
    forest: Arc<Forest>,
    rotary: Option<Rotary>,
    cache: Option<&'a mut Cache>,
    hook: &'a mut dyn Hook,
}

impl Transformer {
    /// A transformer whose parameters come from `param`, which is told name and shape.
    ///
    /// # Errors
    /// Whatever `param` answers.
    pub fn new(spec: Spec, param: &mut dyn FnMut(Param, &[usize]) -> Result<Tensor>) -> Result<Transformer> {
        let mut all = list(&spec)
            .into_iter()
            .map(|(name, shape)| Ok((name, param(name, &shape)?)))
            .collect::<Result<HashMap<Param, Tensor>>>()?;
        let blocks = (0..spec.n_layers).map(|l| Block::new(&spec, l, &mut all)).collect::<Result<_>>()?;
        let mut take =
            |name| all.remove(&name).ok_or_else(|| Error::Internal(format!("no parameter {name}")));
        let embed = take(Param::Embed)?;
        Ok(Transformer {
            unembed: if spec.tied { embed.clone() } else { take(Param::Unembed)? },
            embed,
            positions: take(Param::Positions).ok(),
            final_norm: Norm {
                kind: spec.norm,
                eps: spec.norm_eps,
                weight: take(Param::FinalNormWeight)?,
                bias: take(Param::FinalNormBias).ok(),
            },
            blocks,
            spec,
        })
    }

    /// Runs the forest's new nodes through the blocks; the hook may stop it early.
    ///
    /// # Shapes
    /// The stream after the last block that ran, `[n_new, d_model]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a token id outside the vocabulary or a text longer than the context.
    pub fn forward(&self, forest: &Forest, cache: Option<&mut Cache>, hook: &mut dyn Hook) -> Result<Tensor> {
        self.check(forest)?;
        hook.begin(forest)?;
        let stop = hook.last_layer();
        let rotary = match self.spec.position {
            Position::Rotary { n_rotated, theta, layout } => {
                Some(Rotary::at(forest.new_positions(), n_rotated, theta, layout))
            }
            Position::Learned => None,
        };
        let mut pass = Pass { forest: Arc::new(forest.clone()), rotary, cache, hook };
        let mut stream = self.embed(forest)?;
        for (l, block) in self.blocks.iter().enumerate() {
            stream = pass.hook.at(HookPoint::ResidPre(l), stream)?;
            stream = block.forward(&self.spec, l, stream, &mut pass)?;
            stream = pass.hook.at(HookPoint::ResidPost(l), stream)?;
            if stop == Some(l) {
                break;
            }
        }
        Ok(stream)
    }

    /// What enters block 0: token embeddings, and positions where they are learned.
    fn embed(&self, forest: &Forest) -> Result<Tensor> {
        let rows = |ids: &[u32]| Tensor::from_slice(ids, ids.len(), &Device::Cpu);
        let stream = self.embed.index_select(&rows(forest.new_tokens())?, 0)?; // [n_new, d_model]
        Ok(match &self.positions {
            Some(table) => (stream + table.index_select(&rows(forest.new_positions())?, 0)?)?,
            None => stream,
        })
    }

    /// The logits for the token after each row of a last-layer stream.
    ///
    /// # Shapes
    /// `[n, d_model]` to `[n, d_vocab]`.
    ///
    /// # Errors
    /// [`Error::Tensor`] if the stream has another width.
    pub fn logits(&self, stream: &Tensor) -> Result<Tensor> {
        let normed = self.final_norm.forward(stream)?;
        Ok(normed.matmul(&self.unembed.t()?)?) // [n, d_model] -> [n, d_vocab]
    }

    /// Whether the forest's new tokens are of this model and its texts fit the context.
    pub(super) fn check(&self, forest: &Forest) -> Result<()> {
        if let Some(token) = forest.new_tokens().iter().find(|t| **t as usize >= self.spec.d_vocab) {
            let expected = format!("below {}; the tokenizer may belong to another model", self.spec.d_vocab);
            return Err(Error::invalid("token id", token, expected));
        }
        let longest = forest.new_positions().iter().max().map_or(0, |p| *p as usize + 1);
        if longest > self.spec.n_context {
            let expected = format!("at most {} tokens, the model's context", self.spec.n_context);
            return Err(Error::invalid("text", format!("{longest} tokens"), expected));
        }
        Ok(())
    }
}

impl Block {
    fn new(spec: &Spec, l: usize, all: &mut HashMap<Param, Tensor>) -> Result<Block> {
        use BlockParam::*;
        let mut take = |p| all.remove(&Param::Block(l, p));
        let missing = |p| Error::Internal(format!("no parameter {}", Param::Block(l, p)));
        let mut linear = |weight, bias| {
            Ok::<_, Error>(Linear { weight: take(weight).ok_or_else(|| missing(weight))?, bias: take(bias) })
        };
        let gate = matches!(spec.mlp, Mlp::Gated(_)).then(|| linear(Gate, GateBias)).transpose()?;
        let (query, key, value) =
            (linear(Query, QueryBias)?, linear(Key, KeyBias)?, linear(Value, ValueBias)?);
        let (attn_out, up, down) =
            (linear(AttnOut, AttnOutBias)?, linear(Up, UpBias)?, linear(Down, DownBias)?);
        let mut norm = |weight, bias| {
            let weight = take(weight).ok_or_else(|| missing(weight))?;
            Ok::<_, Error>(Norm { kind: spec.norm, eps: spec.norm_eps, weight, bias: take(bias) })
        };
        let (attn_norm, mlp_norm) = (norm(AttnNormWeight, AttnNormBias)?, norm(MlpNormWeight, MlpNormBias)?);
        debug_assert!(spec.norm == NormKind::LayerNorm || attn_norm.bias.is_none());
        Ok(Block { attn_norm, query, key, value, attn_out, mlp_norm, gate, up, down })
    }

    fn forward(&self, spec: &Spec, l: usize, resid_pre: Tensor, pass: &mut Pass) -> Result<Tensor> {
        let attn_out = self.attention(spec, l, &resid_pre, pass)?;
        let attn_out = pass.hook.at(HookPoint::AttnOut(l), attn_out)?;
        match spec.block {
            BlockKind::Sequential => {
                let resid_mid = pass.hook.at(HookPoint::ResidMid(l), (resid_pre + attn_out)?)?;
                let mlp_out = self.mlp(spec, l, &resid_mid, pass)?;
                let mlp_out = pass.hook.at(HookPoint::MlpOut(l), mlp_out)?;
                Ok((resid_mid + mlp_out)?)
            }
            BlockKind::Parallel => {
                let mlp_out = self.mlp(spec, l, &resid_pre, pass)?;
                let mlp_out = pass.hook.at(HookPoint::MlpOut(l), mlp_out)?;
                Ok(((resid_pre + attn_out)? + mlp_out)?)
            }
        }
    }

    fn attention(&self, spec: &Spec, l: usize, stream: &Tensor, pass: &mut Pass) -> Result<Tensor> {
        let x = self.attn_norm.forward(stream)?;
        let n = x.dim(0)?;
        // [n_new, heads * d_head] -> [n_new, heads, d_head]
        let mut q = self.query.forward(&x)?.reshape((n, spec.n_heads, spec.d_head))?;
        let mut k = self.key.forward(&x)?.reshape((n, spec.n_kv_heads, spec.d_head))?;
        let mut v = self.value.forward(&x)?.reshape((n, spec.n_kv_heads, spec.d_head))?;
        if let Some(rotary) = &pass.rotary {
            (q, k) = (rotary.turn(&q)?, rotary.turn(&k)?);
        }
        if let Some(cache) = pass.cache.as_deref_mut() {
            (k, v) = cache.join(l, k, v)?; // [n_new, ..] -> [n_nodes, ..]
        }
        let scale = 1.0 / (spec.d_head as f32).sqrt();
        let op = ForestAttention { forest: pass.forest.clone(), scale };
        let z = q.apply_op3(&k, &v, op)?.reshape((n, spec.n_heads * spec.d_head))?; // heads side by side
        let z = pass.hook.at(HookPoint::AttnZ(l), z)?;
        self.attn_out.forward(&z)
    }

    fn mlp(&self, spec: &Spec, l: usize, stream: &Tensor, pass: &mut Pass) -> Result<Tensor> {
        let x = self.mlp_norm.forward(stream)?;
        let activation = spec.mlp.activation();
        let neurons = match &self.gate {
            Some(gate) => (activation.apply(&gate.forward(&x)?)? * self.up.forward(&x)?)?,
            None => activation.apply(&self.up.forward(&x)?)?,
        }; // [n_new, d_mlp]
        let neurons = pass.hook.at(HookPoint::MlpPost(l), neurons)?;
        self.down.forward(&neurons)
    }
}

impl Activation {
    fn apply(self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Activation::Relu => x.relu()?,
            Activation::Gelu => x.gelu_erf()?,
            Activation::GeluTanh => x.gelu()?,
            Activation::Silu => x.silu()?,
        })
    }
}

impl Cache {
    /// Appends a layer's new keys and values and gives all of them.
    fn join(&mut self, l: usize, k: Tensor, v: Tensor) -> Result<(Tensor, Tensor)> {
        let joined = match self.layers.get(l) {
            Some((k_past, v_past)) => (Tensor::cat(&[k_past, &k], 0)?, Tensor::cat(&[v_past, &v], 0)?),
            None => (k.contiguous()?, v.contiguous()?),
        };
        match self.layers.get_mut(l) {
            Some(layer) => *layer = joined.clone(),
            None => self.layers.push(joined.clone()),
        }
        Ok(joined)
    }
}
