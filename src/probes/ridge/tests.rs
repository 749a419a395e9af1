//! Properties of ridge regression, and equality with scikit-learn and linfa on the same data.

use super::super::gram::InnerGram;
use super::*;
use crate::probes::fixture::{Fixture, RidgeFit, assert_close, assert_relative, noise};
use crate::probes::metrics::{mean, r2};
use linfa::Dataset;
use linfa::traits::Predict;
use ndarray::{Axis, concatenate, s};

fn solve(x: &Array2<f64>, y: &Array2<f64>, grid: PenaltyGrid) -> Solution {
    Decomposition::of(x.clone()).unwrap().solve(y, &grid).unwrap()
}

fn planted(n: usize, d: usize) -> (Array2<f64>, Array2<f64>) {
    let x = noise([n, d], 1) + 3.0;
    let y = x.dot(&noise([d, 2], 2)) * 40.0 + 7.0;
    (x, y)
}

#[test]
fn weights_and_bias_equal_those_of_scikit_learn() {
    for case in Fixture::load().ridge {
        for RidgeFit { penalty, fit } in &case.fits {
            let found = solve(&case.x(), &case.y(), PenaltyGrid::Fixed(vec![*penalty])).probe;
            let (what, expected) = (format!("{}, λ {penalty}", case.name), fit.weights());
            found.weights.iter().zip(&expected).for_each(|(f, e)| assert_relative(*f, *e, &what));
            found.bias.iter().zip(&fit.bias).for_each(|(f, e)| assert_relative(*f, *e, &what));
        }
    }
}

#[test]
fn leave_one_out_errors_and_choice_equal_those_of_scikit_learn() {
    for case in Fixture::load().ridge {
        let (x, y) = (case.x(), case.y());
        for (&penalty, expected) in case.penalties.iter().zip(&case.loo_squares) {
            let found = solve(&x, &y, PenaltyGrid::Fixed(vec![penalty])).leave_one_out - &y;
            for (row, squares) in found.rows().into_iter().zip(expected) {
                let what = format!("{}, λ {penalty}", case.name);
                row.iter().zip(squares).for_each(|(error, s)| assert_relative(error.abs(), s.sqrt(), &what));
            }
        }
        let found = solve(&x, &y, PenaltyGrid::Fixed(case.penalties.clone()));
        assert_eq!(found.probe.penalty, case.chosen, "{}", case.name);
        let there = solve(&x, &y, PenaltyGrid::Fixed(vec![case.chosen_unstandardised])).probe;
        let predicted: Array2<f64> = there.predict(&x);
        r2_by_target(y.view(), predicted.view())
            .iter()
            .zip(&case.training_r2)
            .for_each(|(f, e)| assert_close(*f, *e));
    }
}

#[test]
fn leave_one_out_equals_refitting_without_each_row() {
    for (n, d) in [(12, 4), (9, 15)] {
        let (x, mut y) = planted(n, d);
        y += &noise([n, 2], 3);
        let grid = PenaltyGrid::Fixed(vec![0.7]);
        let found = solve(&x, &y, grid.clone()).leave_one_out;
        for row in 0..n {
            let rest: Vec<usize> = (0..n).filter(|&i| i != row).collect();
            let probe = solve(&x.select(Axis(0), &rest), &y.select(Axis(0), &rest), grid.clone()).probe;
            let expected = probe.predict_one(x.row(row));
            found.row(row).iter().zip(&expected).for_each(|(f, e)| assert!((f - e).abs() < 1e-9));
        }
    }
}

#[test]
fn both_sides_of_the_gram_matrix_give_the_same_probe() {
    // Duplicate columns do not change any prediction, but there are then fewer rows than columns.
    let (x, y) = planted(10, 6);
    let narrow = solve(&x, &y, PenaltyGrid::Fixed(vec![0.5]));
    let wide = concatenate![Axis(1), x, x];
    let wide = solve(&wide, &y, PenaltyGrid::Fixed(vec![1.0]));
    (&narrow.leave_one_out - &wide.leave_one_out).iter().for_each(|e| assert!(e.abs() < 1e-9, "{e}"));
}

