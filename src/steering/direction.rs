//! Unit vectors in the stream.

use crate::error::{Error, Result};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

/// A unit vector in the stream. If it was made for a target or a class, it points to larger targets or to the class.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitDirection {
    unit: Vec<f64>,
}

impl UnitDirection {
    /// The direction of a vector.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a vector of length zero or with a value that is not finite.
    pub fn of(vector: &[f64]) -> Result<UnitDirection> {
        let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        if !(length.is_finite() && length > 0.0) {
            return Err(Error::invalid(
                "direction",
                format!("length {length}"),
                "a vector of positive length",
            ));
        }
        Ok(UnitDirection { unit: vector.iter().map(|x| x / length).collect() })
    }

    /// A direction drawn uniformly with a seed, as a baseline for the effect of other directions.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `d_model` is 0.
    pub fn random(d_model: usize, seed: u64) -> Result<UnitDirection> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let vector: Vec<f64> = (0..d_model).map(|_| StandardNormal.sample(&mut rng)).collect();
        UnitDirection::of(&vector)
    }

    /// The unit vector.
    pub fn unit(&self) -> &[f64] {
        &self.unit
    }

    /// The vector with this direction and a given length.
    pub fn times(&self, length: f64) -> Vec<f64> {
        self.unit.iter().map(|x| x * length).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_have_length_one_and_keep_their_sign() {
        let direction = UnitDirection::of(&[3.0, -4.0]).unwrap();
        assert_eq!(direction.unit(), [0.6, -0.8]);
        assert_eq!(direction.times(10.0), [6.0, -8.0]);
        assert!(UnitDirection::of(&[0.0, 0.0]).is_err() && UnitDirection::of(&[f64::NAN]).is_err());
    }

    #[test]
    fn random_directions_are_seeded_and_nearly_orthogonal() {
        let (a, b) = (UnitDirection::random(4000, 1).unwrap(), UnitDirection::random(4000, 2).unwrap());
        assert_eq!(a, UnitDirection::random(4000, 1).unwrap());
        let dot: f64 = a.unit().iter().zip(b.unit()).map(|(x, y)| x * y).sum();
        assert!(dot.abs() < 0.08, "{dot}");
    }
}
