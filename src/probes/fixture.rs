//! What scikit-learn and SciPy compute, read from `tests/fixtures/probes/probes.json` for the tests.

use ndarray::Array2;
use serde::Deserialize;

/// The whole fixture; `tests/fixtures/probes/make.py` writes it and names the versions in it.
#[derive(Deserialize)]
pub struct Fixture {
    pub ridge: Vec<RidgeCase>,
    pub scores: Scores,
    /// Latitude and longitude of two places, then their distance in radians.
    pub great_circles: Vec<[f64; 5]>,
}

#[derive(Deserialize)]
pub struct RidgeCase {
    pub name: String,
    x: Vec<Vec<f64>>,
    y: Vec<Vec<f64>>,
    pub penalties: Vec<f64>,
    pub fits: Vec<RidgeFit>,
    /// `[penalty][target]`
    pub loo_mse: Vec<Vec<f64>>,
    pub chosen: f64,
    pub chosen_unstandardised: f64,
    pub training_r2: Vec<f64>,
}

#[derive(Deserialize)]
pub struct RidgeFit {
    pub penalty: f64,
    weights: Vec<Vec<f64>>,
    pub bias: Vec<f64>,
}

#[derive(Deserialize)]
pub struct Scores {
    pub truth: Vec<f64>,
    pub predicted: Vec<f64>,
    pub r2: f64,
    pub pearson: f64,
    pub spearman: f64,
    pub kendall: f64,
    pub mae: f64,
}

impl Fixture {
    pub fn load() -> Fixture {
        serde_json::from_str(include_str!("../../tests/fixtures/probes/probes.json")).unwrap()
    }
}

impl RidgeCase {
    pub fn x(&self) -> Array2<f64> {
        matrix(&self.x)
    }

    pub fn y(&self) -> Array2<f64> {
        matrix(&self.y)
    }
}

impl RidgeFit {
    pub fn weights(&self) -> Array2<f64> {
        matrix(&self.weights)
    }
}

fn matrix(rows: &[Vec<f64>]) -> Array2<f64> {
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap()
}

/// Equal to 1e-6, relative where the value is large.
#[track_caller]
pub fn assert_close(found: f64, expected: f64) {
    let error = (found - expected).abs() / expected.abs().max(1.0);
    assert!(error < 1e-6, "found {found}, expected {expected}, error {error:e}");
}

/// Numbers between −0.5 and 0.5 that look random and never change.
pub fn noise(shape: (usize, usize), seed: u64) -> Array2<f64> {
    use rand::{Rng, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_simple_fn(shape, || rng.random::<f64>() - 0.5)
}
