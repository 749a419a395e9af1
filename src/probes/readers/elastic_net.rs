//! Elastic net: ridge that may also leave dimensions of the stream out.

use super::{Reader, Reading, Training};
use crate::error::{Error, Result};
use crate::probes::decomposition::Decomposition;
use crate::probes::probe::Probe;
use crate::probes::ridge::PenaltyGrid;
use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_elasticnet::ElasticNet as Model;
use ndarray::{Array1, Array2, Axis, ShapeBuilder};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// How much of the penalty is on absolute values, which leaves columns out; the rest is on squares.
const L1_RATIO: f64 = 0.5;
/// Half decades of the penalty that leaves every column out.
const SHARES: [f64; 7] = [
    0.316_227_766_016_837_94,
    0.1,
    0.031_622_776_601_683_79,
    0.01,
    0.003_162_277_660_168_379_3,
    0.001,
    0.000_316_227_766_016_837_9,
];
/// The part of the training rows that chooses the penalty.
const HELD_OUT: f64 = 0.2;
/// The largest duality gap, as a share of the target's sum of squares.
const TOLERANCE: f64 = 1e-6;
/// More sweeps over the columns than this help the reading no more.
const MOST_SWEEPS: u32 = 2000;

/// Minimises `‖y − Xw − b‖² / 2n + penalty · (½ ‖w‖₁ + ¼ ‖w‖²)` on columns put on one scale; each target chooses its
/// penalty by its error on a fifth of the training rows, and learns from all of them.
///
/// # Source
/// H. Zou and T. Hastie, "Regularization and variable selection via the elastic net" (2005); coordinate descent by
/// linfa-elasticnet.
#[derive(Debug)]
pub(super) struct ElasticNet;

impl Reader for ElasticNet {
    fn name(&self) -> &'static str {
        "elastic-net"
    }

    fn about(&self) -> &'static str {
        "ridge that may also leave dimensions out"
    }

    fn read(&self, training: &Training) -> Result<Vec<Reading>> {
        let shares = chosen(training)?;
        let problem = Problem::of(training.decomposition, training.targets)?;
        let probe = problem.probe(&shares)?;
        Ok(vec![Reading { method: self.name().into(), values: training.readings(&probe) }])
    }
}

/// Each target's best share, by the squared error on rows that are held out.
fn chosen(training: &Training) -> Result<Vec<f64>> {
    let mut places: Vec<usize> = (0..training.train.len()).collect();
    places.shuffle(&mut ChaCha8Rng::seed_from_u64(training.seed));
    let n_held_out = ((places.len() as f64 * HELD_OUT) as usize).max(1);
    let held_out = places.split_off(places.len() - n_held_out);
    let learns = places;
    let entities = |places: &[usize]| places.iter().map(|&i| training.train[i]).collect::<Vec<usize>>();
    let (learnt, reads) = (entities(&learns), entities(&held_out));
    let decomposition = Decomposition::of_rows(training.activations.view(), &learnt)?;
    let problem = Problem::of(&decomposition, &training.targets.select(Axis(0), &learns))?;
    let truth = training.targets.select(Axis(0), &held_out); // [n_held_out, n_targets]
    let n_targets = truth.ncols();
    let mut best = vec![(f64::INFINITY, SHARES[0]); n_targets];
    for share in SHARES {
        let read = problem.probe(&vec![share; n_targets])?.readings_of(training.activations, &reads);
        for (t, best) in best.iter_mut().enumerate() {
            let error = (&read.column(t) - &truth.column(t)).mapv(|e| e * e).sum();
            if error < best.0 {
                *best = (error, share);
            }
        }
    }
    Ok(best.into_iter().map(|(_, share)| share).collect())
}

/// The least-squares part of the fit in as many rows as the activations have axes, whatever their number:
/// `‖y − Xw‖²` is `‖z − Rw‖²` and a constant, with `R = √S Vᵀ` and `z = R w₀`, `w₀` the least-squares weights.
struct Problem {
    /// `R` with its columns on one scale, `[n_axes, d_model]`, column by column in memory.
    rows: Array2<f64>,
    /// The spread of each column, 1 for a still one, `[d_model]`.
    spread: Array1<f64>,
    /// `z` of each target, `[n_axes, n_targets]`.
    z: Array2<f64>,
    mean: Array1<f64>,
    mean_target: Array1<f64>,
    tolerance: f64,
    most_sweeps: u32,
}

