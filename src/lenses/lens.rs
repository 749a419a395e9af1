//! The logit lens, and lenses with an affine map per layer.

use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::{Spec, Transformer};
use candle_core::Tensor;
use std::collections::BTreeMap;

/// An affine map from the stream at a hook point to the stream after the last block: `x + V x + b`.
#[derive(Debug, Clone)]
pub struct Translator {
    /// The matrix `V`, by which the map differs from the identity, `[d_model, d_model]`, `[out, in]`.
    pub change: Tensor,
    /// The bias `b`, `[d_model]`.
    pub bias: Tensor,
}

/// A lens: it maps the stream at a hook point to the stream after the last block, from which the model's own final norm and
/// unembedding compute logits.
#[derive(Debug, Clone)]
pub struct Lens {
    /// Its name in tables and rows: `logit`, `ridge`, or the name of its folder.
    pub name: String,
    /// The map at each hook point; the stream stays as it is at the others.
    pub translators: BTreeMap<HookPoint, Translator>,
}

impl Lens {
    /// The logit lens, which leaves the stream as it is.
    ///
    /// # Source
    /// nostalgebraist 2020, "interpreting GPT: the logit lens".
    pub fn logit() -> Lens {
        Lens { name: "logit".into(), translators: BTreeMap::new() }
    }

    /// The hook points that a lens reads: the residual stream at every depth.
    pub fn points(spec: &Spec) -> Vec<HookPoint> {
        HookPoint::stream(spec.n_layers)
    }

    /// The hook points with a map, in the order of the library `tuned-lens`: all except the last.
    pub fn mapped_points(spec: &Spec) -> Vec<HookPoint> {
        let mut points = Lens::points(spec);
        points.pop();
        points
    }

    /// Refuses a model without next-token logits, such as an encoder, by its name.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the model.
    pub fn check_model(name: &str, model: &Transformer) -> Result<()> {
        if model.generates() {
            return Ok(());
        }
        let found = match model.spec.head {
            None => "a checkpoint without a language-model head",
            Some(_) => "an encoder, which does not predict the next token",
        };
        let expected = "a causal language model with an unembedding; a lens reads next-token predictions";
        Err(Error::invalid(format!("model `{name}`"), found, expected))
    }

    /// The stream after the last block that the lens expects, from rows of the stream at a hook point.
    ///
    /// # Shapes
    /// `[n, d_model]` in and out.
    ///
    /// # Errors
    /// [`Error::Tensor`] if the widths differ.
    pub fn stream(&self, point: HookPoint, rows: &Tensor) -> Result<Tensor> {
        let Some(Translator { change, bias }) = self.translators.get(&point) else { return Ok(rows.clone()) };
        let moved = rows.matmul(&change.t()?)?.broadcast_add(bias)?;
        Ok((rows + moved)?)
    }

    /// The logits of rows of the stream at a hook point.
    ///
    /// # Shapes
    /// `[n, d_model]` to `[n, d_vocab]`.
    ///
    /// # Errors
    /// As [`Transformer::logits`].
    pub fn logits(&self, model: &Transformer, point: HookPoint, rows: &Tensor) -> Result<Tensor> {
        model.logits(&self.stream(point, rows)?)
    }
}
