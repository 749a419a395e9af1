//! One block: attention and MLP, their inputs, and their outputs to the stream.

use super::parts::Parts;
use super::pass::Pass;
use super::row_dedup::RowDedup;
use super::token_cache::TokenwiseOutput;
use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::model::kernels::{FEW_ROWS, ForestAttention, Linear, Norm, add, multiply, together};
use crate::model::spec::{BlockKind, Layer, Placement, PositionEncoding, QkNormOver, Spec};
use crate::model::weights::{BlockPart, Place};
use candle_core::Tensor;

/// One block's parameters.
#[derive(Debug, Clone)]
pub(super) struct Block {
    attn_norm: Option<Norm>,
    query: Linear,
    key: Linear,
    value: Linear,
    /// The norms of queries and of keys.
    qk_norms: Option<[Norm; 2]>,
    attn_out: Linear,
    attn_out_norm: Option<Norm>,
    mlp_norm: Option<Norm>,
    gate: Option<Linear>,
    up: Linear,
    down: Linear,
    mlp_out_norm: Option<Norm>,
}

impl Block {
    /// Builds block `l` from its parameters.
    pub(super) fn new(spec: &Spec, l: usize, parts: &mut Parts) -> Result<Block> {
        use BlockPart::*;
        let at = |part| Place::Block(l, part);
        let qk_norms = match spec.attention.qk_norm {
            Some(norm) => {
                let (q, kv) = match norm.over {
                    QkNormOver::Heads => (spec.d_queries(), spec.d_keys()),
                    QkNormOver::Head | QkNormOver::OwnHead => (spec.d_head, spec.d_head),
                };
                Some([parts.norm(at(QueryNorm), norm.kind, q)?, parts.norm(at(KeyNorm), norm.kind, kv)?])
            }
            None => None,
        };
        let mut norm =
            |exists: bool, part| exists.then(|| parts.norm(at(part), spec.norm, spec.d_model)).transpose();
        let (of_stream, of_output) =
            (spec.placement.has_norm_of_stream(), spec.placement.has_norm_of_output());
        let has_mlp_norm = of_stream && spec.block != BlockKind::ParallelOneNorm;
        let (attn_norm, mlp_norm) = (norm(of_stream, AttnNorm)?, norm(has_mlp_norm, MlpNorm)?);
        let (attn_out_norm, mlp_out_norm) = (norm(of_output, AttnOutNorm)?, norm(of_output, MlpOutNorm)?);
        Ok(Block {
            attn_norm,
            query: parts.linear(at(Query))?,
            key: parts.linear(at(Key))?,
            value: parts.linear(at(Value))?,
            qk_norms,
            attn_out: parts.linear(at(AttnOut))?,
            attn_out_norm,
            mlp_norm,
            gate: spec.mlp.is_gated().then(|| parts.linear(at(Gate))).transpose()?,
            up: parts.linear(at(Up))?,
            down: parts.linear(at(Down))?,
            mlp_out_norm,
        })
    }

    /// The weights by which each MLP neuron reads the stream, and those by which it writes to it.
    ///
    /// # Shapes
    /// Both `[d_mlp, d_model]`.
    pub(super) fn mlp_weights(&self) -> Result<(Tensor, Tensor)> {
        let read = self.gate.as_ref().unwrap_or(&self.up).weight.dense()?;
        Ok((read, self.down.weight.dense()?.t()?.contiguous()?))
    }

