//! Laws of the map between streams, and equality with scikit-learn (fixture: tests/fixtures/probes/stream_map.py).

use super::*;
use crate::probes::fixture::noise;
use crate::probes::{Decomposition, PenaltyGrid};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    x: Vec<Vec<f32>>,
    y: Vec<Vec<f32>>,
    weights: Vec<f64>,
    penalties: Vec<f64>,
    /// The mean squared leave-one-out error at each penalty, by a fit without each row.
    errors: Vec<f64>,
    /// The choice of RidgeCV.
    chosen: f64,
    change: Vec<Vec<f64>>,
    bias: Vec<f64>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../../../tests/fixtures/probes/stream_map.json")).unwrap()
}

fn matrix<T: Copy>(rows: &[Vec<T>]) -> Array2<T> {
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap()
}

#[test]
fn the_map_and_the_choice_of_the_penalty_equal_those_of_scikit_learn() {
    for case in cases() {
        let (x, y) = (matrix(&case.x), matrix(&case.y));
        let rows = MapRows { x: x.view(), y: y.view(), weights: &case.weights };
        let found = StreamMap::fit(rows, &PenaltyGrid::Fixed(case.penalties.clone())).unwrap();
        assert_eq!(found.penalty, case.chosen);
        let largest = case.change.concat().iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        let worst =
            (&found.change - &matrix(&case.change)).iter().fold(0.0, |most: f64, e| most.max(e.abs()));
        println!("{} rows of {}: largest relative error {:.1e}", x.nrows(), x.ncols(), worst / largest);
        assert!(worst < 1e-9 * largest, "{worst:e}");
        found.bias.iter().zip(&case.bias).for_each(|(f, e)| assert!((f - e).abs() < 1e-9, "{f} {e}"));
        let sums = Sums::of(rows).unwrap();
        let all = sums.leave_one_out(&case.penalties).unwrap();
        for (error, expected) in all.iter().zip(&case.errors) {
            let found = error * sums.squares;
            assert!((found / expected - 1.0).abs() < 1e-9, "{found} and not {expected}");
        }
    }
}

#[test]
fn equal_streams_give_the_identity_and_a_planted_map_is_found() {
    let x = noise([400, 12], 1).mapv(|v| v as f32 + 2.0);
    let weights = vec![1.0; 400];
    let same =
        StreamMap::fit(MapRows { x: x.view(), y: x.view(), weights: &weights }, &PenaltyGrid::default());
    let same = same.unwrap();
    assert!(
        same.change.iter().chain(&same.bias).all(|v| *v == 0.0) && same.trials.iter().all(|t| t.error == 0.0)
    );
    let planted = noise([12, 12], 2);
    let y = (x.mapv(f64::from).dot(&planted.t()) - 3.0).mapv(|v| v as f32);
    let found =
        StreamMap::fit(MapRows { x: x.view(), y: y.view(), weights: &weights }, &PenaltyGrid::default());
    let found = found.unwrap();
    let matrix = &found.change + &Array2::<f64>::eye(12);
    assert!((&matrix - &planted).iter().all(|e| e.abs() < 1e-4), "{:?}", found.trials);
    let (mapped, wide) = (found.apply(&x.mapv(f64::from)), y.mapv(f64::from));
    assert!((&mapped - &wide).iter().all(|e| e.abs() < 1e-3));
}

#[test]
fn without_weights_the_fit_is_that_of_the_probe_on_the_differences() {
    for (n, d) in [(300, 9), (20, 30)] {
        let (x, noise_y) = (noise([n, d], 3).mapv(|v| v as f32), noise([n, d], 4));
        let y = (x.mapv(f64::from).dot(&noise([d, d], 5)) + noise_y * 3.0).mapv(|v| v as f32);
        let (weights, grid) = (vec![1.0; n], PenaltyGrid::Fixed(vec![7.5]));
        let found = StreamMap::fit(MapRows { x: x.view(), y: y.view(), weights: &weights }, &grid).unwrap();
        let targets = y.mapv(f64::from) - x.mapv(f64::from);
        let probe = Decomposition::of(x.mapv(f64::from)).unwrap().solve(&targets, &grid).unwrap();
        assert!((&found.change - &probe.probe.weights).iter().all(|e| e.abs() < 1e-9));
        let left_out = (&targets - &probe.leave_one_out).mapv(|e| e * e).sum();
        let spread = (&targets - &targets.mean_axis(ndarray::Axis(0)).unwrap()).mapv(|e| e * e).sum();
        assert!((found.trials[0].error / (left_out / spread) - 1.0).abs() < 1e-9);
    }
}

#[test]
fn the_search_finds_the_least_error_of_the_whole_grid_and_no_thread_changes_a_bit() {
    for seed in 0..12 {
        let (n, d) = (40 + 30 * seed as usize, 6 + 2 * seed as usize);
        let x = (noise([n, d], seed) * 3.0).mapv(|v| v as f32);
        let scale = 10f64.powi(seed as i32 % 4 - 1);
        let y = (x.mapv(f64::from).dot(&noise([d, d], seed + 50)) + noise([n, d], seed + 90) * scale)
            .mapv(|v| v as f32);
        let weights: Vec<f64> = (0..n).map(|i| 0.5 + (i % 5) as f64).collect();
        let rows = MapRows { x: x.view(), y: y.view(), weights: &weights };
        let fit = |n_threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| StreamMap::fit(rows, &PenaltyGrid::default())).unwrap()
        };
        let found = fit(1);
        assert!(found == fit(3), "{seed}");
        let sums = Sums::of(rows).unwrap();
        let unit = sums.values.sum() / sums.values.iter().filter(|s| **s > 0.0).count() as f64;
        let penalties = PenaltyGrid::default().all(unit).unwrap();
        let errors = sums.leave_one_out(&penalties).unwrap();
        let all: Vec<Trial> =
            penalties.iter().zip(&errors).map(|(p, e)| Trial { penalty: *p, error: *e }).collect();
        let best = least(&all);
        assert_eq!(found.penalty, penalties[best], "seed {seed}: {:?}", found.trials);
    }
}

#[test]
fn bad_rows_are_refused() {
    let x = noise([5, 2], 1).mapv(|v| v as f32);
    let fit = |x: &Array2<f32>, y: &Array2<f32>, weights: &[f64]| {
        let rows = MapRows { x: x.view(), y: y.view(), weights };
        StreamMap::fit(rows, &PenaltyGrid::default()).unwrap_err().to_string()
    };
    let mut bad = x.clone();
    bad[[3, 1]] = f32::NAN;
    assert!(fit(&bad, &x, &[1.0; 5]).contains("inputs of a map: row 4, column 2"));
    assert!(fit(&x, &bad, &[1.0; 5]).contains("outputs of a map: row 4, column 2"));
    assert!(fit(&x, &x, &[1.0; 4]).contains("5 rows"));
    assert!(fit(&x, &x, &[f64::NAN; 5]).contains("weights"));
}
