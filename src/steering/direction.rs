//! Unit vectors in the stream.

use crate::artefact;
use crate::error::{Error, Result};
use candle_core::{DType, Device};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use std::path::Path;

/// A unit vector in the stream; the larger target or the positive class is `+`.
#[derive(Debug, Clone, PartialEq)]
pub struct Direction {
    unit: Vec<f64>,
}

impl Direction {
    /// The direction of a vector.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a vector of length zero or with a value that is not finite.
    pub fn of(vector: &[f64]) -> Result<Direction> {
        let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        if !(length.is_finite() && length > 0.0) {
            return Err(Error::invalid(
                "direction",
                format!("length {length}"),
                "a vector of positive length",
            ));
        }
        Ok(Direction { unit: vector.iter().map(|x| x / length).collect() })
    }

    /// A direction drawn uniformly, seeded: what any direction's effect is held against.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `d_model` is 0.
    pub fn random(d_model: usize, seed: u64) -> Result<Direction> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let vector: Vec<f64> = (0..d_model).map(|_| StandardNormal.sample(&mut rng)).collect();
        Direction::of(&vector)
    }

    /// A direction from a safetensors file with one tensor of `d_model` values, of any float type.
    ///
    /// # Errors
    /// [`Error::BadFile`] if the file holds something else.
    pub fn load(path: &Path, d_model: usize) -> Result<Direction> {
        let expected = format!("a safetensors file with one tensor of {d_model} values, the model's d_model");
        let bad = |found: String| Error::bad_file(path, found, &expected);
        let tensors = candle_core::safetensors::load_buffer(&artefact::load_bytes(path)?, &Device::Cpu)
            .map_err(|e| bad(e.to_string()))?;
        let names: Vec<&String> = tensors.keys().collect();
        let [name] = names[..] else { return Err(bad(format!("{} tensors", names.len()))) };
        let tensor = &tensors[name];
        if tensor.elem_count() != d_model {
            return Err(bad(format!("tensor `{name}` of shape {:?}", tensor.dims())));
        }
        Direction::of(&tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
    }

    /// The unit vector.
    pub fn unit(&self) -> &[f64] {
        &self.unit
    }

    /// The vector of this direction and some length.
    pub fn times(&self, length: f64) -> Vec<f64> {
        self.unit.iter().map(|x| x * length).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_have_length_one_and_keep_their_sign() {
        let direction = Direction::of(&[3.0, -4.0]).unwrap();
        assert_eq!(direction.unit(), [0.6, -0.8]);
        assert_eq!(direction.times(10.0), [6.0, -8.0]);
        assert!(Direction::of(&[0.0, 0.0]).is_err() && Direction::of(&[f64::NAN]).is_err());
    }

    #[test]
    fn random_directions_are_seeded_and_nearly_orthogonal() {
        let (a, b) = (Direction::random(4000, 1).unwrap(), Direction::random(4000, 2).unwrap());
        assert_eq!(a, Direction::random(4000, 1).unwrap());
        let dot: f64 = a.unit().iter().zip(b.unit()).map(|(x, y)| x * y).sum();
        assert!(dot.abs() < 0.08, "{dot}");
    }

    #[test]
    fn a_file_with_another_width_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("direction.safetensors");
        let tensor = candle_core::Tensor::from_vec(vec![1f32, 2.0, 2.0], 3, &Device::Cpu).unwrap();
        let tensors = std::collections::HashMap::from([("d", tensor)]);
        candle_core::safetensors::save(&tensors, &path).unwrap();
        let loaded = Direction::load(&path, 3).unwrap();
        assert!((loaded.unit()[1] - 2.0 / 3.0).abs() < 1e-12);
        let error = Direction::load(&path, 4).unwrap_err().to_string();
        assert!(
            error.contains("direction.safetensors") && error.contains("[3]") && error.contains('4'),
            "{error}"
        );
    }
}