    /// The stream after the block.
    ///
    /// # Shapes
    /// `[n_new, d_model]` in; the rows that the pass computes, `[n_queries, d_model]`, out.
    pub(super) fn forward(&self, l: usize, resid_pre: Tensor, pass: &mut Pass) -> Result<Tensor> {
        if let Some(TokenwiseOutput { qkv, mlp_out }) = pass.tokenwise.take() {
            let attn_out = self.attn_out(l, qkv, pass)?;
            let mlp_out = pass.at(HookPoint::MlpOut(l), mlp_out)?;
            return Ok(add(&add(&resid_pre, &attn_out)?, &mlp_out)?);
        }
        pass.dedup = match (l, &pass.query_rows) {
            (0, None) => RowDedup::of(&resid_pre)?,
            _ => None,
        };
        let unique = pass.unique(&resid_pre)?;
        let all_normed = self.input(&self.attn_norm, &unique, pass.spec)?;
        let (normed, resid_pre) = (pass.queried(&all_normed)?, pass.queried(&resid_pre)?);
        let [q, k, v] = self.qkv(&normed, &all_normed, pass.spec)?;
        let attn_out = self.attn_out(l, [pass.expand(q)?, pass.expand(k)?, pass.expand(v)?], pass)?;
        if pass.spec.block != BlockKind::Sequential {
            let normed = match pass.spec.block {
                BlockKind::Parallel => self.input(&self.mlp_norm, &pass.queried(&unique)?, pass.spec)?,
                _ => normed,
            };
            let mlp_out = self.mlp(l, &normed, pass)?;
            return Ok(add(&add(&resid_pre, &attn_out)?, &mlp_out)?);
        }
        pass.dedup = None; // After attention a row depends on more than its token.
        let resid_mid = self.sum(&self.attn_norm, add(&resid_pre, &attn_out)?, pass.spec)?;
        let resid_mid = pass.at(HookPoint::ResidMid(l), resid_mid)?;
        let normed = self.input(&self.mlp_norm, &resid_mid, pass.spec)?;
        let mlp_out = self.mlp(l, &normed, pass)?;
        self.sum(&self.mlp_norm, add(&resid_mid, &mlp_out)?, pass.spec)
    }

    /// The input of attention or MLP: the stream, normed if the norm comes first.
    fn input(&self, norm: &Option<Norm>, stream: &Tensor, spec: &Spec) -> Result<Tensor> {
        match norm {
            Some(norm) if spec.placement != Placement::AfterSum => Ok(norm.forward(stream)?),
            _ => Ok(stream.clone()),
        }
    }

    /// The term that attention or MLP adds to the stream: its output, normed and scaled.
    fn output(&self, norm: &Option<Norm>, output: Tensor, spec: &Spec) -> Result<Tensor> {
        let output = match norm {
            Some(norm) => norm.forward(&output)?,
            None => output,
        };
        Ok(if spec.residual_scale == 1.0 { output } else { (output * spec.residual_scale)? })
    }

    /// The sum of stream and output, normed if the norm follows the sum.
    fn sum(&self, norm: &Option<Norm>, sum: Tensor, spec: &Spec) -> Result<Tensor> {
        match norm {
            Some(norm) if spec.placement == Placement::AfterSum => Ok(norm.forward(&sum)?),
            _ => Ok(sum),
        }
    }

    /// The outputs of a parallel block that depend on each row of the stream alone.
    ///
    /// # Shapes
    /// `[n, d_model]`.
    pub(super) fn tokenwise(&self, stream: &Tensor, spec: &Spec) -> Result<TokenwiseOutput> {
        let normed = self.input(&self.attn_norm, stream, spec)?;
        let qkv = self.qkv(&normed, &normed, spec)?;
        let normed = match spec.block {
            BlockKind::Parallel => self.input(&self.mlp_norm, stream, spec)?,
            _ => normed,
        };
        let mlp_out = self.down.forward(&self.neurons(&normed, spec)?)?;
        Ok(TokenwiseOutput { qkv, mlp_out: self.output(&self.mlp_out_norm, mlp_out, spec)? })
    }

    /// Queries, keys and values before the rotation.
    ///
    /// # Shapes
    /// `queried` `[n_queries, d_model]`, `all` `[n_new, d_model]`; heads are concatenated.
    fn qkv(&self, queried: &Tensor, all: &Tensor, spec: &Spec) -> Result<[Tensor; 3]> {
        let clip = |x: Tensor| match spec.attention.clip {
            Some(clip) => x.clamp(-clip, clip),
            None => Ok(x),
        };
        let [q, k, v] = match queried.id() == all.id() {
            true => together([(&self.query, None), (&self.key, None), (&self.value, None)], all)?,
            false => [self.query.forward(queried)?, self.key.forward(all)?, self.value.forward(all)?],
        };
        let (mut q, mut k) = (clip(q)?, clip(k)?);
        let over = spec.attention.qk_norm.map(|norm| norm.over);
        if let (Some([of_q, of_k]), Some(QkNormOver::Heads)) = (&self.qk_norms, over) {
            (q, k) = (of_q.forward(&q)?, of_k.forward(&k)?);
        }
        Ok([q, k, clip(v)?])
    }

