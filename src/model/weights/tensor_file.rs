//! All tensors of a safetensors file: vectors, dictionaries, checkpoints of a training.

use crate::artefact;
use crate::error::{Error, Result};
use candle_core::{Device, Tensor};
use std::collections::HashMap;
use std::path::Path;

/// Reads all tensors of a safetensors file by name; `expected` describes the file in errors.
///
/// # Errors
/// [`Error::Io`] or [`Error::BadFile`], naming the file.
pub(crate) fn tensors_of_file(path: &Path, expected: &str) -> Result<HashMap<String, Tensor>> {
    let bytes = artefact::load_bytes(path)?;
    artefact::guarded(path, expected, || {
        candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
            .map_err(|e| Error::bad_file(path, e, expected))
    })
}
