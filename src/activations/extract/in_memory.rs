//! An extraction into memory.

use super::hook_points::width;
use super::prepared::{Division, Prepared};
use super::recording::Recording;
use super::sink::Sink;
use super::span::SpanRow;
use super::text_model::{PromptedDataset, TextModel};
use super::workers::{Jobs, run};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::progress::Observer;
use ndarray::{Array2, ArrayView2, s};
use std::collections::BTreeMap;

/// The activations of a dataset's entities, in dataset order.
#[derive(Debug, Clone)]
pub struct ExtractedActivations {
    /// One array per hook point, `[n_rows, width]`.
    pub arrays: BTreeMap<HookPoint, Array2<f32>>,
    /// Each entity's tokens.
    pub spans: Vec<SpanRow>,
    /// The number of tokens of all texts: up to the last pooled token, or all tokens for an encoder.
    pub n_tokens: usize,
    /// The number of tokens that the model computed; a prefix that texts of one batch share counts once.
    pub n_computed: usize,
    /// The number of entities that contain the token for unknown text, such as `[UNK]`.
    pub n_unknown: usize,
}

/// Extracts the activations at each entity's last token into memory.
///
/// # Errors
/// [`Error::EntityNotPlaced`] naming the row; [`Error::UnknownHookPoint`] if the model lacks a hook point;
/// [`Error::NonFinite`] naming hook point, entity and token;
/// [`Error::Stopped`] if the observer requests it.
pub fn extract(
    model: TextModel,
    texts: PromptedDataset,
    points: &[HookPoint],
    observer: &mut dyn Observer,
) -> Result<ExtractedActivations> {
    let division = Division::of(model.transformer);
    Prepared::new(model, texts, Recording::default(), division)?.extract(points, observer)
}

impl Prepared<'_> {
    /// Extracts into memory, in f32, whatever the number format of the recording.
    ///
    /// # Errors
    /// [`Error::UnknownHookPoint`] if the model lacks one of them; [`Error::NonFinite`] naming hook
    /// point, entity and token; [`Error::Stopped`] if the observer requests it.
    pub fn extract(&self, points: &[HookPoint], observer: &mut dyn Observer) -> Result<ExtractedActivations> {
        self.check(points)?;
        let spans = self.span_rows()?;
        let n_rows = spans.iter().map(|span| span.n_rows).sum();
        let array = |point: &HookPoint| (*point, Array2::zeros((n_rows, width(self.spec(), *point))));
        let arrays = points.iter().map(array).collect();
        let mut memory = Memory { prepared: self, arrays, rows: self.first_rows() };
        let batches: Vec<usize> = self.batches().collect();
        run(self, &Jobs { points, batches: &batches }, &mut memory, observer)?;
        Ok(ExtractedActivations {
            arrays: memory.arrays,
            spans,
            n_tokens: self.n_tokens(),
            n_computed: self.n_computed(),
            n_unknown: self.n_unknown(),
        })
    }
}

/// A sink of arrays in memory.
struct Memory<'a> {
    prepared: &'a Prepared<'a>,
    arrays: BTreeMap<HookPoint, Array2<f32>>,
    rows: BTreeMap<usize, usize>,
}

impl Sink for Memory<'_> {
    fn put(&mut self, batch: usize, point: HookPoint, values: &[f32]) -> Result<()> {
        for (entity, values) in self.prepared.by_entity(batch, point, values) {
            let fault = || Error::Internal(format!("no array row for {point} of entity {entity}"));
            let (array, row) = self.arrays.get_mut(&point).zip(self.rows.get(&entity)).ok_or_else(fault)?;
            let width = array.ncols();
            let rows = ArrayView2::from_shape((values.len() / width, width), values).map_err(|_| fault())?;
            array.slice_mut(s![*row..row + rows.nrows(), ..]).assign(&rows);
        }
        Ok(())
    }

    fn end(&mut self, _batch: usize) -> Result<()> {
        Ok(())
    }
}
