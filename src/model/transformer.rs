//! The forward pass: one transformer for every family, one line a hook point.

use super::block::{Block, Pass};
use super::cache::Cache;
use super::first_block::FirstBlock;
use super::forest::Forest;
use super::hook::Hook;
use super::linear::{Linear, Matrix, Weight};
use super::norm::Norm;
use super::params::{Param, Place, list};
use super::spec::{Direction, Head, NormKind, Positions, Spec};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use candle_core::{DType, Device, Tensor};
use std::collections::HashMap;
use std::sync::Arc;

/// A transformer: its spec and its weights.
#[derive(Debug, Clone)]
pub struct Transformer {
    /// The choices it was built from.
    pub spec: Spec,
    embed: Matrix,
    project_in: Option<Linear>,
    positions: Option<Tensor>,
    token_type: Option<Tensor>,
    embed_norm: Option<Norm>,
    pub(super) blocks: Vec<Block>,
    head: Option<HeadParts>,
}

/// From the stream after the last block to logits.
#[derive(Debug, Clone)]
struct HeadParts {
    norm: Option<Norm>,
    project_out: Option<Linear>,
    transform: Option<(Linear, Norm)>,
    unembed: Linear,
}

/// The parameters as they are given, taken one by one as the model is put together.
pub(super) struct Parts {
    all: HashMap<Param, Weight>,
    eps: f64,
    device: Device,
}

impl Parts {
    fn take(&mut self, param: Param) -> Result<Weight> {
        self.all.remove(&param).ok_or_else(|| Error::Internal(format!("no parameter {param}")))
    }

    fn dense(&mut self, param: Param) -> Result<Option<Tensor>> {
        self.all.remove(&param).map(Weight::dense).transpose()
    }

    pub fn linear(&mut self, place: Place) -> Result<Linear> {
        Ok(Linear { weight: Matrix::new(self.take(place.weight())?)?, bias: self.dense(place.bias())? })
    }

    fn maybe_linear(&mut self, place: Place) -> Result<Option<Linear>> {
        self.all.contains_key(&place.weight()).then(|| self.linear(place)).transpose()
    }

    pub fn norm(&mut self, place: Place, (kind, width): (NormKind, usize)) -> Result<Norm> {
        let weight = match self.dense(place.weight())? {
            Some(weight) => weight,
            None => Tensor::ones(width, DType::F32, &self.device)?,
        };
        let bias = self.dense(place.bias())?.map_or_else(|| weight.zeros_like(), Ok)?;
        Ok(Norm { kind, eps: self.eps, weight, bias })
    }
}

impl Transformer {
    /// A transformer whose parameters come from `param`, which is told name and shape.
    ///
    /// # Errors
    /// Whatever `param` answers.
    pub fn new(spec: Spec, param: &mut dyn FnMut(Param, &[usize]) -> Result<Weight>) -> Result<Transformer> {
        let all = list(&spec)
            .into_iter()
            .map(|(name, shape)| Ok((name, param(name, &shape)?)))
            .collect::<Result<HashMap<Param, Weight>>>()?;
        let mut parts = Parts { all, eps: spec.norm_eps, device: Device::Cpu };
        let embed = Matrix::new(parts.take(Place::Embed.weight())?)?;
        parts.device = embed.device();
        let embed_norm = spec.embedding.norm.then(|| parts.norm(Place::EmbedNorm, (spec.norm, spec.d_model)));
        let positions = match spec.embedding.positions {
            Positions::Sinusoidal { offset } => {
                Some(sinusoids(offset + spec.n_context, spec.d_model)?.to_device(&parts.device)?)
            }
            _ => parts.dense(Place::Positions.weight())?,
        };
        let token_type = parts.dense(Place::TokenTypes.weight())?;
        Ok(Transformer {
            project_in: parts.maybe_linear(Place::ProjectIn)?,
            positions,
            token_type: token_type.map(|table| table.narrow(0, 0, 1)).transpose()?,
            embed_norm: embed_norm.transpose()?,
            blocks: (0..spec.n_layers).map(|l| Block::new(&spec, l, &mut parts)).collect::<Result<_>>()?,
            head: spec.head.map(|head| HeadParts::new(&spec, head, (&embed, &mut parts))).transpose()?,
            embed,
            spec,
        })
    }

    /// By which weights each MLP unit of a block reads the stream, and by which it writes to it, as they are
    /// stored: what is read is behind the block's norm. A gated unit reads by its gate.
    ///
    /// # Shapes
    /// Both `[d_mlp, d_model]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such block.
    pub fn mlp_weights(&self, layer: usize) -> Result<(Tensor, Tensor)> {
        let block = self.blocks.get(layer).ok_or_else(|| {
            Error::invalid("block", layer, format!("one from 0 to {}", self.spec.n_layers - 1))
        })?;
        block.mlp_weights()
    }

