//! The base texts of several pairs, computed once for all layers; each layer then needs only the blocks above it, at
//! the changed tokens and those after them.

use super::pairs::Pair;
use super::question::Question;
use super::streams::{array_of, values};
use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::model::{BlockInput, Capture, Forest, Hook, KvCache, NoHook, Tensor, Transformer};
use candle_core::Device;
use ndarray::Array2;
use std::collections::BTreeMap;

/// Several pairs with the cached passes of their base texts.
#[derive(Debug)]
pub(super) struct PairBatch {
    pub(super) pairs: Vec<Pair>,
    /// Past nodes: the tokens before the changed ones; new nodes: for each pair, the changed token and those after it.
    forest: Forest,
    /// Keys and values of the past nodes.
    past: KvCache,
    /// The stream of the new nodes of each base text, by block.
    base: BTreeMap<usize, Tensor>,
    /// For each new node of the pairs, its row in `base`.
    rows: Vec<u32>,
    /// The new node of each pair's changed token.
    changed: Vec<u32>,
    /// The new node of each pair's last token.
    last: Vec<u32>,
}

/// Stops at no block; in the last block, only the last token of each text is needed.
struct LastTokens<'a> {
    n_layers: usize,
    rows: &'a [u32],
}

impl Hook for LastTokens<'_> {
    fn at(&mut self, _: HookPoint, stream: Tensor) -> Result<Tensor> {
        Ok(stream)
    }

    fn sees(&self, _: HookPoint) -> bool {
        false
    }

    fn last_layer(&self) -> Option<usize> {
        self.n_layers.checked_sub(1)
    }

    fn last_rows(&self) -> Option<Vec<u32>> {
        Some(self.rows.to_vec())
    }
}

/// A list of indices as a tensor on a device.
fn index(of: &[u32], device: &Device) -> Result<Tensor> {
    Ok(Tensor::from_slice(of, of.len(), device)?)
}

impl PairBatch {
    /// Runs the base texts of some pairs.
    pub(super) fn new(
        model: &Transformer,
        question: &Question,
        pairs: &[Pair],
        layers: &[usize],
    ) -> Result<PairBatch> {
        let mut bases: Vec<usize> = pairs.iter().map(|pair| pair.base).collect();
        bases.sort_unstable();
        bases.dedup();
        let parts = bases.iter().map(|base| {
            let text = &question.texts[*base];
            text.ids.split_at(text.position)
        });
        let (prefixes, rests): (Vec<&[u32]>, Vec<&[u32]>) = parts.unzip();
        let of_bases: Vec<(usize, &[u32])> = rests.iter().copied().enumerate().collect();
        let base_of = |pair: &Pair| bases.partition_point(|base| *base < pair.base);
        let of_pairs: Vec<(usize, &[u32])> =
            pairs.iter().map(|pair| (base_of(pair), rests[base_of(pair)])).collect();
        let (base_forest, base_first) = Forest::of_continuations(&prefixes, &of_bases)?;
        let (forest, first) = Forest::of_continuations(&prefixes, &of_pairs)?;
        let mut past = KvCache::default();
        let n_past = forest.n_past() as u32;
        if n_past > 0 {
            model.forward(&forest.past(), Some(&mut past), &mut NoHook)?;
        }
        let past = past.frozen();
        let points: Vec<HookPoint> = layers.iter().map(|layer| HookPoint::ResidPost(*layer)).collect();
        let mut capture = Capture::all(&points);
        model.forward(&base_forest, Some(&mut past.clone()), &mut capture)?;
        let base = layers.iter().map(|l| Ok((*l, capture.get(HookPoint::ResidPost(*l))?.clone())));
        let base = base.collect::<Result<_>>()?;
        let mut rows = Vec::new();
        for (base, rest) in &of_pairs {
            let from = base_first[*base] - n_past;
            rows.extend(from..from + rest.len() as u32);
        }
        let changed: Vec<u32> = first.iter().map(|node| node - n_past).collect();
        let last =
            changed.iter().zip(&of_pairs).map(|(from, (_, rest))| from + rest.len() as u32 - 1).collect();
        Ok(PairBatch { pairs: pairs.to_vec(), forest, past, base, rows, changed, last })
    }

    /// The stream of the base texts at the changed token after a block.
    ///
    /// # Shapes
    /// `[n_pairs, d_model]`.
    pub(super) fn base_rows(&self, layer: usize) -> Result<Array2<f32>> {
        let base = &self.base[&layer];
        let rows: Vec<u32> = self.changed.iter().map(|at| self.rows[*at as usize]).collect();
        array_of(values(&base.index_select(&index(&rows, base.device())?, 0)?)?, base.dim(1)?)
    }

    /// The logits of the answers after each pair's base text, whose stream after a block is changed by `delta` at the
    /// changed token.
    ///
    /// # Shapes
    /// `delta` `[n_pairs, d_model]`; the result is `[n_pairs, n_answers]`.
    pub(super) fn logits(&self, model: &Transformer, answers: &[u32], change: LayerChange) -> Result<Tensor> {
        let LayerChange { layer, delta } = change;
        let base = &self.base[&layer];
        let device = base.device();
        let stream = base.index_select(&index(&self.rows, device)?, 0)?; // [n_new, d_model]
        let stream = stream.index_add(&index(&self.changed, device)?, delta, 0)?;
        let n_layers = model.spec.n_layers;
        let last = match layer + 1 < n_layers {
            true => {
                let input = BlockInput { block: layer + 1, stream };
                let mut hook = LastTokens { n_layers, rows: &self.last };
                model.forward_from(input, &self.forest, Some(&mut self.past.clone()), &mut hook)?
            }
            false => stream.index_select(&index(&self.last, device)?, 0)?,
        };
        model.logits_of(answers, &last)
    }
}

/// A change of the stream after a block.
pub(super) struct LayerChange<'a> {
    pub(super) layer: usize,
    /// The change at each pair's changed token, added to the stream, `[n_pairs, d_model]`.
    pub(super) delta: &'a Tensor,
}
