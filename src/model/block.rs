//! One block: attention and MLP, what they read, and how they join the stream.

use super::alike::Alike;
use super::attention::ForestAttention;
use super::cache::Cache;
use super::elementwise::{add, multiply};
use super::first_block::ByItself;
use super::forest::Forest;
use super::hook::Hook;
use super::linear::Linear;
use super::norm::Norm;
use super::params::{Part, Place};
use super::rotary::{Rotary, Turns};
use super::spec::{Alibi, BlockKind, Layer, Placement, Position, QkNormOver, Rounding, Spec};
use super::together::together;
use super::transformer::Parts;
use super::weight_rows::FEW;
use crate::error::Result;
use crate::hook_point::HookPoint;
use candle_core::Tensor;
use std::sync::Arc;

/// One block's parameters.
#[derive(Debug, Clone)]
pub(super) struct Block {
    attn_norm: Option<Norm>,
    query: Linear,
    key: Linear,
    value: Linear,
    qk_norms: Option<(Norm, Norm)>,
    attn_out: Linear,
    attn_out_norm: Option<Norm>,
    mlp_norm: Option<Norm>,
    gate: Option<Linear>,
    up: Linear,
    down: Linear,
    mlp_out_norm: Option<Norm>,
}

/// What one pass carries from block to block besides the stream.
pub(super) struct Pass<'a> {
    pub spec: &'a Spec,
    pub forest: Arc<Forest>,
    pub cache: Option<&'a mut Cache>,
    pub hook: &'a mut dyn Hook,
    /// Rotations made so far; layers that turn alike share one.
    pub turns: Vec<(Rotary, Turns)>,
    /// The ALiBi terms, once a layer asked for them.
    pub bias: Option<Arc<Vec<Vec<f32>>>>,
    /// The only rows that are looked at in the block that runs; `None` is all.
    pub asked: Option<Arc<Vec<u32>>>,
    /// Which rows are alike while values of a row depend on nothing else; `None` is that all are their own.
    pub alike: Option<Alike>,
    /// What block 0 makes of each row by itself, where it is known before.
    pub known: Option<ByItself>,
}

impl Pass<'_> {
    /// The rows that are looked at, of a value of all rows.
    ///
    /// # Shapes
    /// `[n_new, width]` to `[n_asked, width]`.
    fn asked(&self, values: &Tensor) -> Result<Tensor> {
        Ok(match &self.asked {
            Some(rows) => {
                let index = Tensor::from_slice(rows, rows.len(), values.device())?;
                values.index_select(&index, 0)?
            }
            None => values.clone(),
        })
    }

    /// One of each kind of row where rows are alike, else all.
    ///
    /// # Shapes
    /// `[n_new, width]` to `[n_kinds, width]`.
    fn ones(&self, rows: &Tensor) -> Result<Tensor> {
        Ok(self.alike.as_ref().map_or_else(|| Ok(rows.clone()), |alike| alike.ones(rows))?)
    }

    /// All rows again from one of each kind.
    ///
    /// # Shapes
    /// `[n_kinds, width]` to `[n_new, width]`.
    fn all(&self, ones: Tensor) -> Result<Tensor> {
        Ok(self.alike.as_ref().map_or_else(|| Ok(ones.clone()), |alike| alike.all(&ones))?)
    }

    fn turns(&mut self, rotary: &Rotary) -> Turns {
        if let Some((_, turns)) = self.turns.iter().find(|(made, _)| made == rotary) {
            return turns.clone();
        }
        let turns = Turns::at(self.forest.new_positions(), rotary);
        self.turns.push((rotary.clone(), turns.clone()));
        turns
    }

    fn bias(&mut self, alibi: &Alibi) -> Arc<Vec<Vec<f32>>> {
        let (forest, scale) = (&self.forest, self.spec.attention.scale as f32);
        self.bias.get_or_insert_with(|| Arc::new(alibi.terms(forest.n_positions(), scale))).clone()
    }

    fn at(&mut self, point: HookPoint, values: Tensor) -> Result<Tensor> {
        self.hook.at(point, values)
    }
}

impl Alibi {
    /// What each head adds to the score of a key at each position, `[n_heads][n_positions]`.
    fn terms(&self, n_positions: usize, scale: f32) -> Vec<Vec<f32>> {
        let term = |slope: f32, position: usize| match self.rounding {
            Rounding::F32 => slope * position as f32,
            Rounding::F32FromEnd => slope * (position as f32 + 1.0 - n_positions as f32),
            Rounding::Bf16 => {
                let rounded = |x: f32| half::bf16::from_f32(x).to_f32();
                scale * rounded(rounded(slope) * rounded(position as f32))
            }
        };
        let of_head = |slope: &f32| (0..n_positions).map(|position| term(*slope, position)).collect();
        self.slopes.iter().map(of_head).collect()
    }
}

impl Block {
    /// By which weights each unit of the MLP reads the stream, and by which it writes to it.
    ///
    /// # Shapes
    /// Both `[d_mlp, d_model]`.
    pub fn mlp_weights(&self) -> Result<(Tensor, Tensor)> {
        let reads = self.gate.as_ref().unwrap_or(&self.up).weight.dense()?;
        Ok((reads, self.down.weight.dense()?.t()?.contiguous()?))
    }

