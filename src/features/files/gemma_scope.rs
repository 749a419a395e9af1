//! Gemma Scope's `params.npz`: W_enc, b_enc, W_dec, b_dec and threshold of a JumpReLU dictionary.

use super::super::dictionary::{Dictionary, SparseActivation};
use super::{Tensors, place};
use crate::artefact;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use candle_core::npy::NpzTensors;
use std::io::{BufReader, Read};
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
    let length = std::fs::metadata(path).map_err(Error::io("read", path))?.len();
    let arrays = artefact::guarded(path, expected, || {
        check_headers(path).map_err(|e| bad(&e))?;
        NpzTensors::new(path).map_err(|e| bad(&e))
    })?;
    if let Some(other) = arrays.names().into_iter().find(|name| !NAMES.contains(&name.as_str())) {
        return Err(bad(&format!("an array `{other}`")));
    }
    let get = |name: &str| {
        let wrong = |e: candle_core::Error| bad(&format!("array `{name}`: {e}"));
        artefact::guarded(path, expected, || {
            if !arrays.names().into_iter().any(|known| known == name) {
                return Ok(None);
            }
            let (shape, dtype) = arrays.get_shape_and_dtype(name).map_err(wrong)?;
            let values = shape.dims().iter().try_fold(1_usize, |n, size| n.checked_mul(*size));
            let bytes = values.and_then(|n| n.checked_mul(dtype.size_in_bytes()));
            if bytes.is_none_or(|n| n as u64 > length) {
                return Err(bad(&format!(
                    "array `{name}` of shape {:?}, longer than the file",
                    shape.dims()
                )));
            }
            arrays.get(name).map_err(wrong)
        })
    };
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

/// Checks that each array's header is shorter than the array, since candle reserves memory for its stated length.
fn check_headers(path: &Path) -> Result<(), String> {
    let file = artefact::open_regular(path).map_err(|e| e.to_string())?;
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|e| e.to_string())?;
    for at in 0..archive.len() {
        let entry = archive.by_index(at).map_err(|e| e.to_string())?;
        let (name, size) = (entry.name().map_err(|e| e.to_string())?.into_owned(), entry.size());
        let mut begin = Vec::new();
        entry.take(12).read_to_end(&mut begin).map_err(|e| format!("{name}: {e}"))?;
        // Six magic bytes, two bytes for the version and, in version 2, four for the header's length.
        if let [_, _, _, _, _, _, 2, _, a, b, c, d] = begin[..]
            && u64::from(u32::from_le_bytes([a, b, c, d])) > size
        {
            return Err(format!("a header of {name} that is longer than the file"));
        }
    }
    Ok(())
}
