//! The hooks that change the stream at hook points and positions: one change for all texts, or one per text.

use super::op::{Norm, Op};
use super::positions::TokenPositions;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::{Forest, Hook, Spec};
use candle_core::Tensor;
use std::collections::BTreeSet;
use std::ops::Range;

/// A change of the stream at one hook point and at chosen positions.
#[derive(Debug, Clone)]
pub struct SteerHook {
    point: HookPoint,
    op: Op,
    norm: Norm,
    positions: TokenPositions,
    /// The rows of the current pass that are changed.
    rows: Vec<usize>,
    n_changed: usize,
}

impl SteerHook {
    /// A hook that applies `op` at `point` of a model, at the chosen positions.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the model has no such hook point, or its width differs from that of the op;
    /// [`Error::NonFinite`] if the op has a value that is not finite.
    pub fn new(spec: &Spec, point: HookPoint, op: Op, positions: TokenPositions) -> Result<SteerHook> {
        let Some(width) = spec.width_at(point) else {
            let place = if point.layer() >= spec.n_layers {
                format!("a block from 0 to {}", spec.n_layers - 1)
            } else {
                format!("a hook point of {} models, whose blocks are parallel", spec.family)
            };
            return Err(Error::invalid("hook point to steer at", point, place));
        };
        if op.width() != width {
            let expected = format!("{width} values, the width of {point} in this model");
            return Err(Error::invalid(
                "width of the change of the stream",
                format!("{} values", op.width()),
                expected,
            ));
        }
        op.check(point)?;
        Ok(SteerHook { point, op, norm: Norm::Free, positions, rows: vec![], n_changed: 0 })
    }

    /// Sets the length of a changed row, which is [`Norm::Free`] by default.
    pub fn with_norm(self, norm: Norm) -> SteerHook {
        SteerHook { norm, ..self }
    }

    /// The number of rows at the chosen positions so far, including those that a dose of 0 leaves unchanged.
    pub fn n_changed(&self) -> usize {
        self.n_changed
    }
}

impl Hook for SteerHook {
    fn begin(&mut self, forest: &Forest) -> Result<()> {
        let positions = forest.new_positions().iter().enumerate();
        self.rows = positions.filter(|(_, p)| self.positions.contains(**p)).map(|(row, _)| row).collect();
        Ok(())
    }

    fn at(&mut self, point: HookPoint, stream: Tensor) -> Result<Tensor> {
        if point != self.point || self.rows.is_empty() {
            return Ok(stream);
        }
        self.n_changed += self.rows.len();
        if self.op.is_identity() {
            return Ok(stream); // dose 0 leaves the stream bit-identical
        }
        let (rows, op, norm) = (&self.rows, &self.op, self.norm);
        changed(stream, |values, width| {
            rows.iter().for_each(|row| op.apply(&mut values[row * width..][..width], norm));
        })
    }
}

/// The stream after a change of its values.
fn changed(stream: Tensor, change: impl FnOnce(&mut [f32], usize)) -> Result<Tensor> {
    let (n, width) = stream.dims2()?;
    let mut values = stream.flatten_all()?.to_vec1::<f32>()?;
    change(&mut values, width);
    Ok(Tensor::from_vec(values, (n, width), stream.device())?)
}

/// Several changes, applied one after the other.
#[derive(Debug, Clone, Default)]
pub struct SteerHooks(pub Vec<SteerHook>);

impl SteerHooks {
    /// The number of rows at the chosen positions so far; a row counts once per change.
    pub fn n_changed(&self) -> usize {
        self.0.iter().map(SteerHook::n_changed).sum()
    }
}

impl Hook for SteerHooks {
    fn begin(&mut self, forest: &Forest) -> Result<()> {
        self.0.iter_mut().try_for_each(|steer| steer.begin(forest))
    }

    fn at(&mut self, point: HookPoint, stream: Tensor) -> Result<Tensor> {
        self.0.iter_mut().try_fold(stream, |stream, steer| steer.at(point, stream))
    }
}

/// Changes that differ between the texts of a forest. Texts share no nodes ([`Forest::of_chains`]) and are numbered in
/// the order of their first nodes.
#[derive(Debug, Clone)]
pub struct SteerTexts {
    of_text: Vec<Vec<SteerHook>>,
    points: BTreeSet<HookPoint>,
    /// The index of each node's text, for all nodes so far.
    texts: Vec<u32>,
    /// The position and the text of each row of the current pass.
    rows: Vec<(u32, u32)>,
}

impl SteerTexts {
    /// Creates the hook from the changes of each text.
    pub fn new(of_text: Vec<Vec<SteerHook>>) -> SteerTexts {
        let is_something = |steer: &&SteerHook| !steer.op.is_identity();
        let points = of_text.iter().flatten().filter(is_something).map(|steer| steer.point).collect();
        SteerTexts { of_text, points, texts: vec![], rows: vec![] }
    }

    /// The changes of a range of texts, for a forest of only these texts.
    pub fn part(&self, texts: Range<usize>) -> SteerTexts {
        SteerTexts::new(self.of_text[texts].to_vec())
    }
}

impl Hook for SteerTexts {
    fn begin(&mut self, forest: &Forest) -> Result<()> {
        self.texts.truncate(forest.n_past());
        let mut n_texts = self.texts.iter().max().map_or(0, |last| last + 1);
        for node in forest.n_past()..forest.len() {
            let text = match forest.parent(node as u32) {
                Some(parent) => self.texts[parent as usize],
                None => {
                    n_texts += 1;
                    n_texts - 1
                }
            };
            self.texts.push(text);
        }
        if n_texts as usize > self.of_text.len() {
            let expected =
                format!("at most {}, the number of texts for which the hook has changes", self.of_text.len());
            return Err(Error::invalid("texts of a steered forest", n_texts, expected));
        }
        let texts = self.texts[forest.n_past()..].iter();
        self.rows = forest.new_positions().iter().zip(texts).map(|(p, t)| (*p, *t)).collect();
        Ok(())
    }

    fn at(&mut self, point: HookPoint, stream: Tensor) -> Result<Tensor> {
        if !self.points.contains(&point) {
            return Ok(stream);
        }
        let (rows, of_text) = (&self.rows, &self.of_text);
        changed(stream, |values, width| {
            for (row, (position, text)) in values.chunks_exact_mut(width).zip(rows) {
                let meant = |s: &&SteerHook| {
                    s.point == point && !s.op.is_identity() && s.positions.contains(*position)
                };
                of_text[*text as usize].iter().filter(meant).for_each(|s| s.op.apply(row, s.norm));
            }
        })
    }
}