    pub fn new(spec: &Spec, l: usize, parts: &mut Parts) -> Result<Block> {
        use Part::*;
        let at = |part| Place::Block(l, part);
        let (of_stream, of_output) =
            (spec.placement.has_norm_of_stream(), spec.placement.has_norm_of_output());
        let has_mlp_norm = of_stream && spec.block != BlockKind::ParallelOneNorm;
        let qk_norms = match spec.attention.qk_norm {
            Some(norm) => {
                let kind = |width| (norm.kind, width);
                let (q, kv) = match norm.over {
                    QkNormOver::Heads => (spec.n_heads * spec.d_head, spec.n_kv_heads * spec.d_head),
                    QkNormOver::Head | QkNormOver::OwnHead => (spec.d_head, spec.d_head),
                };
                Some((parts.norm(at(QueryNorm), kind(q))?, parts.norm(at(KeyNorm), kind(kv))?))
            }
            None => None,
        };
        let mut norm = |is_there: bool, part| {
            is_there.then(|| parts.norm(at(part), (spec.norm, spec.d_model))).transpose()
        };
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

    /// The stream after the block.
    ///
    /// # Shapes
    /// `[n_new, d_model]` in; the rows that are looked at, `[n_asked, d_model]`, out.
    pub fn forward(&self, l: usize, resid_pre: Tensor, pass: &mut Pass) -> Result<Tensor> {
        if let Some(ByItself { heads, mlp_out }) = pass.known.take() {
            let attn_out = self.attn_out(l, heads, pass)?;
            let mlp_out = pass.at(HookPoint::MlpOut(l), mlp_out)?;
            return Ok(add(&add(&resid_pre, &attn_out)?, &mlp_out)?);
        }
        pass.alike = match (l, &pass.asked) {
            (0, None) => Alike::among(&resid_pre)?,
            _ => None,
        };
        let one_of_each = pass.ones(&resid_pre)?;
        let all_normed = self.read(&self.attn_norm, &one_of_each, pass.spec)?;
        let (normed, resid_pre) = (pass.asked(&all_normed)?, pass.asked(&resid_pre)?);
        let [q, k, v] = self.heads((&normed, &all_normed), pass.spec)?;
        let attn_out = self.attn_out(l, [pass.all(q)?, pass.all(k)?, pass.all(v)?], pass)?;
        if pass.spec.block != BlockKind::Sequential {
            let normed = match pass.spec.block {
                BlockKind::Parallel => self.read(&self.mlp_norm, &pass.asked(&one_of_each)?, pass.spec)?,
                _ => normed,
            };
            let mlp_out = self.mlp(l, &normed, pass)?;
            return Ok(add(&add(&resid_pre, &attn_out)?, &mlp_out)?);
        }
        pass.alike = None; // After attention a row is more than its token.
        let resid_mid = self.joined(&self.attn_norm, add(&resid_pre, &attn_out)?, pass.spec)?;
        let resid_mid = pass.at(HookPoint::ResidMid(l), resid_mid)?;
        let normed = self.read(&self.mlp_norm, &resid_mid, pass.spec)?;
        let mlp_out = self.mlp(l, &normed, pass)?;
        self.joined(&self.mlp_norm, add(&resid_mid, &mlp_out)?, pass.spec)
    }

    /// What attention or MLP reads of the stream.
    fn read(&self, norm: &Option<Norm>, stream: &Tensor, spec: &Spec) -> Result<Tensor> {
        match norm {
            Some(norm) if spec.placement != Placement::AfterSum => Ok(norm.forward(stream)?),
            _ => Ok(stream.clone()),
        }
    }

    /// What attention or MLP adds to the stream.
    fn written(&self, norm: &Option<Norm>, output: Tensor, spec: &Spec) -> Result<Tensor> {
        let output = match norm {
            Some(norm) => norm.forward(&output)?,
            None => output,
        };
        Ok(if spec.residual_scale == 1.0 { output } else { (output * spec.residual_scale)? })
    }

    /// The sum of stream and output, normed where norms come after.
    fn joined(&self, norm: &Option<Norm>, sum: Tensor, spec: &Spec) -> Result<Tensor> {
        match norm {
            Some(norm) if spec.placement == Placement::AfterSum => Ok(norm.forward(&sum)?),
            _ => Ok(sum),
        }
    }

    /// What a block whose parts are parallel makes of each row by itself.
    ///
    /// # Shapes
    /// `[n, d_model]`.
    pub fn by_itself(&self, stream: &Tensor, spec: &Spec) -> Result<ByItself> {
        let normed = self.read(&self.attn_norm, stream, spec)?;
        let heads = self.heads((&normed, &normed), spec)?;
        let normed = match spec.block {
            BlockKind::Parallel => self.read(&self.mlp_norm, stream, spec)?,
            _ => normed,
        };
        let mlp_out = self.down.forward(&self.neurons(&normed, spec)?)?;
        Ok(ByItself { heads, mlp_out: self.written(&self.mlp_out_norm, mlp_out, spec)? })
    }

    /// Queries, keys and values, not turned yet.
    ///
    /// # Shapes
    /// Of the rows that ask `[n_asked, d_model]`, of all new rows `[n_new, d_model]`; heads lie side by side.
    fn heads(&self, (asking, all): (&Tensor, &Tensor), spec: &Spec) -> Result<[Tensor; 3]> {
        let clip = |x: Tensor| match spec.attention.clip {
            Some(clip) => x.clamp(-clip, clip),
            None => Ok(x),
        };
        let [q, k, v] = match asking.id() == all.id() {
            true => together([(&self.query, None), (&self.key, None), (&self.value, None)], all)?,
            false => [self.query.forward(asking)?, self.key.forward(all)?, self.value.forward(all)?],
        };
        let (mut q, mut k) = (clip(q)?, clip(k)?);
        let over = spec.attention.qk_norm.map(|norm| norm.over);
        if let (Some((of_q, of_k)), Some(QkNormOver::Heads)) = (&self.qk_norms, over) {
            (q, k) = (of_q.forward(&q)?, of_k.forward(&k)?);
        }
        Ok([q, k, clip(v)?])
    }

    /// What attention adds to the stream, as hooks leave it.
    fn attn_out(&self, l: usize, heads: [Tensor; 3], pass: &mut Pass) -> Result<Tensor> {
        let attn_out = self.attention(l, heads, pass)?;
        let attn_out = self.written(&self.attn_out_norm, attn_out, pass.spec)?;
        pass.at(HookPoint::AttnOut(l), attn_out)
    }

    /// # Shapes
    /// Queries of the rows that ask, keys and values of all new rows, heads side by side; the result is
    /// `[n_asked, d_model]`.
    fn attention(&self, l: usize, [mut q, mut k, mut v]: [Tensor; 3], pass: &mut Pass) -> Result<Tensor> {
        let spec = pass.spec;
        let over = spec.attention.qk_norm.map(|norm| norm.over);
        let (n_asked, n_new, d_head) = (q.dim(0)?, k.dim(0)?, spec.d_head);
        q = q.reshape((n_asked, spec.n_heads, d_head))?; // [n_asked, heads * d_head] -> [.., heads, d_head]
        k = k.reshape((n_new, spec.n_kv_heads, d_head))?;
        v = v.reshape((n_new, spec.n_kv_heads, d_head))?;
        if let (Some((of_q, of_k)), Some(QkNormOver::Head | QkNormOver::OwnHead)) = (&self.qk_norms, over) {
            (q, k) = (of_q.forward(&q)?, of_k.forward(&k)?);
        }
        let Layer { window, position } = &spec.layers[l];
        if let Position::Rotary(rotary) = position {
            let turns = pass.turns(rotary);
            let of_asked = pass.asked.as_ref().map(|rows| turns.of(rows));
            (q, k) = (of_asked.as_ref().unwrap_or(&turns).turn(&q)?, turns.turn(&k)?);
        }
        if let Some(cache) = pass.cache.as_deref_mut() {
            (k, v) = cache.join(l, k, v)?; // [n_new, ..] -> [n_nodes, ..]
        }
        let op = ForestAttention {
            forest: pass.forest.clone(),
            asked: pass.asked.clone(),
            scale: spec.attention.scale as f32,
            soft_cap: spec.attention.soft_cap.map(|cap| cap as f32),
            direction: spec.attention.direction,
            window: *window,
            bias: match position {
                Position::Alibi(alibi) => Some(pass.bias(alibi)),
                _ => None,
            },
        };
        let z = op.forward(&q, &k, &v)?.reshape((n_asked, spec.n_heads * d_head))?; // heads side by side
        let z = pass.at(HookPoint::AttnZ(l), z)?;
        self.attn_out.forward(&z)
    }

    /// # Shapes
    /// `[n, d_model]` to `[n, d_mlp]`.
    fn neurons(&self, x: &Tensor, spec: &Spec) -> Result<Tensor> {
        let activation = spec.mlp.activation();
        match &self.gate {
            Some(gate) if x.dim(0)? <= FEW => {
                let [gate, up] = together([(gate, Some(activation)), (&self.up, None)], x)?;
                Ok(multiply(&gate, &up)?)
            }
            Some(gate) => self.up.gated(gate.activated(activation, x)?, x),
            None => self.up.activated(activation, x),
        }
    }

    fn mlp(&self, l: usize, x: &Tensor, pass: &mut Pass) -> Result<Tensor> {
        let neurons = self.neurons(x, pass.spec)?; // [n_asked, d_mlp], or one of each kind
        let shown = pass.all(neurons.clone())?; // [n_asked, d_mlp]
        let seen = pass.at(HookPoint::MlpPost(l), shown.clone())?;
        let mlp_out = match seen.id() == shown.id() {
            true => pass.all(self.down.forward(&neurons)?)?, // nobody changed them
            false => self.down.forward(&seen)?,
        };
        let mlp_out = self.written(&self.mlp_out_norm, mlp_out, pass.spec)?;
        pass.at(HookPoint::MlpOut(l), mlp_out)
    }
}
