//! Properties of every regressor and classifier, and equality with scikit-learn on the same data.

use super::*;
use crate::datasets::TargetKind;
use crate::error::Result;
use crate::probes::classes::ClassPredictions;
use crate::probes::fixture::{Fixture, assert_close, assert_relative, noise};
use crate::probes::metrics::{mean, r2_by_target};
use crate::probes::ridge::{Decomposition, PenaltyGrid};
use ndarray::{Array2, Axis};

/// Entities with activations and targets; the first ones are training entities.
struct Example {
    x: Array2<f32>,
    y: Array2<f64>,
    n_train: usize,
    kind: TargetKind,
    grid: PenaltyGrid,
    option: Option<f64>,
}

impl Example {
    fn new(x: &Array2<f64>, y: Array2<f64>, n_train: usize) -> Example {
        let kind = if y.ncols() == 2 { TargetKind::Place } else { TargetKind::Year };
        Example { x: x.mapv(|v| v as f32), y, n_train, kind, grid: PenaltyGrid::default(), option: None }
    }

    /// Places (or years) planted along directions of random activations.
    fn planted(n_targets: usize) -> Example {
        let (n, d) = (700, 20);
        let y = noise([n, n_targets], 1) * 100.0;
        let x = (&y / 50.0).dot(&noise([n_targets, d], 2)) + noise([n, d], 3) * 0.05 + 1.0;
        Example::new(&x, y, 500)
    }

    fn predict_with(
        &self,
        regressor: &dyn Regressor,
        targets: &Array2<f64>,
    ) -> Result<Vec<MethodPredictions>> {
        let (train, test): (Vec<usize>, Vec<usize>) = (0..self.x.nrows()).partition(|&i| i < self.n_train);
        let rows = self.x.select(Axis(0), &train).mapv(f64::from);
        regressor.fit_predict(&RegressionTask {
            decomposition: &Decomposition::of(rows)?,
            activations: self.x.view(),
            train: &train,
            targets,
            kind: &self.kind,
            test: &test,
            grid: &self.grid,
            seed: 5,
            option: self.option,
        })
    }

    fn predict(&self, name: &str) -> Vec<MethodPredictions> {
        let regressor = REGRESSORS.into_iter().find(|regressor| regressor.name() == name).unwrap();
        self.predict_with(regressor, &self.training_targets()).unwrap()
    }

    fn training_targets(&self) -> Array2<f64> {
        self.y.slice(ndarray::s![..self.n_train, ..]).to_owned()
    }

    fn r2(&self, predictions: &MethodPredictions) -> f64 {
        mean(&r2_by_target(self.y.slice(ndarray::s![self.n_train.., ..]), predictions.values.view()))
    }
}

#[test]
fn every_regressor_predicts_planted_targets_but_not_shuffled_ones() {
    for n_targets in [1, 2] {
        let example = Example::planted(n_targets);
        let mut shuffled = example.training_targets();
        shuffled.invert_axis(Axis(0));
        for regressor in REGRESSORS.into_iter().filter(|r| r.check(&example.kind, None).is_ok()) {
            let predictions = example.predict(regressor.name());
            let last = predictions.iter().rfind(|r| !r.method.contains("seed")).unwrap();
            // A few components may miss a part of the targets; all components find both.
            assert!(example.r2(last) > 0.97, "{}: {}", last.method, example.r2(last));
            assert_eq!(last.values.dim(), (200, n_targets));
            for predictions in example.predict_with(regressor, &shuffled).unwrap() {
                let r2 = example.r2(&predictions);
                assert!(r2 < 0.1, "{} on shuffled targets: {r2}", predictions.method);
            }
        }
    }
}

#[test]
fn all_random_draws_depend_on_the_seed() {
    let example = Example::planted(1);
    let predictions = example.predict("mlp");
    assert_eq!(predictions, example.predict("mlp"));
    assert_eq!(
        predictions.iter().map(|r| r.method.as_str()).collect::<Vec<_>>(),
        ["mlp", "mlp-seed-0", "mlp-seed-1", "mlp-seed-2"]
    );
    assert_ne!(predictions[1].values, predictions[2].values);
    assert!(predictions[1..].iter().any(|r| r.values == predictions[0].values));
}

#[test]
fn a_perceptron_predicts_a_curve_that_no_linear_fit_does() {
    let x = noise([1500, 6], 1);
    let y = Array2::from_shape_fn((1500, 1), |(i, _)| (x[[i, 0]] * 2.0).powi(2) * 100.0);
    let example = Example::new(&x, y, 1200);
    let linear = example.r2(&example.predict("ols")[0]);
    let curved = example.r2(&example.predict("mlp")[0]);
    assert!(linear < 0.1 && curved > 0.8, "{linear} {curved}");
}

