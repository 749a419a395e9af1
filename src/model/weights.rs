//! A checkpoint's tensors as parameters: found by the family's names, checked, cut to shape.

use super::checkpoint::Checkpoint;
use super::linear::Weight;
use super::memory::StoredTypes;
use super::params::{Kind, Param};
use crate::error::{Error, Result};
use candle_core::{CpuStorage, DType, Storage, Tensor};
use half::{bf16, f16};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Where a parameter lies in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The checkpoint's tensor; several are stacked one above the other.
    pub tensors: Vec<String>,
    /// How it is stored.
    pub cut: Cut,
}

/// How a parameter is stored in its tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Whether matrices are stored `[in, out]` (GPT-2's `Conv1D`).
    pub transposed: bool,
    /// Which of the output rows are the parameter's.
    pub rows: Rows,
}

/// Which output rows of a tensor are the parameter's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// All.
    All,
    /// The tensor is `groups` times the same run of `of` rows; the parameter's begin at `from` in each.
    Of {
        /// How many groups there are.
        groups: usize,
        /// Rows of one group.
        of: usize,
        /// Where the parameter's rows begin in a group.
        from: usize,
    },
}

impl Rows {
    /// Rows of a tensor that holds several parameters one after the other.
    pub fn after(from: usize, of: usize) -> Rows {
        Rows::Of { groups: 1, of, from }
    }
}

impl Source {
    /// A tensor `{stem}.weight` or `{stem}.bias` that is the parameter as it stands.
    pub fn whole(stem: impl AsRef<str>, param: Param) -> Source {
        Source::rows(stem, param, Rows::All)
    }

    /// Rows of a tensor `{stem}.weight` or `{stem}.bias`.
    pub fn rows(stem: impl AsRef<str>, param: Param, rows: Rows) -> Source {
        let kind = if param.kind == Kind::Bias { "bias" } else { "weight" };
        Source::named(format!("{}.{kind}", stem.as_ref()), rows)
    }

    /// Rows of a tensor with a name of its own.
    pub fn named(tensor: String, rows: Rows) -> Source {
        Source { tensors: vec![tensor], cut: Cut { transposed: false, rows } }
    }
}

/// The numbers that matrices lie in; norms and biases are f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Four bytes a weight.
    #[default]
    F32,
    /// Two bytes a weight, eleven bits of it the number's.
    F16,
    /// Two bytes a weight, eight bits of it the number's.
    Bf16,
    /// As the checkpoint stores them; the quantised matrices of a GGUF file stay quantised.
    AsStored,
}

impl Precision {
    /// The type of a matrix in memory, if it does not stay as it is stored.
    pub(super) fn dtype(self) -> Option<DType> {
        match self {
            Precision::F32 => Some(DType::F32),
            Precision::F16 => Some(DType::F16),
            Precision::Bf16 => Some(DType::BF16),
            Precision::AsStored => None,
        }
    }
}

impl std::str::FromStr for Precision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Precision> {
        match name {
            "f32" | "float32" => Ok(Precision::F32),
            "f16" | "float16" => Ok(Precision::F16),
            "bf16" | "bfloat16" => Ok(Precision::Bf16),
            "auto" => Ok(Precision::AsStored),
            _ => Err(Error::invalid("dtype", name, "f32, f16, bf16 or auto (as the checkpoint stores it)")),
        }
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Precision::F32 => "f32",
            Precision::F16 => "f16",
            Precision::Bf16 => "bf16",
            Precision::AsStored => "auto",
        })
    }
}

/// The weights of one checkpoint, and how they are to lie in memory.
pub struct Weights {
    checkpoint: Checkpoint,
    precision: Precision,
    /// The tensors that were asked for so far.
    used: Mutex<BTreeSet<String>>,
}

impl Weights {
    /// The weights in a Hugging Face folder.
    ///
    /// # Errors
    /// [`Error::BadFile`] if there are none, a shard is missing, or a file is truncated.
    pub fn open(folder: &Path, precision: Precision) -> Result<Weights> {
        Ok(Weights { checkpoint: Checkpoint::open(folder)?, precision, used: Mutex::default() })
    }

