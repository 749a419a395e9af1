//! All tensors of a file: vectors, dictionaries, lenses, checkpoints of a training.

use super::torch_file::TorchFile;
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

/// Reads all tensors of a file that torch saved, by name; `expected` describes the file in errors.
///
/// # Errors
/// [`Error::BadFile`] naming the file, and the tensor that cannot be read.
pub(crate) fn tensors_of_torch_file(path: &Path, expected: &str) -> Result<HashMap<String, Tensor>> {
    let file = TorchFile::open(path)?;
    artefact::guarded(path, expected, || {
        let mut tensors = HashMap::new();
        for name in file.names() {
            let tensor = match file.unread(name) {
                Some(error) => return Err(error),
                None => file.get(name).map_err(|e| Error::bad_file(path, e, expected))?,
            };
            tensors.extend(tensor.map(|tensor| (name.clone(), tensor)));
        }
        Ok(tensors)
    })
}