#[test]
fn the_sphere_has_no_jump_at_180_degrees() {
    // Places on both sides of 180°: a linear fit to the longitude must cross the whole map.
    let angle = noise([600, 2], 1);
    let place = |i: usize| {
        let east = 180.0 + angle[[i, 1]] * 60.0;
        [angle[[i, 0]] * 60.0, if east > 180.0 { east - 360.0 } else { east }]
    };
    let y = Array2::from_shape_fn((600, 2), |(i, t)| place(i)[t]);
    let x = Array2::from_shape_fn((600, 2), |(i, t)| angle[[i, t]]);
    let example = Example::new(&x, y, 400);
    let worst = |name: &str| {
        let values = &example.predict(name)[0].values;
        let truth = example.y.slice(ndarray::s![400.., ..]);
        let chord = |i: usize| {
            let on = |row: ndarray::ArrayView1<f64>| crate::probes::metrics::on_sphere(row[0], row[1]);
            let (a, b) = (on(values.row(i)), on(truth.row(i)));
            (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum::<f64>().sqrt()
        };
        (0..200).map(chord).fold(0.0, f64::max)
    };
    assert!(worst("sphere") < 0.15 && worst("ols") > 1.0, "{} {}", worst("sphere"), worst("ols"));
    let years = Example::planted(1);
    let error = years.predict_with(&sphere::Sphere, &years.training_targets()).unwrap_err().to_string();
    assert!(error.contains("sphere") && error.contains("year"), "{error}");
}

#[test]
fn scales_of_time_suit_years_that_crowd_near_the_present() {
    let x = noise([900, 8], 1);
    // Years before and after year 1, dense near 2000: the activations contain their logarithm.
    let log = |i: usize| x[[i, 2]] * 7.0 + 3.5;
    let y = Array2::from_shape_fn((900, 1), |(i, _)| 2000.0 - log(i).exp_m1());
    let example = Example::new(&x, y, 600);
    let linear = example.r2(&example.predict("ols")[0]);
    for (name, metric) in [("log-time", "offset_years"), ("piecewise-time", "pieces")] {
        let found = &example.predict(name)[0];
        assert!(example.r2(found) > 0.97 && linear < 0.8, "{name}: {} {linear}", example.r2(found));
        assert_eq!(found.statistics[0].metric, metric);
    }
    let places = Example::planted(2);
    let of_years: [&dyn Regressor; 2] = [&time::LogTime, &time::PiecewiseTime];
    for regressor in of_years {
        let error = places.predict_with(regressor, &places.training_targets()).unwrap_err().to_string();
        assert!(error.contains("time") && error.contains("latitude"), "{error}");
    }
}

#[test]
fn a_month_is_predicted_across_the_turn_of_the_year() {
    // Activations that contain a month as a point on a circle; its number jumps from 12.5 to 0.5.
    let month = noise([800, 1], 1).mapv(|v| 6.5 + 12.0 * v);
    let angle = month.mapv(|month| month * std::f64::consts::TAU / 12.0);
    let points = ndarray::concatenate![Axis(1), angle.mapv(f64::cos), angle.mapv(f64::sin)];
    let x = points.dot(&noise([2, 10], 2)) + noise([800, 10], 3) * 0.05;
    let mut example = Example { option: Some(12.0), ..Example::new(&x, month, 600) };
    let error = |example: &Example, name: &str| {
        let found = &example.predict(name)[0];
        let truth = example.y.slice(ndarray::s![600.., ..]);
        let wrapped = (&found.values - &truth).mapv(|e| crate::probes::metrics::wrapped(e, 12.0).abs());
        wrapped.mean().unwrap()
    };
    assert_eq!(example.predict("circle")[0].method, "circle:12");
    let on_circle = error(&example, "circle");
    example.option = None;
    let linear = error(&example, "ols");
    assert!(on_circle < 0.2 && linear > 4.0 * on_circle, "{on_circle} {linear}");
    let circle = |kind: &TargetKind, option| circle::OnCircle.check(kind, option).map_err(|e| e.to_string());
    assert!(circle(&TargetKind::Year, None).unwrap_err().contains("circle:12"));
    assert!(circle(&TargetKind::Year, Some(-1.0)).unwrap_err().contains("above 0"));
    assert!(circle(&TargetKind::Place, Some(12.0)).unwrap_err().contains("360"));
    assert!(circle(&TargetKind::Place, None).is_ok());
}

#[test]
fn extreme_values_do_not_distort_ranks() {
    let x = noise([700, 5], 1);
    // Years that are dense near the present.
    let y = Array2::from_shape_fn((700, 1), |(i, _)| 2000.0 - (x[[i, 2]] * 12.0 + 6.0).exp());
    let example = Example::new(&x, y, 500);
    let error = |name: &str| {
        let predicted = &example.predict(name)[0].values;
        (predicted - &example.y.slice(ndarray::s![500.., ..])).mapv(f64::abs).mean().unwrap()
    };
    assert!(error("rank") < 0.2 * error("ols"), "{} {}", error("rank"), error("ols"));
}

#[test]
fn least_squares_equal_those_of_scikit_learn() {
    for case in Fixture::load().ridge {
        let (x, expected) = (case.x(), &case.least_squares);
        let decomposition = Decomposition::of(x).unwrap();
        let probe = decomposition.solve(&case.y(), &PenaltyGrid::Fixed(vec![0.0])).unwrap().probe;
        let largest = expected.weights().iter().fold(0.0, |most: f64, w| most.max(w.abs()));
        for (found, weight) in probe.weights.iter().zip(&expected.weights()) {
            assert!((found - weight).abs() < 1e-6 * largest, "{}: {found}, {weight}", case.name);
        }
        probe.bias.iter().zip(&expected.bias).for_each(|(f, e)| assert_relative(*f, *e, &case.name));
    }
}

#[test]
fn components_equal_those_of_scikit_learn() {
    let case = Fixture::load().components;
    let rows = case.x().slice(ndarray::s![..case.n_train, ..]).to_owned();
    let targets = case.y().slice(ndarray::s![..case.n_train, ..]).to_owned();
    let decomposition = Decomposition::of(rows).unwrap();
    assert_eq!(decomposition.rank(), 9);
    for fit in &case.fits {
        let first = decomposition.first(fit.k).unwrap();
        let solution = first.solve(&targets, &PenaltyGrid::Fixed(case.penalties.clone())).unwrap();
        assert_eq!(solution.probe.penalty, fit.penalty, "{} components", fit.k);
        for (x, expected) in case.x().rows().into_iter().skip(case.n_train).zip(fit.predicted().rows()) {
            solution.probe.predict_one(x).iter().zip(expected).for_each(|(f, e)| assert_close(*f, *e));
        }
    }
    let example = Example::planted(2);
    let methods: Vec<String> =
        example.predict("pca").into_iter().map(|predictions| predictions.method).collect();
    assert_eq!(methods, ["pca-2", "pca-4", "pca-8", "pca-16", "pca-20"]);
}

fn classify(name: &str, x: &Array2<f64>, labels: &[usize], n_train: usize) -> ClassPredictions {
    let classifier = CLASSIFIERS.into_iter().find(|classifier| classifier.name() == name).unwrap();
    let x = x.mapv(|v| v as f32);
    let (train, test): (Vec<usize>, Vec<usize>) = (0..x.nrows()).partition(|&i| i < n_train);
    let n_classes = labels.iter().max().unwrap() + 1;
    let classes = &labels[..n_train];
    let task = ClassificationTask { activations: x.view(), train: &train, classes, n_classes, test: &test };
    classifier.classify(&task).unwrap()
}

#[test]
fn classes_equal_those_of_scikit_learn() {
    for case in Fixture::load().classes {
        let classes = |name: &str| classify(name, &case.x(), &case.labels, case.n_train).classes;
        // If scikit-learn's two best classes are nearly tied, the tolerance of the fit may change the prediction.
        let probabilities = case.probabilities();
        let decided = |i: usize| {
            let mut sorted = probabilities.row(i).to_vec();
            sorted.sort_by(f64::total_cmp);
            sorted[sorted.len() - 1] - sorted[sorted.len() - 2] > 1e-3
        };
        for (i, (found, expected)) in classes("logistic").iter().zip(&case.logistic).enumerate() {
            assert!(found == expected || !decided(i), "{}: row {i}: {found}, {expected}", case.name);
        }
        assert_eq!(classes("mean-difference"), case.nearest_mean, "{}", case.name);
        // Measured: within 2e-7. The scores are log-probabilities, up to a number that all classes of a row share.
        let exp = classify("logistic", &case.x(), &case.labels, case.n_train).scores.mapv(f64::exp);
        for (row, expected) in exp.rows().into_iter().zip(probabilities.rows()) {
            let found = &row / row.sum();
            assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-5), "{}: {found}", case.name);
        }
    }
}

#[test]
fn every_classifier_predicts_planted_classes_but_not_random_ones() {
    for n_classes in [2, 5] {
        let labels: Vec<usize> = (0..600).map(|i| i * 7 % 11 % n_classes).collect();
        let centres = noise([n_classes, 12], 1) * 4.0;
        let x = Array2::from_shape_fn((600, 12), |(i, c)| centres[[labels[i], c]]) + noise([600, 12], 2);
        let by_chance: Vec<usize> = (0..600).map(|i| i * i * 31 % 97 % n_classes).collect();
        for classifier in CLASSIFIERS {
            let share = |labels: &[usize]| {
                let found = classify(classifier.name(), &x, labels, 400).classes;
                found.iter().zip(&labels[400..]).filter(|(f, e)| f == e).count() as f64 / 200.0
            };
            assert!(share(&labels) > 0.97, "{}: {}", classifier.name(), share(&labels));
            let chance = 1.0 / n_classes as f64;
            assert!(share(&by_chance) < chance + 0.17, "{}: {}", classifier.name(), share(&by_chance));
        }
    }
}