#[test]
fn stored_rows_and_rows_in_f64_give_the_same_probe() {
    for (n, d) in [(2600, 9), (20, 30)] {
        let (x, mut y) = planted(n, d);
        y += &noise([n, 2], 3);
        let stored = x.mapv(|v| v as f32);
        let rows: Vec<usize> = (0..n).filter(|i| i % 5 != 2).collect();
        let (few, targets) = (stored.select(Axis(0), &rows).mapv(f64::from), y.select(Axis(0), &rows));
        let held = Decomposition::of(few).unwrap();
        let streamed = Decomposition::of_rows(stored.view(), &rows).unwrap();
        assert_eq!((held.n_rows(), held.rank()), (streamed.n_rows(), streamed.rank()));
        let near = |a: &Array2<f64>, b: &Array2<f64>| (a - b).iter().all(|e| e.abs() < 1e-7);
        let first = |k: usize| (held.first(k).unwrap(), streamed.first(k).unwrap());
        for (held, streamed) in [(held.clone(), streamed.clone()), first(d), first(4)] {
            let grid = PenaltyGrid::default();
            let (a, b) = (held.solve(&targets, &grid).unwrap(), streamed.solve(&targets, &grid).unwrap());
            assert!((a.probe.penalty / b.probe.penalty - 1.0).abs() < 1e-9);
            assert!(near(&a.leave_one_out, &b.leave_one_out) && near(&a.probe.weights, &b.probe.weights));
            assert!(near(&held.pattern(&a.probe).unwrap(), &streamed.pattern(&b.probe).unwrap()));
            assert!((held.rms_norm() - streamed.rms_norm()).abs() < 1e-9);
        }
    }
}

#[test]
fn a_band_and_principal_axes_give_the_same_fit() {
    // Bands of width 1 and of width 8.
    for (n, d) in [(200, 12), (2300, 1030)] {
        let (x, mut y) = planted(n, d);
        y += &(noise([n, 2], 3) * 20.0);
        let band = Decomposition::of(x).unwrap();
        let principal = band.principal().unwrap();
        assert!(matches!(band.gram, InnerGram::Band(_)));
        assert!(matches!(principal.gram, InnerGram::Diagonal(_)));
        let near = |a: &Array2<f64>, b: &Array2<f64>| (a - b).iter().all(|e| e.abs() < 1e-9);
        for grid in
            [PenaltyGrid::default(), PenaltyGrid::Fixed(vec![0.0]), PenaltyGrid::Fixed(vec![0.3, 30.0])]
        {
            let (a, b) = (band.solve(&y, &grid).unwrap(), principal.solve(&y, &grid).unwrap());
            assert!(near(&a.probe.weights, &b.probe.weights) && near(&a.leave_one_out, &b.leave_one_out));
            a.trials.iter().zip(&b.trials).for_each(|(a, b)| assert!((a.error - b.error).abs() < 1e-12));
        }
    }
}

#[test]
fn fitting_several_sets_of_targets_equals_fitting_each_alone() {
    let (x, y) = planted(300, 15);
    let (y, chance, one) = (y + noise([300, 2], 3), noise([300, 2], 4), noise([300, 1], 5));
    let decomposition = Decomposition::of(x).unwrap();
    // The second and the third set choose the highest penalties, the first set one of the lowest.
    let grid = PenaltyGrid::Decades { from: -2, to: -1, floor: -9, ceiling: 4 };
    let together = decomposition.solve_each(&[&y, &chance, &one], &grid).unwrap();
    assert!(together[0].probe.penalty < together[1].probe.penalty);
    for (set, found) in [&y, &chance, &one].into_iter().zip(&together) {
        let alone = decomposition.solve(set, &grid).unwrap();
        assert_eq!(
            (found.edge, found.n_grown, found.probe.penalty),
            (alone.edge, alone.n_grown, alone.probe.penalty)
        );
        assert!((&found.leave_one_out - &alone.leave_one_out).iter().all(|e| e.abs() < 1e-12));
    }
}

