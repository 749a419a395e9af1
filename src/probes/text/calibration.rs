//! Probabilities of classes from the predictions of a ridge on 0/1 targets, one target per class.

use crate::probes::lbfgs::{Convex, Stop, minimise};
use ndarray::{Array1, Array2, ArrayView2, Axis};

/// The penalty on half of the squared slopes of standardised predictions.
const PENALTY: f64 = 1.0;
/// The largest entry of the gradient per training entity at which the fit stops.
const TOLERANCE: f64 = 1e-6;
/// Maximum number of steps of the fit.
const MAX_STEPS: usize = 200;

/// A map from predictions to probabilities: the log-probability of each class is a linear function of the prediction
/// for that class, with a slope and an intercept of its own, up to a number that makes the sum of probabilities 1.
///
/// For two classes this is Platt's scaling.
///
/// # Source
/// J. Platt, "Probabilistic outputs for support vector machines" (1999).
pub(in crate::probes) struct Calibration {
    mean: Array1<f64>,
    std_dev: Array1<f64>,
    /// `[2, n_classes]`: slopes of standardised predictions, then intercepts.
    parameters: Array2<f64>,
    n_train: f64,
}

impl Calibration {
    /// Fits the map to predictions for training entities, each by a fit without that entity.
    ///
    /// # Shapes
    /// `predictions` is `[n_train, n_classes]`; `classes` has the class of each row.
    pub(in crate::probes) fn of(predictions: &Array2<f64>, classes: &[usize]) -> Calibration {
        let n_train = classes.len().max(1) as f64;
        let mean = predictions.sum_axis(Axis(0)) / n_train;
        let std_dev = predictions.std_axis(Axis(0), 0.0).mapv(|std| if std > 0.0 { std } else { 1.0 });
        let standard = (predictions - &mean) / &std_dev;
        let likelihood = Likelihood { standard: standard.view(), classes };
        let stop = Stop { gradient: TOLERANCE * n_train, max_steps: MAX_STEPS };
        let parameters = minimise(&likelihood, Array2::zeros((2, mean.len())), stop);
        Calibration { mean, std_dev, parameters, n_train }
    }

    /// The log-probabilities of the classes, `[n, n_classes]`.
    pub(in crate::probes) fn log_probabilities(&self, predictions: &Array2<f64>) -> Array2<f64> {
        let standard = (predictions - &self.mean) / &self.std_dev;
        let mut all = logits(standard.view(), &self.parameters);
        for mut row in all.rows_mut() {
            softmax(&mut row);
        }
        smoothed(all, self.n_train)
    }
}

/// The log-probabilities that are the shares of the classes among training entities, `[n_classes]`.
pub(in crate::probes) fn log_shares(classes: &[usize], n_classes: usize) -> Array1<f64> {
    let mut shares = Array2::zeros((1, n_classes));
    let n_train = classes.len().max(1) as f64;
    classes.iter().for_each(|&class| shares[[0, class]] += 1.0 / n_train);
    smoothed(shares, n_train).row(0).to_owned()
}

/// The logarithms of probabilities to which one entity of an unknown class was added, so that a class without a
/// training entity has a probability above 0.
fn smoothed(probabilities: Array2<f64>, n_train: f64) -> Array2<f64> {
    let of_each = 1.0 / probabilities.ncols() as f64;
    probabilities.mapv_into(|p| ((n_train * p + of_each) / (n_train + 1.0)).ln())
}

fn logits(standard: ArrayView2<f64>, parameters: &Array2<f64>) -> Array2<f64> {
    &standard * &parameters.row(0) + parameters.row(1)
}

/// Replaces a row of logits by probabilities; returns the logarithm of the sum of their exponentials.
fn softmax(row: &mut ndarray::ArrayViewMut1<f64>) -> f64 {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.mapv_inplace(|logit| (logit - largest).exp());
    let sum = row.sum();
    *row /= sum;
    largest + sum.ln()
}

/// The penalised negative log-likelihood of the classes.
struct Likelihood<'a> {
    /// Standardised predictions, `[n_train, n_classes]`.
    standard: ArrayView2<'a, f64>,
    classes: &'a [usize],
}

impl Convex for Likelihood<'_> {
    fn value_and_gradient(&self, at: &Array2<f64>) -> (f64, Array2<f64>) {
        let mut residuals = logits(self.standard, at);
        let slopes = at.row(0);
        let mut loss = PENALTY / 2.0 * slopes.dot(&slopes);
        for (mut row, &class) in residuals.rows_mut().into_iter().zip(self.classes) {
            let own = row[class];
            loss += softmax(&mut row) - own;
            row[class] -= 1.0;
        }
        let mut gradient = Array2::zeros(at.dim());
        let of_slopes =
            (&residuals * &self.standard).sum_axis(Axis(0)) + slopes.mapv(|slope| PENALTY * slope);
        gradient.row_mut(0).assign(&of_slopes);
        gradient.row_mut(1).assign(&residuals.sum_axis(Axis(0)));
        (loss, gradient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::fixture::noise;

    #[test]
    fn probabilities_are_those_of_a_logistic_model() {
        // The log-odds of the second class are 3 z − 1.
        let (z, draw) = (noise([20_000, 1], 1) * 3.0, noise([20_000, 1], 2) + 0.5);
        let p = |z: f64| 1.0 / (1.0 + (1.0 - 3.0 * z).exp());
        let classes: Vec<usize> = (0..20_000).map(|i| usize::from(draw[[i, 0]] < p(z[[i, 0]]))).collect();
        let predictions = ndarray::concatenate![Axis(1), -&z, z];
        let fit = Calibration::of(&predictions, &classes);
        let found = fit.log_probabilities(&predictions).mapv(f64::exp);
        for (row, z) in found.rows().into_iter().zip(z.iter()) {
            assert!((row[1] - p(*z)).abs() < 0.03 && (row.sum() - 1.0).abs() < 1e-12, "{z}: {row}");
        }
    }

    #[test]
    fn noise_gives_the_shares_of_the_classes_and_no_class_is_impossible() {
        let classes: Vec<usize> = (0..5000).map(|i| usize::from(i % 5 == 0)).collect();
        let predictions = noise([5000, 3], 4);
        let found = Calibration::of(&predictions, &classes).log_probabilities(&predictions);
        let shares = log_shares(&classes, 3);
        assert!((shares[1].exp() - 0.2).abs() < 1e-3 && shares[2].is_finite());
        for row in found.rows() {
            assert!((row[1].exp() - 0.2).abs() < 0.05 && row[2].is_finite() && row[2] < -5.0, "{row}");
        }
    }
}
