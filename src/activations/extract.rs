//! Entities through the model, packed as forests: each distinct token prefix is computed once.

use super::crew::run;
use super::recording::{Recording, width};
use super::span::SpanRow;
use super::work::{Division, Work};
use crate::datasets::{Dataset, Prompt};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::Transformer;
use crate::tokenizer::Tokenizer;
use ndarray::{Array2, ArrayView2, s};
use std::collections::BTreeMap;

/// What reads the texts: a transformer and the tokenizer it was trained with.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// The weights, and the forward pass.
    pub transformer: &'a Transformer,
    /// Texts to tokens.
    pub tokenizer: &'a Tokenizer,
}

/// How far an extraction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Entities done, those of an earlier run included.
    pub n_done: usize,
    /// Entities in all.
    pub n_entities: usize,
    /// Tokens computed so far, those of groups under way by the hook points that they have passed; in other work than
    /// passes, as many as entities.
    pub n_tokens_done: usize,
    /// Tokens to compute in all.
    pub n_tokens: usize,
}

/// Who watches an extraction: told how far it is, and asked whether it shall go on.
pub trait Watch {
    /// Told at the beginning, where an earlier run may have left something, and after each hook point of a group.
    fn at(&mut self, progress: Progress);

    /// Asked many times a group; the groups that are then on their way are dropped.
    fn stops(&self) -> bool {
        false
    }
}

/// A watch that only looks.
struct Looking<'a>(&'a mut dyn FnMut(Progress));

impl Watch for Looking<'_> {
    fn at(&mut self, progress: Progress) {
        (self.0)(progress);
    }
}

/// Where what is read goes.
pub(super) trait Sink {
    /// Takes a group's rows at a hook point, those of one entity after the other, `[n_rows, width]`. Several
    /// groups may be on their way.
    fn put(&mut self, group: usize, point: HookPoint, values: &[f32]) -> Result<()>;

    /// Told when all of a group has been taken.
    fn end(&mut self, group: usize) -> Result<()>;
}

/// What was extracted, in dataset order.
#[derive(Debug, Clone)]
pub struct Extraction {
    /// One array a hook point, `[n_rows, width]`.
    pub arrays: BTreeMap<HookPoint, Array2<f32>>,
    /// Each entity's tokens.
    pub spans: Vec<SpanRow>,
    /// Tokens of all texts: up to the last that is read, or whole where a token sees both ways.
    pub n_tokens: usize,
    /// Tokens that went through the model.
    pub n_computed: usize,
    /// Entities with a part that the tokenizer does not know, such as `[UNK]`.
    pub n_unknown: usize,
}

/// Reads the stream at each entity's last token, into memory.
///
/// # Errors
/// [`Error::EntityNotPlaced`] naming the row; [`Error::NonFinite`] naming hook point, entity and token.
pub fn extract(
    reader: Reader,
    (dataset, prompt): (&Dataset, &Prompt),
    points: &[HookPoint],
    progress: &mut dyn FnMut(Progress),
) -> Result<Extraction> {
    let division = Division::of(reader.transformer);
    Work::new(reader, (dataset, prompt), Recording::default(), division)?.extract(points, progress)
}

impl Work<'_> {
    /// Reads into memory; values are not rounded to what a store would keep.
    ///
    /// # Errors
    /// [`Error::UnknownHookPoint`] if the model has none of that name; [`Error::NonFinite`] naming hook
    /// point, entity and token.
    pub fn extract(&self, points: &[HookPoint], progress: &mut dyn FnMut(Progress)) -> Result<Extraction> {
        self.check(points)?;
        let spans = self.span_rows()?;
        let n_rows = spans.iter().map(|span| span.n_rows).sum();
        let array = |point: &HookPoint| (*point, Array2::zeros((n_rows, width(self.spec(), *point))));
        let arrays = points.iter().map(array).collect();
        let mut memory = Memory { work: self, arrays, rows: self.first_rows() };
        let groups: Vec<usize> = self.groups().collect();
        run(self, (points, &groups), &mut memory, &mut Looking(progress))?;
        Ok(Extraction {
            arrays: memory.arrays,
            spans,
            n_tokens: self.n_tokens(),
            n_computed: self.n_computed(),
            n_unknown: self.n_unknown(),
        })
    }
}

/// Arrays in memory.
struct Memory<'a> {
    work: &'a Work<'a>,
    arrays: BTreeMap<HookPoint, Array2<f32>>,
    rows: BTreeMap<usize, usize>,
}

impl Sink for Memory<'_> {
    fn put(&mut self, group: usize, point: HookPoint, values: &[f32]) -> Result<()> {
        for (entity, values) in self.work.by_entity(group, (point, values)) {
            let fault = || Error::Internal(format!("no place for {point} of entity {entity}"));
            let (array, row) = self.arrays.get_mut(&point).zip(self.rows.get(&entity)).ok_or_else(fault)?;
            let width = array.ncols();
            let rows = ArrayView2::from_shape((values.len() / width, width), values).map_err(|_| fault())?;
            array.slice_mut(s![*row..row + rows.nrows(), ..]).assign(&rows);
        }
        Ok(())
    }

    fn end(&mut self, _group: usize) -> Result<()> {
        Ok(())
    }
}