#[test]
fn a_planted_direction_is_found() {
    for (n, d) in [(300, 20), (60, 80)] {
        let (x, y) = planted(n + 100, d);
        let (train, test) = (s![..n, ..], s![n.., ..]);
        let found = solve(&x.slice(train).to_owned(), &y.slice(train).to_owned(), PenaltyGrid::default());
        let predicted: Array2<f64> = found.probe.predict(&x.slice(test).to_owned());
        if n > d {
            assert!(r2_by_target(y.slice(test), predicted.view()).iter().all(|r| *r > 0.999_999));
            assert!(found.loo_r2.iter().all(|r| *r > 0.999_999));
        } else {
            // Sixty rows span three quarters of the eighty dimensions.
            assert!(mean(&r2_by_target(y.slice(test), predicted.view())) > 0.4);
        }
    }
}

#[test]
fn random_targets_are_not_predicted() {
    let x = noise([400, 30], 1);
    let y = noise([400, 2], 9);
    let found = solve(&x, &y, PenaltyGrid::default());
    assert!(found.loo_r2.iter().all(|r| r.abs() < 0.05), "{:?}", found.loo_r2);
}

#[test]
fn columns_of_noise_cost_little() {
    let (x, mut y) = planted(500, 10);
    y += &(noise([500, 2], 4) * 5.0);
    let plain = solve(&x, &y, PenaltyGrid::default());
    let noisy = solve(&concatenate![Axis(1), x, noise([500, 40], 5)], &y, PenaltyGrid::default());
    let (plain, noisy) = (mean(&plain.loo_r2), mean(&noisy.loo_r2));
    assert!(noisy < plain && noisy > plain - 0.05, "{plain} {noisy}");
}

#[test]
fn without_penalty_it_equals_linfas_least_squares() {
    let (x, y) = planted(80, 6);
    let y = y + noise([80, 2], 6) * 10.0;
    let probe = solve(&x, &y, PenaltyGrid::Fixed(vec![0.0])).probe;
    for target in 0..2 {
        let dataset = Dataset::new(x.clone(), y.column(target).to_owned());
        let fit = linfa_linear::LinearRegression::new().fit(&dataset).unwrap();
        // Measured: within 2e-15.
        probe.weights.row(target).iter().zip(fit.params()).for_each(|(f, e)| assert_close(*f, *e));
        assert_close(probe.bias[target], fit.intercept());
    }
}

#[test]
fn the_grid_grows_until_the_best_is_inside_or_reports_the_edge() {
    let (x, y) = planted(200, 5);
    let narrow = PenaltyGrid::Decades { from: 1, to: 2, floor: -20, ceiling: 5 };
    let grown = solve(&x, &y, narrow);
    assert!(grown.trials.len() > 3 && grown.trials.windows(2).all(|t| t[0].penalty < t[1].penalty));
    assert!(mean(&grown.loo_r2) > 0.999_999);
    let stopped = solve(&x, &y, PenaltyGrid::Decades { from: 1, to: 2, floor: 0, ceiling: 5 });
    assert_eq!((stopped.edge, stopped.trials.len()), (Edge::Lowest, 5));
    let noise = solve(
        &noise([50, 5], 1),
        &noise([50, 1], 11),
        PenaltyGrid::Decades { from: -7, to: -6, floor: -7, ceiling: -5 },
    );
    assert_eq!((noise.edge, noise.trials.len()), (Edge::Highest, 5));
    assert_eq!(solve(&x, &y, PenaltyGrid::default()).trials.len() % 2, 1);
    assert_eq!((grown.n_grown * 2 + 3, stopped.n_grown, noise.n_grown), (grown.trials.len(), 1, 1));
}

#[test]
fn penalties_are_parsed() {
    let PenaltyGrid::Fixed(paper) = "paper".parse().unwrap() else { panic!("fixed penalties") };
    // numpy.logspace(0.8, 4.1, 12)
    assert_eq!(paper.len(), 12);
    assert!(
        (paper[0] - 6.309_573_444_801_933).abs() < 1e-12 && (paper[11] - 12_589.254_117_941_66).abs() < 1e-8
    );
    assert!((paper[3] / paper[2] - 10f64.powf(0.3)).abs() < 1e-12);
    assert_eq!("10, 0.1,1".parse::<PenaltyGrid>().unwrap(), PenaltyGrid::Fixed(vec![0.1, 1.0, 10.0]));
    for odd in ["", "a", "1,-1", "1,nan", "paper-3b"] {
        assert!(odd.parse::<PenaltyGrid>().unwrap_err().to_string().contains("paper-70b"), "{odd}");
    }
    let (x, y) = planted(200, 5);
    assert_eq!(solve(&x, &y, PenaltyGrid::Fixed(vec![1.0, 100.0, 1e4])).edge, Edge::Lowest);
}