impl Problem {
    fn of(decomposition: &Decomposition, targets: &Array2<f64>) -> Result<Problem> {
        let without = PenaltyGrid::Fixed(vec![0.0]);
        let exact = decomposition.solve(targets, &without)?.probe.weights; // [n_targets, d_model]
        let principal = decomposition.principal()?;
        let (d, k) = principal.axes.dim();
        let mut rows = Array2::zeros((k, d).f());
        for ((axis, column), value) in rows.indexed_iter_mut() {
            *value = principal.eigenvalues[axis].max(0.0).sqrt() * principal.axes[[column, axis]];
        }
        let z = rows.dot(&exact.t());
        let n = decomposition.n_rows() as f64;
        let spread = rows.map_axis(Axis(0), |column| (column.dot(&column) / n).sqrt());
        let spread = spread.mapv(|s| if s > 0.0 { s } else { 1.0 });
        rows /= &spread;
        let n_targets = targets.ncols();
        let mean_target = targets.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(n_targets));
        Ok(Problem {
            rows,
            spread,
            z,
            mean: decomposition.mean().clone(),
            mean_target,
            tolerance: TOLERANCE,
            most_sweeps: MOST_SWEEPS,
        })
    }

    /// The least penalty that leaves every column out, of a target.
    fn highest(&self, target: usize) -> f64 {
        let slopes = self.rows.t().dot(&self.z.column(target));
        slopes.iter().fold(0.0, |most, slope| slope.abs().max(most)) / (self.rows.nrows() as f64 * L1_RATIO)
    }

    /// The fit of every target at its share of the penalty that leaves every column out.
    fn probe(&self, shares: &[f64]) -> Result<Probe> {
        let mut weights = Array2::zeros((shares.len(), self.spread.len())); // [n_targets, d_model]
        for (t, share) in shares.iter().enumerate() {
            weights.row_mut(t).assign(&(self.weights(t, share * self.highest(t))? / &self.spread));
        }
        let bias = &self.mean_target - &weights.dot(&self.mean);
        Ok(Probe { weights, bias, penalty: f64::NAN })
    }

    /// The weights of columns on one scale, `[d_model]`.
    fn weights(&self, target: usize, penalty: f64) -> Result<Array1<f64>> {
        let data = DatasetBase::new(self.rows.view(), self.z.column(target));
        let model = Model::params()
            .penalty(penalty)
            .l1_ratio(L1_RATIO)
            // What it takes off is the mean of z, which is no intercept here.
            .with_intercept(false)
            .tolerance(self.tolerance)
            .max_iterations(self.most_sweeps)
            .fit(&data)
            .map_err(|e| Error::Internal(e.to_string()))?;
        Ok(model.hyperplane().clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    /// What scikit-learn computes; `tests/fixtures/probes/elastic_net.py` writes it and names the versions in it.
    #[derive(Deserialize)]
    struct Fixture {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        x: Vec<Vec<f64>>,
        y: Vec<Vec<f64>>,
        fits: Vec<Expected>,
    }

    #[derive(Deserialize)]
    struct Expected {
        share: f64,
        weights: Vec<Vec<f64>>,
        bias: Vec<f64>,
    }

    fn matrix(rows: &[Vec<f64>]) -> Array2<f64> {
        Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, j)| rows[i][j])
    }

    #[test]
    fn weights_and_those_left_out_equal_those_of_scikit_learn() {
        let json = include_str!("../../../tests/fixtures/probes/elastic_net.json");
        let fixture: Fixture = serde_json::from_str(json).unwrap();
        let mut n_left_out = 0;
        for case in &fixture.cases {
            let (x, y) = (matrix(&case.x), matrix(&case.y));
            let spread = x.std_axis(Axis(0), 0.0).mapv(|s| if s > 0.0 { s } else { 1.0 });
            let problem = Problem::of(&Decomposition::of(x).unwrap(), &y).unwrap();
            let exact = Problem { tolerance: 1e-13, most_sweeps: 1_000_000, ..problem };
            for fit in &case.fits {
                let expected = matrix(&fit.weights) * &spread; // [n_targets, d_model], on one scale
                let probe = exact.probe(&[fit.share; 2]).unwrap();
                let found = &probe.weights * &spread;
                let largest = expected.iter().fold(0.0, |most: f64, w| most.max(w.abs()));
                for (f, e) in found.iter().zip(&expected) {
                    let told = || format!("{} at {}: {f}, expected {e}", case.name, fit.share);
                    assert!((f - e).abs() < 1e-6 * largest, "{}", told());
                    assert!((*f == 0.0) == (*e == 0.0), "{}", told());
                    n_left_out += usize::from(*f == 0.0);
                }
                for (f, e) in probe.bias.iter().zip(&fit.bias) {
                    assert!((f - e).abs() < 1e-6 * e.abs().max(1.0), "{}: {f}, expected {e}", case.name);
                }
            }
        }
        assert!(n_left_out > 50, "{n_left_out}");
    }
}
