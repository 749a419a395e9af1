//! The logits after a text, with and without steering, as a file for comparison with other programs.

use super::vectors::save_tensors;
use crate::error::{Error, Result};
use crate::model::{Chain, Forest, Hook, NoHook, Transformer};
use candle_core::{Device, Tensor};
use std::collections::HashMap;
use std::path::Path;

/// The logits after a text's last token, with and without a change of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct NextLogits {
    /// The text's tokens.
    pub ids: Vec<u32>,
    /// The unsteered logits, one per token of the vocabulary.
    pub unsteered: Vec<f32>,
    /// The steered logits, one per token of the vocabulary.
    pub steered: Vec<f32>,
}

impl NextLogits {
    /// Computes the logits twice: without a hook, and with one that changes the stream.
    ///
    /// # Errors
    /// As [`Transformer::forward`]; [`Error::Invalid`] for an encoder or a text without tokens.
    pub fn of(model: &Transformer, ids: &[u32], hook: &mut dyn Hook) -> Result<NextLogits> {
        if !model.generates() {
            let found = "an encoder, or a checkpoint without a language-model head";
            return Err(Error::invalid("model to take logits of", found, "a causal language model"));
        }
        Ok(NextLogits {
            ids: ids.to_vec(),
            unsteered: last(model, ids, &mut NoHook)?,
            steered: last(model, ids, hook)?,
        })
    }

    /// Writes a safetensors file: `ids` (64-bit integers), `unsteered` and `steered` (f32).
    ///
    /// # Shapes
    /// `[n_tokens]`, and `[d_vocab]` twice.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let ids: Vec<i64> = self.ids.iter().map(|id| i64::from(*id)).collect();
        let row = |values: &[f32]| Tensor::from_slice(values, values.len(), &Device::Cpu);
        let tensors = HashMap::from([
            ("ids".to_string(), Tensor::from_slice(&ids, ids.len(), &Device::Cpu)?),
            ("unsteered".to_string(), row(&self.unsteered)?),
            ("steered".to_string(), row(&self.steered)?),
        ]);
        save_tensors(path, &tensors)
    }
}

/// The logits after the last token.
fn last(model: &Transformer, ids: &[u32], hook: &mut dyn Hook) -> Result<Vec<f32>> {
    // A hook that only captures may stop a pass early; the logits need every block.
    let mut untouched = NoHook;
    let stream = model.forward(&Forest::of_text(ids)?, None, &mut Chain(hook, &mut untouched))?;
    let row = stream.narrow(0, ids.len() - 1, 1)?; // [n_tokens, d_model] -> [1, d_model]
    Ok(model.logits(&row)?.squeeze(0)?.to_vec1()?) // [d_vocab]
}