#[test]
fn a_constant_target_or_stream_is_fitted_by_the_bias() {
    let x = noise([20, 3], 1);
    let y = concatenate![Axis(1), Array2::from_elem((20, 1), 5.0), x.slice(s![.., ..1])];
    let found = solve(&x, &y, PenaltyGrid::default());
    assert!((found.probe.bias[0] - 5.0).abs() < 1e-12);
    assert!(found.loo_r2[1] > 0.99);
    let still = solve(&Array2::from_elem((20, 3), 2.0), &y, PenaltyGrid::default());
    assert!(still.probe.weights.iter().all(|w| *w == 0.0));
    assert!(r2(&y.column(1).to_vec(), &still.leave_one_out.column(1).to_vec()) <= 0.0);
}

#[test]
fn the_pattern_moves_one_prediction_by_one_unit() {
    for (n, d) in [(100, 8), (12, 30)] {
        let (x, y) = planted(n, d);
        let decomposition = Decomposition::of(x.clone()).unwrap();
        let probe = decomposition.solve(&y, &PenaltyGrid::default()).unwrap().probe;
        let moved = decomposition.pattern(&probe).unwrap().dot(&probe.weights.t());
        (&moved - &Array2::<f64>::eye(2)).iter().for_each(|e| assert!(e.abs() < 1e-8, "{moved}"));
        let rms = (x.iter().map(|v| v * v).sum::<f64>() / n as f64).sqrt();
        assert!((decomposition.rms_norm() / rms - 1.0).abs() < 1e-12);
    }
}

#[test]
fn bad_input_is_refused_by_row_and_column() {
    let (mut x, y) = planted(6, 3);
    x[[4, 2]] = f64::NAN;
    let error = Decomposition::of(x.clone()).unwrap_err().to_string();
    assert!(error.contains("row 5, column 3") && error.contains("NaN"), "{error}");
    x[[4, 2]] = f64::INFINITY;
    assert!(Ridge::default().fit(&Dataset::new(x, y.clone())).unwrap_err().to_string().contains("inf"));
    assert!(Decomposition::of(noise([2, 3], 1)).unwrap_err().to_string().contains("2 rows"));
    let decomposition = Decomposition::of(noise([5, 3], 1)).unwrap();
    assert!(decomposition.solve(&y, &PenaltyGrid::default()).unwrap_err().to_string().contains("6 rows"));
    let y = noise([5, 1], 1);
    for penalties in [vec![], vec![-1.0], vec![f64::NAN]] {
        assert!(decomposition.solve(&y, &PenaltyGrid::Fixed(penalties)).is_err());
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    // Tall and wide matrices, large enough that products are cut into pieces; a narrow and a wide band.
    for (n, d) in [(1500, 330), (290, 610), (1100, 1030)] {
        let (x, y) = planted(n, d);
        let fit = || {
            let decomposition = Decomposition::of(x.clone()).unwrap();
            let solution = decomposition.solve(&y, &PenaltyGrid::default()).unwrap();
            (decomposition.pattern(&solution.probe).unwrap(), solution.leave_one_out, solution.probe)
        };
        let on = |n_threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(fit)
        };
        let one = on(1);
        let stored = x.mapv(|v| v as f32);
        let rows: Vec<usize> = (0..n).collect();
        let stream = |n_threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            let fit = || Decomposition::of_rows(stored.view(), &rows)?.solve(&y, &PenaltyGrid::default());
            pool.install(fit).unwrap()
        };
        let streamed = stream(1);
        for n_threads in [2, 3, 8, 11] {
            assert!(on(n_threads) == one, "{n} rows, {d} columns, {n_threads} threads");
            assert!(stream(n_threads) == streamed, "{n} rows, {d} columns, {n_threads} threads");
        }
    }
}