    /// Where its weights lie and its passes run.
    pub fn device(&self) -> Device {
        self.embed.device()
    }

    /// Whether it can continue a text: it sees only what stands before, and came with a head.
    pub fn generates(&self) -> bool {
        self.spec.attention.direction == Direction::Causal && self.head.is_some()
    }

    /// The forest of several texts as this model reads them, and each text's last node: beginnings are
    /// shared where a token sees only what stands before it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a text has no tokens.
    pub fn forest(&self, texts: &[Vec<u32>]) -> Result<(Forest, Vec<u32>)> {
        match self.spec.attention.direction {
            Direction::Causal => Forest::of_texts(texts),
            Direction::Bidirectional => Forest::of_chains(texts),
        }
    }

    /// Runs the forest's new nodes through the blocks; the hook may stop it early.
    ///
    /// # Shapes
    /// The stream after the last block that ran, `[n_new, d_model]`, or of it the rows that the hook looks
    /// at in the last layer it needs.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a token id outside the vocabulary or a text longer than the context.
    pub fn forward(&self, forest: &Forest, cache: Option<&mut Cache>, hook: &mut dyn Hook) -> Result<Tensor> {
        self.pass((forest, None), cache, hook)
    }

    /// The same, where what block 0 makes of the tokens is known before; it is used where no hook changes what enters
    /// the block or sees its neurons.
    ///
    /// # Shapes
    /// As [`Transformer::forward`].
    ///
    /// # Errors
    /// As [`Transformer::forward`].
    pub fn forward_knowing(
        &self,
        (forest, first): (&Forest, Option<&FirstBlock>),
        hook: &mut dyn Hook,
    ) -> Result<Tensor> {
        self.pass((forest, first), None, hook)
    }

    fn pass(
        &self,
        (forest, first): (&Forest, Option<&FirstBlock>),
        cache: Option<&mut Cache>,
        hook: &mut dyn Hook,
    ) -> Result<Tensor> {
        self.check(forest)?;
        hook.begin(forest)?;
        let stop = hook.last_layer();
        let forest = Arc::new(forest.clone());
        let embedded = self.embed(&forest)?;
        let mut stream = embedded.clone();
        let mut pass = Pass {
            spec: &self.spec,
            forest,
            cache,
            hook,
            turns: vec![],
            bias: None,
            asked: None,
            alike: None,
            known: None,
        };
        for (l, block) in self.blocks.iter().enumerate() {
            stream = pass.hook.at(HookPoint::ResidPre(l), stream)?;
            if stop == Some(l) {
                if pass.hook.stops_before_block() {
                    break;
                }
                pass.asked = pass.hook.last_rows().map(Arc::new);
            }
            if let (Some(first), 0, None, true) = (first, l, &pass.asked, stream.id() == embedded.id())
                && !pass.hook.sees(HookPoint::MlpPost(0))
            {
                pass.known = first.rows(pass.forest.new_tokens())?;
            }
            stream = block.forward(l, stream, &mut pass)?;
            stream = pass.hook.at(HookPoint::ResidPost(l), stream)?;
            if stop == Some(l) {
                break;
            }
        }
        Ok(stream)
    }

    /// What enters block 0: token embeddings, and whatever the family adds to them.
    pub(super) fn embed(&self, forest: &Forest) -> Result<Tensor> {
        let device = self.device();
        let ids = |ids: &[u32]| Tensor::from_slice(ids, ids.len(), &device);
        let Spec { embedding, .. } = self.spec;
        let mut stream = self.embed.rows(&ids(forest.new_tokens())?)?; // [n_new, d_embed]
        if embedding.scale != 1.0 {
            stream = (stream * embedding.scale)?;
        }
        if let Some(project_in) = &self.project_in {
            stream = project_in.forward(&stream)?; // [n_new, d_embed] -> [n_new, d_model]
        }
        if let Some(table) = &self.positions {
            let rows = position_rows(embedding.positions, forest);
            stream = (stream + table.index_select(&ids(&rows)?, 0)?)?;
        }
        if let Some(row) = &self.token_type {
            stream = stream.broadcast_add(row)?;
        }
        Ok(match &self.embed_norm {
            Some(norm) => norm.forward(&stream)?,
            None => stream,
        })
    }