    /// The term that attention adds to the stream, after the hooks.
    fn attn_out(&self, l: usize, qkv: [Tensor; 3], pass: &mut Pass) -> Result<Tensor> {
        let attn_out = self.attention(l, qkv, pass)?;
        let attn_out = self.output(&self.attn_out_norm, attn_out, pass.spec)?;
        pass.at(HookPoint::AttnOut(l), attn_out)
    }

    /// Attention and its output matrix.
    ///
    /// # Shapes
    /// Queries of the rows that the pass computes, keys and values of all new rows, heads concatenated; the result is
    /// `[n_queries, d_model]`.
    fn attention(&self, l: usize, qkv: [Tensor; 3], pass: &mut Pass) -> Result<Tensor> {
        let [mut q, mut k, mut v] = qkv;
        let spec = pass.spec;
        let over = spec.attention.qk_norm.map(|norm| norm.over);
        let (n_queries, n_new, d_head) = (q.dim(0)?, k.dim(0)?, spec.d_head);
        q = q.reshape((n_queries, spec.n_heads, d_head))?; // [n_queries, heads * d_head] -> [.., heads, d_head]
        k = k.reshape((n_new, spec.n_kv_heads, d_head))?;
        v = v.reshape((n_new, spec.n_kv_heads, d_head))?;
        if let (Some([of_q, of_k]), Some(QkNormOver::Head | QkNormOver::OwnHead)) = (&self.qk_norms, over) {
            (q, k) = (of_q.forward(&q)?, of_k.forward(&k)?);
        }
        let Layer { window, position } = &spec.layers[l];
        if let PositionEncoding::Rotary(rotary) = position {
            let table = pass.rotary_table(rotary);
            let of_queries = pass.query_rows.as_ref().map(|rows| table.select(rows));
            (q, k) = (of_queries.as_ref().unwrap_or(&table).rotate(&q)?, table.rotate(&k)?);
        }
        if let Some(cache) = pass.cache.as_deref_mut() {
            (k, v) = cache.append(l, k, v)?; // [n_new, ..] -> [n_nodes, ..]
        }
        let op = ForestAttention {
            forest: pass.forest.clone(),
            query_rows: pass.query_rows.clone(),
            scale: spec.attention.scale as f32,
            soft_cap: spec.attention.soft_cap.map(|cap| cap as f32),
            direction: spec.attention.direction,
            window: *window,
            bias: match position {
                PositionEncoding::Alibi(alibi) => Some(pass.alibi_terms(alibi)),
                _ => None,
            },
        };
        let z = op.forward(&q, &k, &v)?.reshape((n_queries, spec.d_queries()))?; // heads concatenated
        let z = pass.at(HookPoint::AttnZ(l), z)?;
        self.attn_out.forward(&z)
    }

    /// The MLP's neurons.
    ///
    /// # Shapes
    /// `[n, d_model]` to `[n, d_mlp]`.
    fn neurons(&self, x: &Tensor, spec: &Spec) -> Result<Tensor> {
        let activation = spec.mlp.activation();
        match &self.gate {
            Some(gate) if x.dim(0)? <= FEW_ROWS => {
                let [gate, up] = together([(gate, Some(activation)), (&self.up, None)], x)?;
                Ok(multiply(&gate, &up)?)
            }
            Some(gate) => self.up.gated(gate.activated(activation, x)?, x),
            None => self.up.activated(activation, x),
        }
    }

    /// The term that the MLP adds to the stream, after the hooks.
    fn mlp(&self, l: usize, x: &Tensor, pass: &mut Pass) -> Result<Tensor> {
        let neurons = self.neurons(x, pass.spec)?; // [n_queries, d_mlp], or [n_unique, d_mlp]
        let expanded = pass.expand(neurons.clone())?; // [n_queries, d_mlp]
        let hooked = pass.at(HookPoint::MlpPost(l), expanded.clone())?;
        let mlp_out = match hooked.id() == expanded.id() {
            true => pass.expand(self.down.forward(&neurons)?)?, // no hook changed them
            false => self.down.forward(&hooked)?,
        };
        let mlp_out = self.output(&self.mlp_out_norm, mlp_out, pass.spec)?;
        pass.at(HookPoint::MlpOut(l), mlp_out)
    }
}
