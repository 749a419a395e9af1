//! Gemma Scope's `params.npz`: W_enc, b_enc, W_dec, b_dec and threshold of a JumpReLU dictionary.

use super::super::dictionary::{Dictionary, SparseActivation};
use super::{Tensors, place};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use candle_core::npy::NpzTensors;
use std::path::Path;

/// The arrays of the file.
const NAMES: [&str; 5] = ["W_dec", "W_enc", "b_dec", "b_enc", "threshold"];

/// Reads a file; the file names neither its hook point nor its model.
///
/// # Source
/// Lieberum et al. 2024, "Gemma Scope": `relu(x · W_enc + b_enc)` where it is above the threshold; `b_dec` is not
/// subtracted.
pub(super) fn load(path: &Path, hook_point: Option<HookPoint>) -> Result<Dictionary> {
    let expected = "an .npz of numpy.savez with W_enc, b_enc, W_dec, b_dec and threshold";
    let bad = |found: &dyn std::fmt::Display| Error::bad_file(path, found, expected);
    let hook_point = place(path, None, hook_point)?;
    std::fs::metadata(path).map_err(Error::io("read", path))?;
    let arrays = NpzTensors::new(path).map_err(|e| bad(&e))?;
    if let Some(other) = arrays.names().into_iter().find(|name| !NAMES.contains(&name.as_str())) {
        return Err(bad(&format!("an array `{other}`")));
    }
    let get = |name: &str| arrays.get(name).map_err(|e| bad(&format!("array `{name}`: {e}")));
    let tensors = Tensors { path, get: &get };
    let w_enc = tensors.matrix("W_enc", None, None)?;
    let (d_in, d_sae) = w_enc.dim();
    Ok(Dictionary {
        hook_point,
        model: None,
        // Gemma's texts begin with BOS, and so did those of its dictionaries (Gemma Scope, arXiv 2408.05147).
        made_with_bos: Some(true),
        activation: SparseActivation::JumpRelu(tensors.vector("threshold", d_sae)?.to_vec()),
        b_enc: tensors.vector("b_enc", d_sae)?,
        w_dec: tensors.matrix("W_dec", Some(d_sae), Some(d_in))?,
        b_dec: tensors.vector("b_dec", d_in)?,
        w_enc,
        subtracts_b_dec: false,
    })
}
