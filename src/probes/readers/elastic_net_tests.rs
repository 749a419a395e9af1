//! Equality with scikit-learn's elastic net on the same data, and properties of any elastic net.

use super::*;
use crate::probes::fixture::noise;
use ndarray::ArrayView1;
use serde::Deserialize;

/// Results of scikit-learn; `tests/fixtures/probes/elastic_net.py` writes them with its versions.
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
    /// The chosen penalty of each target.
    chosen: Vec<Chosen>,
}

#[derive(Deserialize)]
struct Expected {
    share: f64,
    weights: Vec<Vec<f64>>,
    bias: Vec<f64>,
}

#[derive(Deserialize)]
struct Chosen {
    step: usize,
    weights: Vec<f64>,
    bias: f64,
}

const EXACT: Stopping = Stopping { gap: 1e-13, sweeps: 100_000 };

fn fixture() -> Vec<Case> {
    let json = include_str!("../../../tests/fixtures/probes/elastic_net.json");
    serde_json::from_str::<Fixture>(json).unwrap().cases
}

fn matrix(rows: &[Vec<f64>]) -> Array2<f64> {
    Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, j)| rows[i][j])
}

impl Case {
    /// Calls `check` with the stored rows.
    fn with(&self, check: impl FnOnce(&TrainingRows)) {
        let (x, y) = (matrix(&self.x).mapv(|v| v as f32), matrix(&self.y));
        let all: Vec<usize> = (0..x.nrows()).collect();
        check(&TrainingRows::of(x.view(), &all, &y).unwrap());
    }
}

/// Checks that weights agree, relative to the largest weight of a standardised column; returns the number of zero
/// weights.
fn compare(found: ArrayView1<f64>, expected: &[f64], std_dev: &Array1<f64>, what: &str) -> usize {
    let expected = Array1::from(expected.to_vec()) * std_dev;
    let found = &found * std_dev;
    let largest = expected.iter().fold(0.0, |most: f64, w| most.max(w.abs()));
    for (f, e) in found.iter().zip(&expected) {
        assert!((f - e).abs() <= 1e-6 * largest && (*f == 0.0) == (*e == 0.0), "{what}: {f}, expected {e}");
    }
    found.iter().filter(|w| **w == 0.0).count()
}

#[test]
fn weights_and_their_zeros_equal_those_of_scikit_learn() {
    let mut n_zero = 0;
    for case in fixture() {
        case.with(|rows| {
            let problem = NormalEquations::of(&rows.moments, &rows.stored, rows.targets).unwrap();
            for (fit, t) in case.fits.iter().flat_map(|fit| [(fit, 0), (fit, 1)]) {
                let mut descent = problem.descent(t);
                assert!(descent.to(fit.share * problem.highest(t), EXACT));
                let weights = descent.weights() / &problem.std_dev;
                let what = format!("{} at {}", case.name, fit.share);
                n_zero += compare(weights.view(), &fit.weights[t], &problem.std_dev, &what);
                let bias = problem.mean_target[t] - weights.dot(&problem.mean);
                assert!((bias - fit.bias[t]).abs() < 1e-6 * bias.abs().max(1.0), "{what}: {bias}");
            }
        });
    }
    assert!(n_zero > 30, "{n_zero}");
}

#[test]
fn the_chosen_penalty_equals_that_of_scikit_learn_on_the_same_folds() {
    for case in fixture() {
        case.with(|rows| {
            let n = rows.entities.len();
            let folds: Vec<Vec<usize>> = (0..5).map(|fold| (fold..n).step_by(5).collect()).collect();
            let fit = rows.fit(&folds, EXACT).unwrap();
            let std_dev = NormalEquations::of(&rows.moments, &rows.stored, rows.targets).unwrap().std_dev;
            for (t, (path, chosen)) in fit.paths.iter().zip(&case.chosen).enumerate() {
                assert_eq!(path.best, chosen.step, "{}", case.name);
                compare(fit.probe.weights.row(t), &chosen.weights, &std_dev, &case.name);
                assert!((fit.probe.bias[t] - chosen.bias).abs() < 1e-5 * chosen.bias.abs().max(1.0));
            }
        });
    }
}

#[test]
fn irrelevant_columns_get_zero_weights() {
    let (n, d) = (800, 30);
    let x = noise([n, d], 1).mapv(|v| v as f32);
    let y = Array2::from_shape_fn((n, 1), |(i, _)| f64::from(x[[i, 3]] * 40.0 - x[[i, 17]] * 25.0));
    let y = y + noise([n, 1], 2) * 5.0;
    let all: Vec<usize> = (0..n).collect();
    let rows = TrainingRows::of(x.view(), &all, &y).unwrap();
    let problem = NormalEquations::of(&rows.moments, &rows.stored, &y).unwrap();
    let mut descent = problem.descent(0);
    assert!(descent.to(problem.highest(0), STOPPING));
    assert!(descent.weights().iter().all(|w| *w == 0.0));
    assert!(descent.to(0.4 * problem.highest(0), STOPPING));
    let used: Vec<usize> = (0..d).filter(|&j| descent.weights()[j] != 0.0).collect();
    assert_eq!(used, [3, 17]);
}

#[test]
fn a_fit_that_does_not_converge_falls_back_to_the_last_converged_fit() {
    let case = fixture().swap_remove(1);
    case.with(|rows| {
        let n = rows.entities.len();
        let folds: Vec<Vec<usize>> = (0..5).map(|fold| (fold..n).step_by(5).collect()).collect();
        let patient = rows.fit(&folds, EXACT).unwrap();
        let hasty = rows.fit(&folds, Stopping { sweeps: 8, ..EXACT }).unwrap();
        for t in 0..2 {
            let (patient, path) = (&patient.paths[t], &hasty.paths[t]);
            assert!(
                path.best < patient.best && path.lowest < patient.lowest,
                "{} {}",
                path.best,
                path.lowest
            );
            let problem = NormalEquations::of(&rows.moments, &rows.stored, rows.targets).unwrap();
            let mut there = problem.descent(t);
            assert!(there.to(path.penalty(path.best), EXACT));
            let weights = there.weights() / &problem.std_dev;
            compare(hasty.probe.weights.row(t), &weights.to_vec(), &problem.std_dev, "hasty");
        }
    });
}
