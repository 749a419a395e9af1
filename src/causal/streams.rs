//! The stream of each text at its changed token, after chosen blocks.

use super::question::Question;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::{Capture, Forest, Tensor, Transformer};
use ndarray::{Array2, Axis};
use std::collections::BTreeMap;

/// Approximate number of tokens of a pass.
const TOKENS: usize = 1024;

/// The stream at the changed token of every text, after chosen blocks.
#[derive(Debug, Clone)]
pub struct SourceStreams {
    /// `[n_texts, d_model]` by block.
    by_layer: BTreeMap<usize, Array2<f32>>,
}

impl SourceStreams {
    /// Runs all texts up to their changed tokens.
    ///
    /// # Errors
    /// Those of [`Transformer::forward`].
    pub fn new(model: &Transformer, question: &Question, layers: &[usize]) -> Result<SourceStreams> {
        let points: Vec<HookPoint> = layers.iter().map(|layer| HookPoint::ResidPost(*layer)).collect();
        let texts: Vec<Vec<u32>> =
            question.texts.iter().map(|text| text.ids[..=text.position].to_vec()).collect();
        let longest = texts.iter().map(Vec::len).max().unwrap_or(1);
        let mut rows: BTreeMap<usize, Vec<f32>> = layers.iter().map(|layer| (*layer, vec![])).collect();
        for texts in texts.chunks((TOKENS / longest).max(1)) {
            let (forest, last) = Forest::of_texts(texts)?;
            let mut capture = Capture::nodes(&points, &last)?;
            model.forward(&forest, None, &mut capture)?;
            for (layer, rows) in &mut rows {
                rows.extend(values(capture.get(HookPoint::ResidPost(*layer))?)?);
            }
        }
        let d_model = model.spec.d_model;
        let array = |(layer, rows)| Ok((layer, array_of(rows, d_model)?));
        Ok(SourceStreams { by_layer: rows.into_iter().map(array).collect::<Result<_>>()? })
    }

    /// The blocks, in order.
    pub fn layers(&self) -> Vec<usize> {
        self.by_layer.keys().copied().collect()
    }

    /// The rows of some texts after a block.
    ///
    /// # Shapes
    /// `[n_texts, d_model]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a block that was not captured.
    pub fn rows(&self, layer: usize, texts: &[usize]) -> Result<Array2<f32>> {
        let all = self.by_layer.get(&layer).ok_or_else(|| {
            let known: Vec<String> = self.by_layer.keys().map(usize::to_string).collect();
            Error::invalid("block", layer, format!("one of {}", known.join(", ")))
        })?;
        Ok(all.select(Axis(0), texts))
    }
}

/// All values of a tensor.
pub(super) fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.flatten_all()?.to_vec1()?)
}

/// Values as rows.
pub(super) fn array_of(values: Vec<f32>, width: usize) -> Result<Array2<f32>> {
    let shape = (values.len() / width.max(1), width);
    Array2::from_shape_vec(shape, values).map_err(|e| Error::Internal(e.to_string()))
}
