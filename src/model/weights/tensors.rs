//! A checkpoint's tensors as parameters: found by name, checked, sliced to shape.

use super::checkpoint::Checkpoint;
use super::finite::{Origin, check_finite};
use super::memory::StoredTypes;
use super::params::Param;
use super::source::{Slice, SliceRows, TensorSource};
use crate::artefact::FileState;
use crate::error::Result;
use crate::model::kernels::Weight;
use crate::model::precision::Precision;
use candle_core::{DType, Tensor};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The weights of one checkpoint, and the number format for them in memory.
pub struct Weights {
    checkpoint: Checkpoint,
    precision: Precision,
    /// The tensors that were loaded so far.
    used: Mutex<BTreeSet<String>>,
}

impl Weights {
    /// The weights in a Hugging Face folder.
    ///
    /// # Errors
    /// [`crate::Error::BadFile`] if there are no weights, all shards are missing, or a file is truncated.
    pub fn open(folder: &Path, precision: Precision) -> Result<Weights> {
        Ok(Weights { checkpoint: Checkpoint::open(folder)?, precision, used: Mutex::default() })
    }

    /// Weights inside the binary; `path` names them in errors.
    ///
    /// # Errors
    /// Those of [`Weights::open`].
    pub fn bundled(path: &Path, bytes: &'static [u8], precision: Precision) -> Result<Weights> {
        Ok(Weights { checkpoint: Checkpoint::bundled(path, bytes)?, precision, used: Mutex::default() })
    }

    /// SHA-256 of the file; for several files, SHA-256 of the list of their hashes.
    pub fn sha256(&self) -> String {
        self.checkpoint.sha256()
    }

    /// The files, each in the state in which it was opened.
    pub(crate) fn states(&self) -> Vec<(PathBuf, FileState)> {
        self.checkpoint.states()
    }

    /// The number formats of the stored matrices.
    ///
    /// # Errors
    /// [`crate::Error::BadFile`] if a file cannot be read.
    pub fn stored_types(&self) -> Result<StoredTypes> {
        self.checkpoint.stored_types()
    }

    /// The first tensor name, in alphabetical order, that satisfies a condition.
    pub fn find(&self, condition: impl Fn(&str) -> bool) -> Option<&str> {
        self.checkpoint.names().into_iter().find(|name| condition(name))
    }

    /// True if the checkpoint has a tensor of this name.
    pub fn contains(&self, tensor: &str) -> bool {
        self.checkpoint.has(tensor)
    }

    /// True if an index names the tensor although no file contains it.
    pub fn promises(&self, tensor: &str) -> bool {
        self.checkpoint.promises(tensor)
    }

    /// The tensors that no parameter used so far, in order, except heads and the buffers that older versions of
    /// transformers saved.
    pub fn unused(&self) -> Vec<String> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let names = self.checkpoint.names().into_iter();
        names.filter(|name| !used.contains(*name) && !is_expected_extra(name)).map(str::to_string).collect()
    }

    /// True if two tensors of the same shape have the same values.
    ///
    /// # Errors
    /// [`crate::Error::MissingTensor`] or [`crate::Error::TensorShape`].
    pub fn same(&self, one: &TensorSource, other: &TensorSource, shape: &[usize]) -> Result<bool> {
        let values =
            |source: &TensorSource| self.checkpoint.tensor(&source.tensors.concat(), shape).map(|(_, t)| t);
        let difference = (values(one)?.to_dtype(DType::F32)? - values(other)?.to_dtype(DType::F32)?)?;
        Ok(difference.abs()?.max_all()?.to_scalar::<f32>()? == 0.0)
    }

    /// A parameter: matrices in the chosen format, norms and biases in f32.
    ///
    /// # Shapes
    /// `shape`, which the spec requires; matrices are `[out, in]`.
    ///
    /// # Errors
    /// [`crate::Error::MissingTensor`], [`crate::Error::TensorShape`], or [`crate::Error::NonFinite`] with the
    /// tensor's name.
    pub fn load(&self, param: Param, source: &TensorSource, shape: &[usize]) -> Result<Weight> {
        // A norm with weights per head has a tensor for each head, even if there is only one.
        let is_stack = source.tensors.len() > 1 || (param.place.is_norm() && shape.len() > 1);
        let each = if is_stack { &shape[1..] } else { shape };
        let stored = stored_shape(each, source.slice);
        let mut parts = Vec::with_capacity(source.tensors.len());
        self.used.lock().unwrap_or_else(PoisonError::into_inner).extend(source.tensors.iter().cloned());
        for name in &source.tensors {
            let (path, tensor) = self.checkpoint.tensor(name, &stored)?;
            let tensor = take_slice(tensor, source.slice, each)?;
            let dtype = if shape.len() == 1 || param.place.is_norm() {
                DType::F32
            } else {
                self.precision.dtype().unwrap_or(tensor.dtype())
            };
            let tensor = tensor.to_dtype(dtype)?;
            check_finite(Origin { path, param, tensor: name }, &tensor)?;
            parts.push(tensor);
        }
        Ok(Weight::Dense(match &parts[..] {
            [one] if !is_stack => one.clone(),
            several => Tensor::stack(several, 0)?, // [width] per head -> [n_heads, width]
        }))
    }
}

/// True for tensors that checkpoints usually have in addition to a model's parameters.
fn is_expected_extra(name: &str) -> bool {
    const BUFFERS: [&str; 8] = [
        ".attn.bias",
        ".attn.masked_bias",
        ".attn.attention.bias",
        ".attn.attention.masked_bias",
        ".attention.bias",
        ".attention.masked_bias",
        "inv_freq",
        "position_ids",
    ];
    const HEADS: [&str; 7] = ["lm_head", "embed_out", "pooler", "classifier", "score", "qa_outputs", "cls"];
    BUFFERS.iter().any(|buffer| name.ends_with(buffer))
        || name.split('.').any(|part| HEADS.contains(&part) || part.starts_with("vocab_"))
}

/// The shape of the stored tensor for a parameter of shape `shape`.
fn stored_shape(shape: &[usize], slice: Slice) -> Vec<usize> {
    let mut stored = shape.to_vec();
    if let SliceRows::Of { groups, of, .. } = slice.rows {
        stored[0] = groups * of;
    }
    if slice.transposed && stored.len() == 2 {
        stored.reverse();
    }
    stored
}

/// A parameter's part of a tensor, `[out, in]`.
fn take_slice(tensor: Tensor, slice: Slice, shape: &[usize]) -> Result<Tensor> {
    let tensor = if slice.transposed && tensor.rank() == 2 { tensor.t()? } else { tensor };
    let tensor = match slice.rows {
        SliceRows::All => tensor,
        SliceRows::Of { groups: 1, from, .. } => tensor.narrow(0, from, shape[0])?,
        SliceRows::Of { groups, of, from } => {
            let mut split = vec![groups, of];
            split.extend(&shape[1..]);
            // [groups * of, in] -> [groups, of, in] -> [groups, rows, in] -> [groups * rows, in]
            let rows = tensor.contiguous()?.reshape(split)?.narrow(1, from, shape[0] / groups)?;
            rows.contiguous()?.reshape(shape)?
        }
    };
    Ok(tensor.contiguous()?)
}
