//! The check that all weights are finite numbers.

use super::params::Param;
use crate::error::{Error, Result};
use candle_core::{CpuStorage, Storage, Tensor};
use half::{bf16, f16};
use rayon::prelude::*;
use std::path::Path;

/// A parameter, and the file and the tensor that it is read from; for errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) path: &'a Path,
    pub(crate) param: Param,
    pub(crate) tensor: &'a str,
}

/// Refuses a tensor with a value that is infinite or not a number.
///
/// # Errors
/// [`Error::NonFinite`] with the tensor's name and the value.
pub(crate) fn check_finite(origin: Origin, tensor: &Tensor) -> Result<()> {
    let Origin { path, param, tensor: name } = origin;
    let (storage, layout) = tensor.storage_and_layout();
    let found = match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(all)), Some((from, to))) => {
            first_non_finite(&all[from..to], |x| x.is_finite(), f64::from)
        }
        (Storage::Cpu(CpuStorage::F16(all)), Some((from, to))) => {
            first_non_finite(&all[from..to], f16::is_finite, f64::from)
        }
        (Storage::Cpu(CpuStorage::BF16(all)), Some((from, to))) => {
            first_non_finite(&all[from..to], bf16::is_finite, f64::from)
        }
        _ => {
            return Err(Error::Internal(format!("tensor `{name}` of {:?} was not checked", tensor.dtype())));
        }
    };
    let Some(found) = found else { return Ok(()) };
    Err(Error::NonFinite {
        place: format!("{}: tensor `{name}` ({})", path.display(), param.words()),
        found,
        advice: "a value in it is infinite or not a number; fetch the weights again, or use --dtype f32"
            .into(),
    })
}

/// The first value that is infinite or not a number.
fn first_non_finite<T: Copy + Sync>(
    values: &[T],
    is_finite: impl Fn(T) -> bool + Sync,
    wide: impl Fn(T) -> f64 + Sync,
) -> Option<f64> {
    const CHUNK: usize = 1 << 16;
    values.par_chunks(CHUNK).find_map_first(|part| {
        // All values are checked before one is searched for, because a loop with an early exit is not compiled to SIMD.
        let all = part.iter().fold(true, |all, x| all & is_finite(*x));
        if all { None } else { part.iter().find(|x| !is_finite(**x)).map(|x| wide(*x)) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;

    #[test]
    fn one_non_finite_value_among_many_is_found_in_every_type() {
        let at = |values: &[f32], dtype| {
            let tensor = Tensor::new(values, &candle_core::Device::Cpu).unwrap().to_dtype(dtype).unwrap();
            let param = crate::model::weights::Place::Embed.weight();
            check_finite(Origin { path: Path::new("model.safetensors"), param, tensor: "embed" }, &tensor)
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
        // Finite in the file, but too large for the requested type.
        assert!(at(&[1e30], DType::F32).is_ok() && at(&[1e30], DType::F16).is_err());
    }
}