    /// The logits for the token after each row of a last-layer stream; for a masked-language model, for
    /// the row's own token.
    ///
    /// # Shapes
    /// `[n, d_model]` to `[n, d_vocab]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the checkpoint came without an unembedding.
    pub fn logits(&self, stream: &Tensor) -> Result<Tensor> {
        let (Some(parts), Some(head)) = (&self.head, self.spec.head) else {
            let expected = "a checkpoint with a language-model head; this one carries hidden states only";
            return Err(Error::invalid("unembedding", "none", expected));
        };
        let mut x = match &parts.norm {
            Some(norm) => norm.forward(stream)?,
            None => stream.clone(),
        };
        if let Some(project_out) = &parts.project_out {
            x = project_out.forward(&x)?; // [n, d_model] -> [n, d_embed]
        }
        if let (Some((dense, norm)), Some(activation)) = (&parts.transform, head.transform) {
            x = norm.forward(&dense.activated(activation, &x)?)?;
        }
        let mut logits = parts.unembed.forward(&x)?; // [n, d_embed] -> [n, d_vocab]
        if head.scale != 1.0 {
            logits = (logits * head.scale)?;
        }
        Ok(match head.soft_cap {
            Some(cap) => ((logits / cap)?.tanh()? * cap)?,
            None => logits,
        })
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
        let sees_all = self.spec.attention.direction == Direction::Bidirectional;
        if sees_all && (forest.n_past() > 0 || !forest.is_chains()) {
            let expected = "whole texts that share no tokens, as an encoder sees both ways; \
                            an encoder does not generate";
            return Err(Error::invalid("forest", "a part of a text or a shared beginning", expected));
        }
        Ok(())
    }
}

impl HeadParts {
    fn new(spec: &Spec, head: Head, (embed, parts): (&Matrix, &mut Parts)) -> Result<HeadParts> {
        let width = (spec.norm, spec.d_model);
        let transform = match head.transform {
            Some(_) => Some((parts.linear(Place::HeadDense)?, parts.norm(Place::HeadNorm, width)?)),
            None => None,
        };
        let bias = parts.dense(Place::Unembed.bias())?;
        let weight =
            if head.tied { embed.clone() } else { Matrix::new(parts.take(Place::Unembed.weight())?)? };
        Ok(HeadParts {
            norm: head.norm.then(|| parts.norm(Place::FinalNorm, width)).transpose()?,
            project_out: parts.maybe_linear(Place::ProjectOut)?,
            transform,
            unembed: Linear { weight, bias },
        })
    }
}

/// The row of the table of positions for each new token.
fn position_rows(positions: Positions, forest: &Forest) -> Vec<u32> {
    let offset = match positions {
        Positions::Learned { offset } | Positions::Sinusoidal { offset } => offset as u32,
        Positions::AfterPadding { padding } => return rows_after_padding(padding as u32, forest),
        Positions::Nothing => 0,
    };
    forest.new_positions().iter().map(|position| position + offset).collect()
}

/// Rows counted over a text's tokens that are not padding.
fn rows_after_padding(padding: u32, forest: &Forest) -> Vec<u32> {
    let is_padding: Vec<bool> = forest.new_tokens().iter().map(|token| *token == padding).collect();
    let mut n_counted: Vec<u32> = Vec::with_capacity(is_padding.len());
    for (node, is_padding) in is_padding.iter().enumerate() {
        let before = forest.parent(node as u32).map_or(0, |parent| n_counted[parent as usize]);
        n_counted.push(before + u32::from(!is_padding));
    }
    let row = |(is_padding, n): (&bool, u32)| if *is_padding { padding } else { padding + n };
    is_padding.iter().zip(n_counted).map(row).collect()
}

/// Fixed positions: half of each row sines, half cosines, of geometric frequencies.
///
/// # Shapes
/// `[n_positions, d_model]`.
///
/// # Source
/// Vaswani et al., "Attention Is All You Need", section 3.5, laid out as XGLM does.
fn sinusoids(n_positions: usize, d_model: usize) -> Result<Tensor> {
    let half = d_model / 2;
    let step = -(10_000f64.ln() / (half as f64 - 1.0)) as f32;
    let mut rows = Vec::with_capacity(n_positions * d_model);
    for position in 0..n_positions {
        let angles: Vec<f32> = (0..half).map(|i| position as f32 * (i as f32 * step).exp()).collect();
        rows.extend(angles.iter().map(|angle| angle.sin()));
        rows.extend(angles.iter().map(|angle| angle.cos()));
        rows.resize((position + 1) * d_model, 0.0); // an odd width ends in a zero
    }
    Ok(Tensor::from_vec(rows, (n_positions, d_model), &Device::Cpu)?)
}