    /// Weights that lie in the binary; `path` names them in errors.
    ///
    /// # Errors
    /// As [`Weights::open`].
    pub fn bundled(path: &Path, bytes: &'static [u8], precision: Precision) -> Result<Weights> {
        Ok(Weights { checkpoint: Checkpoint::bundled(path, bytes)?, precision, used: Mutex::default() })
    }

    /// SHA-256 over the files, in order.
    pub fn sha256(&self) -> String {
        self.checkpoint.sha256()
    }

    /// The types in which matrices are stored.
    ///
    /// # Errors
    /// [`Error::BadFile`] if a file cannot be read.
    pub fn stored_types(&self) -> Result<StoredTypes> {
        self.checkpoint.stored_types()
    }

    /// The first tensor's name, by the alphabet, that is of a kind.
    pub fn find(&self, is_of_kind: impl Fn(&str) -> bool) -> Option<&str> {
        self.checkpoint.names().into_iter().find(|name| is_of_kind(name))
    }

    /// Whether the checkpoint has a tensor of this name.
    pub fn contains(&self, tensor: &str) -> bool {
        self.checkpoint.has(tensor)
    }

    /// Whether an index names the tensor though no file holds it.
    pub fn promises(&self, tensor: &str) -> bool {
        self.checkpoint.promises(tensor)
    }

    /// The tensors that no parameter was made of so far, in order: not counted are buffers that older versions of
    /// transformers saved, and heads for other tasks.
    pub fn unused(&self) -> Vec<String> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let names = self.checkpoint.names().into_iter();
        names.filter(|name| !used.contains(*name) && !is_spare(name)).map(str::to_string).collect()
    }

    /// Whether two tensors of the same shape hold the same numbers.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] or [`Error::TensorShape`].
    pub fn same(&self, one: &Source, other: &Source, shape: &[usize]) -> Result<bool> {
        let values =
            |source: &Source| self.checkpoint.tensor(&source.tensors.concat(), shape).map(|(_, t)| t);
        let difference = (values(one)?.to_dtype(DType::F32)? - values(other)?.to_dtype(DType::F32)?)?;
        Ok(difference.abs()?.max_all()?.to_scalar::<f32>()? == 0.0)
    }

    /// A parameter: matrices in the chosen precision, norms and biases in f32.
    ///
    /// # Shapes
    /// `shape`, which the spec asks for; matrices are `[out, in]`.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::TensorShape`], or [`Error::NonFinite`] naming the tensor.
    pub fn load(&self, param: Param, source: &Source, shape: &[usize]) -> Result<Weight> {
        // A norm of each head's own is a tensor a head, be there one head.
        let is_stack = source.tensors.len() > 1 || (param.place.is_norm() && shape.len() > 1);
        let each = if is_stack { &shape[1..] } else { shape };
        let stored = stored_shape(each, source.cut);
        let mut parts = Vec::with_capacity(source.tensors.len());
        self.used.lock().unwrap_or_else(PoisonError::into_inner).extend(source.tensors.iter().cloned());
        for name in &source.tensors {
            let (path, tensor) = self.checkpoint.tensor(name, &stored)?;
            let tensor = cut(tensor, source.cut, each)?;
            let dtype = if shape.len() == 1 || param.place.is_norm() {
                DType::F32
            } else {
                self.precision.dtype().unwrap_or(tensor.dtype())
            };
            let tensor = tensor.to_dtype(dtype)?;
            check_finite(path, (param, name), &tensor)?;
            parts.push(tensor);
        }
        Ok(Weight::Dense(match &parts[..] {
            [one] if !is_stack => one.clone(),
            several => Tensor::stack(several, 0)?, // [width] a head -> [n_heads, width]
        }))
    }
}

