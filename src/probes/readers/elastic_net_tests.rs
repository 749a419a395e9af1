//! What scikit-learn's elastic net makes of the same data, and what every one must satisfy.

use super::*;
use crate::probes::fixture::noise;
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
    /// For each target.
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

const EXACT: Until = Until { gap: 1e-13, sweeps: 100_000 };

fn fixture() -> Vec<Case> {
    let json = include_str!("../../../tests/fixtures/probes/elastic_net.json");
    serde_json::from_str::<Fixture>(json).unwrap().cases
}

fn matrix(rows: &[Vec<f64>]) -> Array2<f64> {
    Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, j)| rows[i][j])
}

impl Case {
    /// Checks with the rows as they are stored.
    fn with(&self, check: impl FnOnce(&Rows)) {
        let (x, y) = (matrix(&self.x).mapv(|v| v as f32), matrix(&self.y));
        let all: Vec<usize> = (0..x.nrows()).collect();
        check(&Rows::of(x.view(), (&all, &y)).unwrap());
    }
}

/// How many weights are 0, in both; the others are alike, relative to the largest on one scale.
fn compare(found: ArrayView1<f64>, expected: &[f64], spread: &Array1<f64>, what: &str) -> usize {
    let expected = Array1::from(expected.to_vec()) * spread;
    let found = &found * spread;
    let largest = expected.iter().fold(0.0, |most: f64, w| most.max(w.abs()));
    for (f, e) in found.iter().zip(&expected) {
        assert!((f - e).abs() <= 1e-6 * largest && (*f == 0.0) == (*e == 0.0), "{what}: {f}, expected {e}");
    }
    found.iter().filter(|w| **w == 0.0).count()
}

#[test]
fn weights_and_those_left_out_equal_those_of_scikit_learn() {
    let mut n_left_out = 0;
    for case in fixture() {
        case.with(|rows| {
            let problem = Problem::of(&rows.moments, &rows.stored, rows.targets).unwrap();
            for (fit, t) in case.fits.iter().flat_map(|fit| [(fit, 0), (fit, 1)]) {
                let mut descent = Descent::of(&problem, t);
                assert!(descent.to(fit.share * problem.highest(t), EXACT));
                let weights = &descent.weights / &problem.spread;
                let what = format!("{} at {}", case.name, fit.share);
                n_left_out += compare(weights.view(), &fit.weights[t], &problem.spread, &what);
                let bias = problem.mean_target[t] - weights.dot(&problem.mean);
                assert!((bias - fit.bias[t]).abs() < 1e-6 * bias.abs().max(1.0), "{what}: {bias}");
            }
        });
    }
    assert!(n_left_out > 30, "{n_left_out}");
}

#[test]
fn the_penalty_chosen_equals_that_of_the_same_folds_with_scikit_learn() {
    for case in fixture() {
        case.with(|rows| {
            let n = rows.entities.len();
            let folds: Vec<Vec<usize>> = (0..5).map(|fold| (fold..n).step_by(5).collect()).collect();
            let fit = rows.fit(&folds, EXACT).unwrap();
            let spread = Problem::of(&rows.moments, &rows.stored, rows.targets).unwrap().spread;
            for (t, (path, chosen)) in fit.paths.iter().zip(&case.chosen).enumerate() {
                assert_eq!(path.best, chosen.step, "{}", case.name);
                compare(fit.probe.weights.row(t), &chosen.weights, &spread, &case.name);
                assert!((fit.probe.bias[t] - chosen.bias).abs() < 1e-5 * chosen.bias.abs().max(1.0));
            }
        });
    }
}

#[test]
fn columns_that_say_nothing_are_left_out() {
    let (n, d) = (800, 30);
    let x = noise((n, d), 1).mapv(|v| v as f32);
    let y = Array2::from_shape_fn((n, 1), |(i, _)| f64::from(x[[i, 3]] * 40.0 - x[[i, 17]] * 25.0));
    let y = y + noise((n, 1), 2) * 5.0;
    let all: Vec<usize> = (0..n).collect();
    let rows = Rows::of(x.view(), (&all, &y)).unwrap();
    let problem = Problem::of(&rows.moments, &rows.stored, &y).unwrap();
    let mut descent = Descent::of(&problem, 0);
    assert!(descent.to(problem.highest(0), UNTIL));
    assert!(descent.weights.iter().all(|w| *w == 0.0));
    assert!(descent.to(0.4 * problem.highest(0), UNTIL));
    let used: Vec<usize> = (0..d).filter(|&j| descent.weights[j] != 0.0).collect();
    assert_eq!(used, [3, 17]);
}

#[test]
fn a_fit_that_would_take_too_long_is_the_last_one_that_did_not() {
    let case = fixture().swap_remove(1);
    case.with(|rows| {
        let n = rows.entities.len();
        let folds: Vec<Vec<usize>> = (0..5).map(|fold| (fold..n).step_by(5).collect()).collect();
        let patient = rows.fit(&folds, EXACT).unwrap();
        let hasty = rows.fit(&folds, Until { sweeps: 60, ..EXACT }).unwrap();
        for t in 0..2 {
            let (patient, path) = (&patient.paths[t], &hasty.paths[t]);
            assert!(
                path.best < patient.best && path.lowest < patient.lowest,
                "{} {}",
                path.best,
                path.lowest
            );
            let problem = Problem::of(&rows.moments, &rows.stored, rows.targets).unwrap();
            let mut there = Descent::of(&problem, t);
            assert!(there.to(path.penalty(path.best), EXACT));
            let weights = &there.weights / &problem.spread;
            compare(hasty.probe.weights.row(t), &weights.to_vec(), &problem.spread, "hasty");
        }
    });
}
