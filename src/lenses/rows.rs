//! The stream at many hook points for rows of texts, computed in batches.

use super::texts::LensText;
use crate::activations::{Batches, batch_tokens};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::{Capture, Tensor, Transformer};
use crate::progress::{Observer, Progress};
use rayon::prelude::*;
use std::ops::Range;

/// The number of parallel passes on the CPU.
const SIDE_BY_SIDE: usize = 4;

/// Texts whose rows are computed in batches.
pub(super) struct BatchedRows<'a> {
    model: &'a Transformer,
    texts: &'a [LensText],
    parts: Vec<Range<usize>>,
}

impl<'a> BatchedRows<'a> {
    /// Divides sorted texts into batches.
    pub(super) fn new(model: &'a Transformer, texts: &'a [LensText]) -> BatchedRows<'a> {
        let ids: Vec<&[u32]> = texts.iter().map(|text| &text.ids[..]).collect();
        let batches = Batches::new(&ids, model.spec.attention.direction, batch_tokens(model));
        BatchedRows { model, texts, parts: batches.runs().collect() }
    }

    /// The number of rows.
    pub(super) fn n_rows(&self) -> usize {
        self.texts.iter().map(|text| text.rows.len()).sum()
    }

    /// The rows at several hook points, `[n_rows, d_model]` for each in row order.
    ///
    /// # Errors
    /// [`Error::StoppedTraining`] if the observer requests a stop; [`Error::NonFinite`] naming the hook point of a value that
    /// is infinite or not a number.
    pub(super) fn at(
        &self,
        points: &[HookPoint],
        stage: &str,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Vec<f32>>> {
        let (n, width) = (self.n_rows(), self.model.spec.d_model);
        let mut all: Vec<Vec<f32>> = points.iter().map(|_| Vec::with_capacity(n * width)).collect();
        let at_once = if self.model.device().is_cpu() { SIDE_BY_SIDE } else { 1 };
        let mut done = 0;
        observer.progress(&Progress::counted(stage, 0, n as u64));
        for parts in self.parts.chunks(at_once) {
            if observer.should_stop() {
                return Err(stopped());
            }
            let found: Vec<Vec<Vec<f32>>> =
                parts.par_iter().map(|part| self.values(part.clone(), points)).collect::<Result<_>>()?;
            for of_part in found {
                done += of_part[0].len() / width;
                all.iter_mut().zip(of_part).for_each(|(all, values)| all.extend(values));
            }
            observer.progress(&Progress::counted(stage, done as u64, n as u64));
        }
        Ok(all)
    }

    /// Calls a function with each batch: its texts, and its rows at several hook points.
    ///
    /// # Errors
    /// [`Error::StoppedTraining`] if the observer requests a stop; those of the function.
    pub(super) fn each(
        &self,
        points: &[HookPoint],
        observer: &mut dyn Observer,
        mut take: impl FnMut(&[LensText], &[Tensor]) -> Result<()>,
    ) -> Result<()> {
        let (mut done, n, stage) = (0, self.n_rows(), "held-out tokens");
        for part in &self.parts {
            observer.progress(&Progress::counted(stage, done as u64, n as u64));
            if observer.should_stop() {
                return Err(stopped());
            }
            let texts = &self.texts[part.clone()];
            take(texts, &self.pass(part.clone(), points)?)?;
            done += texts.iter().map(|text| text.rows.len()).sum::<usize>();
        }
        observer.progress(&Progress::counted(stage, n as u64, n as u64));
        Ok(())
    }

    fn values(&self, part: Range<usize>, points: &[HookPoint]) -> Result<Vec<Vec<f32>>> {
        let of_point = |(point, rows): (&HookPoint, Tensor)| {
            let values = rows.flatten_all()?.to_vec1::<f32>()?;
            match values.iter().find(|x| !x.is_finite()) {
                None => Ok(values),
                Some(&found) => Err(Error::NonFinite {
                    place: format!(
                        "{point}, in texts of which the first has tokens {:?}",
                        self.texts[part.start].ids
                    ),
                    found: found.into(),
                    advice: "the model's weights or its config may be wrong: compare with transformers"
                        .into(),
                }),
            }
        };
        points.iter().zip(self.pass(part.clone(), points)?).map(of_point).collect()
    }

    /// The rows of one batch at several hook points.
    fn pass(&self, part: Range<usize>, points: &[HookPoint]) -> Result<Vec<Tensor>> {
        let texts = &self.texts[part];
        let ids: Vec<Vec<u32>> = texts.iter().map(|text| text.ids.clone()).collect();
        let (forest, last) = self.model.forest(&ids)?;
        let rows = |(text, last): (&LensText, u32)| forest.path(last)[text.rows.clone()].to_vec();
        let nodes: Vec<u32> = texts.iter().zip(last).flat_map(rows).collect();
        let mut capture = Capture::nodes(points, &nodes)?;
        self.model.forward(&forest, None, &mut capture)?;
        points.iter().map(|point| Ok(capture.get(*point)?.clone())).collect()
    }
}

/// A requested stop; a lens is fitted again from its beginning.
pub(super) fn stopped() -> Error {
    Error::StoppedTraining { kept: 0, of: 1 }
}
