//! R²: the share of the truth's variance that predictions explain; and selectivity, its gain over shuffled targets.

use super::counted::{all_indices, sums};
use super::predicted::Predicted;
use super::score::TargetScore;
use crate::error::Result;
use crate::results::R2;
use ndarray::{Array2, ArrayView2};
use std::sync::Arc;

/// The R² of each target, and its mean over the targets.
pub(in crate::probes) fn scores(predicted: &Predicted) -> Result<Vec<TargetScore>> {
    Ok(predicted.each_and_mean(R2, |column| {
        let (truth, predicted) = (column.truth.clone(), column.predicted.clone());
        Box::new(move |counts| r2_counted(&truth, &predicted, counts))
    }))
}

/// Selectivity: the R² of the fit to true targets minus that of the fit to shuffled targets.
///
/// # Shapes
/// `shuffled` is `[n_rows, n_targets]`.
pub(in crate::probes) fn selectivity(predicted: &Predicted, shuffled: &Array2<f64>) -> Vec<TargetScore> {
    gain("selectivity", predicted, shuffled)
}

/// The R² of the predictions minus the R² of the `others`; `metric` is the name of the scores.
///
/// # Shapes
/// `others` is `[n_rows, n_targets]`.
pub(in crate::probes) fn gain(metric: &str, predicted: &Predicted, others: &Array2<f64>) -> Vec<TargetScore> {
    let mut others = others.columns().into_iter().map(|column| Arc::new(column.to_vec()));
    predicted.each_and_mean(metric, |column| {
        let (truth, predicted) = (column.truth.clone(), column.predicted.clone());
        let others = others.next().unwrap_or_default();
        Box::new(move |counts| r2_counted(&truth, &predicted, counts) - r2_counted(&truth, &others, counts))
    })
}

/// The share of the truth's variance that the predictions explain.
///
/// A constant truth has no variance: the score is then 1 if every prediction is exact, otherwise 0, as in scikit-learn.
/// Without values it is NaN.
pub fn r2(truth: &[f64], predicted: &[f64]) -> f64 {
    r2_over(truth, predicted, &all_indices(truth.len()))
}

/// [`r2`] of the rows at `indices`, which may repeat.
pub fn r2_over(truth: &[f64], predicted: &[f64], indices: &[usize]) -> f64 {
    let Some(&first) = indices.first() else { return f64::NAN };
    let mean = indices.iter().map(|&i| truth[i]).sum::<f64>() / indices.len() as f64;
    let residual: f64 = indices.iter().map(|&i| (truth[i] - predicted[i]).powi(2)).sum();
    // Compares the values themselves, because the mean of equal numbers may differ from them by rounding.
    if indices.iter().all(|&i| truth[i] == truth[first]) {
        return if residual == 0.0 { 1.0 } else { 0.0 };
    }
    let total: f64 = indices.iter().map(|&i| (truth[i] - mean).powi(2)).sum();
    1.0 - residual / total
}

/// [`r2`] over rows, each repeated `counts` times.
pub fn r2_counted(truth: &[f64], predicted: &[f64], counts: &[f64]) -> f64 {
    let [n, sum] = sums([truth, truth, counts], |t, _, c| [c, c * t]);
    if n == 0.0 {
        return f64::NAN;
    }
    let mean = sum / n;
    let [residual, total] =
        sums([truth, predicted, counts], |t, p, c| [c * ((t - p) * (t - p)), c * ((t - mean) * (t - mean))]);
    // If the total may be only rounding, compares the values themselves, as in `r2_over`.
    if total <= n * (mean * 1e-7).powi(2) && is_constant(truth, counts) {
        return if residual == 0.0 { 1.0 } else { 0.0 };
    }
    1.0 - residual / total
}

/// Returns true if all rows with a count above 0 have the same value.
fn is_constant(values: &[f64], counts: &[f64]) -> bool {
    let mut counted = values.iter().zip(counts).filter(|(_, count)| **count > 0.0).map(|(value, _)| value);
    let first = counted.next();
    counted.all(|value| Some(value) == first)
}

/// The R² of each target.
///
/// # Shapes
/// Both are `[n_rows, n_targets]`; the result has one score per target.
pub fn r2_by_target(truth: ArrayView2<f64>, predicted: ArrayView2<f64>) -> Vec<f64> {
    truth.columns().into_iter().zip(predicted.columns()).map(|(t, p)| r2(&t.to_vec(), &p.to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::TargetKind;
    use crate::probes::fixture::{Fixture, RESAMPLED_PAIRS, ResampledPairs, assert_close};
    use crate::probes::metrics::{Metrics, values};
    use ndarray::array;

    #[test]
    fn it_equals_scikit_learns() {
        for case in Fixture::load().scores {
            // Measured: within 3e-16.
            assert_close(r2(&case.truth, &case.predicted), case.r2);
        }
    }

    #[test]
    fn the_score_by_counts_equals_that_of_the_repeated_rows() {
        let ResampledPairs { a, b, indices, counts } = RESAMPLED_PAIRS;
        let [listed_a, listed_b] = RESAMPLED_PAIRS.listed();
        assert_eq!(r2_over(&a, &b, &indices), r2(&listed_a, &listed_b));
        assert!((r2_counted(&a, &b, &counts) - r2(&listed_a, &listed_b)).abs() < 1e-14);
        assert!(r2_counted(&a, &b, &[0.0; 5]).is_nan());
    }

    #[test]
    fn a_constant_truth_is_defined() {
        let constant = [0.1; 7];
        let rising = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        assert_eq!(r2(&constant, &constant), 1.0);
        assert_eq!(r2(&constant, &rising), 0.0);
    }

    #[test]
    fn selectivity_is_the_difference_of_two_scores() {
        let truth = array![[0.0, 1.0], [1.0, 5.0], [4.0, 2.0], [2.0, 2.0]];
        let shuffled = array![[1.0, 1.0], [1.5, 2.0], [1.0, 3.0], [2.0, 2.0]];
        let of = |predicted| Predicted::of(&TargetKind::Place, Metrics::Usual, &truth, predicted);
        let all = selectivity(&of(&truth), &shuffled);
        let chance = values(&scores(&of(&shuffled)).unwrap(), &[1.0; 4]);
        assert_eq!(all.len(), 3);
        for (found, chance) in values(&all, &[1.0; 4]).iter().zip(chance) {
            assert!((found - (1.0 - chance)).abs() < 1e-12);
        }
    }
}