/// Whether a tensor is one that checkpoints have beside a model's parameters.
fn is_spare(name: &str) -> bool {
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

/// The shape a tensor has in the file when the parameter's is `shape`.
fn stored_shape(shape: &[usize], cut: Cut) -> Vec<usize> {
    let mut stored = shape.to_vec();
    if let Rows::Of { groups, of, .. } = cut.rows {
        stored[0] = groups * of;
    }
    if cut.transposed && stored.len() == 2 {
        stored.reverse();
    }
    stored
}

fn cut(tensor: Tensor, cut: Cut, shape: &[usize]) -> Result<Tensor> {
    let tensor = if cut.transposed && tensor.rank() == 2 { tensor.t()? } else { tensor };
    let tensor = match cut.rows {
        Rows::All => tensor,
        Rows::Of { groups: 1, from, .. } => tensor.narrow(0, from, shape[0])?,
        Rows::Of { groups, of, from } => {
            let mut split = vec![groups, of];
            split.extend(&shape[1..]);
            // [groups * of, in] -> [groups, of, in] -> [groups, rows, in] -> [groups * rows, in]
            let rows = tensor.contiguous()?.reshape(split)?.narrow(1, from, shape[0] / groups)?;
            rows.contiguous()?.reshape(shape)?
        }
    };
    Ok(tensor.contiguous()?)
}

pub(super) fn check_finite(path: &Path, (param, name): (Param, &str), tensor: &Tensor) -> Result<()> {
    let (storage, layout) = tensor.storage_and_layout();
    let found = match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(all)), Some((from, to))) => {
            not_finite(&all[from..to], |x| x.is_finite(), f64::from)
        }
        (Storage::Cpu(CpuStorage::F16(all)), Some((from, to))) => {
            not_finite(&all[from..to], f16::is_finite, f64::from)
        }
        (Storage::Cpu(CpuStorage::BF16(all)), Some((from, to))) => {
            not_finite(&all[from..to], bf16::is_finite, f64::from)
        }
        _ => {
            return Err(Error::Internal(format!(
                "tensor `{name}` of {:?} was not looked at",
                tensor.dtype()
            )));
        }
    };
    let Some(found) = found else { return Ok(()) };
    Err(Error::NonFinite {
        place: format!("{}: tensor `{name}` ({param})", path.display()),
        found,
        advice: "a value in it is infinite or not a number; fetch the weights again, or ask for --dtype f32"
            .into(),
    })
}

/// The first value that is infinite or not a number.
fn not_finite<T: Copy + Sync>(
    values: &[T],
    is_finite: impl Fn(T) -> bool + Sync,
    wide: impl Fn(T) -> f64 + Sync,
) -> Option<f64> {
    const AT_ONCE: usize = 1 << 16;
    values.par_chunks(AT_ONCE).find_map_first(|part| {
        // All are looked at before one is looked for, as a loop that may stop is not compiled to wide registers.
        let all = part.iter().fold(true, |all, x| all & is_finite(*x));
        if all { None } else { part.iter().find(|x| !is_finite(**x)).map(|x| wide(*x)) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_among_many_that_is_none_is_found_whatever_its_type() {
        let at = |values: &[f32], dtype| {
            let tensor = Tensor::new(values, &candle_core::Device::Cpu).unwrap().to_dtype(dtype).unwrap();
            let param = crate::model::params::Place::Embed.weight();
            check_finite(Path::new("model.safetensors"), (param, "embed"), &tensor)
        };
        for dtype in [DType::F32, DType::F16, DType::BF16] {
            let mut values = vec![1f32; 200_000];
            assert!(at(&values, dtype).is_ok());
            for (place, bad) in [(199_999, f32::NEG_INFINITY), (70_000, f32::INFINITY), (0, f32::NAN)] {
                values[place] = bad;
                match at(&values, dtype).unwrap_err() {
                    Error::NonFinite { place, found, .. } => {
                        assert!(place.contains("model.safetensors: tensor `embed`"), "{place}");
                        assert!(found.is_nan() == bad.is_nan() && (bad.is_nan() || found == f64::from(bad)));
                    }
                    other => panic!("{other}"),
                }
            }
        }
        // Finite in the file, too large for the type that was asked for.
        assert!(at(&[1e30], DType::F32).is_ok() && at(&[1e30], DType::F16).is_err());
    }
}
