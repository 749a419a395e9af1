//! Results of scikit-learn and SciPy from `tests/fixtures/probes/probes.json`, and noise, for the tests.

use ndarray::Array2;
use serde::Deserialize;

/// The whole fixture; `tests/fixtures/probes/make.py` writes it, with the versions of its libraries.
#[derive(Deserialize)]
pub(super) struct Fixture {
    pub ridge: Vec<RidgeCase>,
    pub scores: Vec<Scores>,
    pub places: Places,
    pub components: Components,
    pub classes: Vec<ClassesCase>,
    /// Latitude and longitude of two places, then their distance in radians.
    pub great_circles: Vec<[f64; 5]>,
}

#[derive(Deserialize)]
pub(super) struct RidgeCase {
    pub name: String,
    x: Vec<Vec<f64>>,
    y: Vec<Vec<f64>>,
    pub penalties: Vec<f64>,
    pub fits: Vec<RidgeFit>,
    /// `[penalty][row][target]`
    pub loo_squares: Vec<Vec<Vec<f64>>>,
    pub chosen: f64,
    pub chosen_unstandardised: f64,
    pub training_r2: Vec<f64>,
    pub least_squares: LinearFit,
}

#[derive(Deserialize)]
pub(super) struct RidgeFit {
    pub penalty: f64,
    #[serde(flatten)]
    pub fit: LinearFit,
}

#[derive(Deserialize)]
pub(super) struct LinearFit {
    weights: Vec<Vec<f64>>,
    pub bias: Vec<f64>,
}

#[derive(Deserialize)]
pub(super) struct Scores {
    pub truth: Vec<f64>,
    pub predicted: Vec<f64>,
    pub r2: f64,
    pub pearson: f64,
    pub spearman: f64,
    pub kendall: f64,
    pub mae: f64,
}

#[derive(Deserialize)]
pub(super) struct Places {
    truth: Vec<Vec<f64>>,
    predicted: Vec<Vec<f64>>,
    /// Metric, target, value.
    pub scores: Vec<(String, String, f64)>,
    pub paper_mean_km: f64,
    pub paper_rmse_km: f64,
    pub paper_r2: f64,
    pub paper_proximity: f64,
    pub paper_proximity_latitude: f64,
}

#[derive(Deserialize)]
pub(super) struct Components {
    x: Vec<Vec<f64>>,
    y: Vec<Vec<f64>>,
    pub n_train: usize,
    pub penalties: Vec<f64>,
    pub fits: Vec<ComponentsFit>,
}

#[derive(Deserialize)]
pub(super) struct ComponentsFit {
    pub k: usize,
    pub penalty: f64,
    #[serde(rename = "read")]
    predicted: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
pub(super) struct ClassesCase {
    pub name: String,
    x: Vec<Vec<f64>>,
    pub labels: Vec<usize>,
    pub n_train: usize,
    pub logistic: Vec<usize>,
    probabilities: Vec<Vec<f64>>,
    pub nearest_mean: Vec<usize>,
    pub accuracy: f64,
    pub balanced_accuracy: f64,
    pub macro_f1: f64,
}

impl Fixture {
    pub(super) fn load() -> Fixture {
        serde_json::from_str(include_str!("../../tests/fixtures/probes/probes.json")).unwrap()
    }
}

impl RidgeCase {
    pub(super) fn x(&self) -> Array2<f64> {
        matrix(&self.x)
    }

    pub(super) fn y(&self) -> Array2<f64> {
        matrix(&self.y)
    }
}

impl LinearFit {
    pub(super) fn weights(&self) -> Array2<f64> {
        matrix(&self.weights)
    }
}

impl Places {
    pub(super) fn truth(&self) -> Array2<f64> {
        matrix(&self.truth)
    }

    pub(super) fn predicted(&self) -> Array2<f64> {
        matrix(&self.predicted)
    }
}

impl Components {
    pub(super) fn x(&self) -> Array2<f64> {
        matrix(&self.x)
    }

    pub(super) fn y(&self) -> Array2<f64> {
        matrix(&self.y)
    }
}

impl ComponentsFit {
    pub(super) fn predicted(&self) -> Array2<f64> {
        matrix(&self.predicted)
    }
}

impl ClassesCase {
    pub(super) fn x(&self) -> Array2<f64> {
        matrix(&self.x)
    }

    pub(super) fn probabilities(&self) -> Array2<f64> {
        matrix(&self.probabilities)
    }
}

fn matrix(rows: &[Vec<f64>]) -> Array2<f64> {
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap()
}

/// Asserts equality to 1e-6: relative for values above 1, otherwise absolute.
#[track_caller]
pub(super) fn assert_close(found: f64, expected: f64) {
    let error = (found - expected).abs() / expected.abs().max(1.0);
    assert!(error < 1e-6, "found {found}, expected {expected}, error {error:e}");
}

/// Asserts equality to a relative error of 1e-6.
#[track_caller]
pub(super) fn assert_relative(found: f64, expected: f64, what: &str) {
    let error = (found - expected).abs() / expected.abs();
    assert!(error < 1e-6, "{what}: found {found}, expected {expected}, error {error:e}");
}

/// Five pairs with ties, and one resample of them, both as indices and as counts.
pub(super) struct ResampledPairs {
    pub a: [f64; 5],
    pub b: [f64; 5],
    pub indices: [usize; 5],
    pub counts: [f64; 5],
}

pub(super) const RESAMPLED_PAIRS: ResampledPairs = ResampledPairs {
    a: [3.0, 1.0, 2.0, 2.0, 5.0],
    b: [1.0, 1.0, 4.0, 3.0, 2.0],
    indices: [0, 0, 2, 4, 3],
    counts: [2.0, 0.0, 1.0, 1.0, 1.0],
};

impl ResampledPairs {
    /// The resampled values of both sides.
    pub(super) fn listed(&self) -> [[f64; 5]; 2] {
        [self.indices.map(|i| self.a[i]), self.indices.map(|i| self.b[i])]
    }
}

/// Random numbers between −0.5 and 0.5 that are the same in every run.
pub(super) fn noise(shape: [usize; 2], seed: u64) -> Array2<f64> {
    use rand::{Rng, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_simple_fn(shape, || rng.random::<f64>() - 0.5)
}
