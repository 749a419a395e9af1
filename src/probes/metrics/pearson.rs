//! Pearson's correlation.

use super::counted::sums;
use super::predicted::Predicted;
use super::score::TargetScore;
use crate::error::Result;

/// The correlation of each target, and its mean over the targets.
pub(super) fn scores(predicted: &Predicted) -> Result<Vec<TargetScore>> {
    Ok(predicted.each_and_mean("pearson", |column| {
        let (truth, predicted) = (column.truth.clone(), column.predicted.clone());
        Box::new(move |counts| pearson_counted(&truth, &predicted, counts))
    }))
}

/// Pearson's correlation; 0 if either side is constant.
pub fn pearson(a: &[f64], b: &[f64]) -> f64 {
    pearson_counted(a, b, &vec![1.0; a.len()])
}

/// [`pearson`] over rows, each repeated `counts` times.
pub fn pearson_counted(a: &[f64], b: &[f64], counts: &[f64]) -> f64 {
    let [total, sum_a, sum_b] = sums([a, b, counts], |x, y, w| [w, w * x, w * y]);
    let (mean_a, mean_b) = (sum_a / total, sum_b / total);
    let [ab, aa, bb] = sums([a, b, counts], |x, y, w| {
        let (x, y) = (x - mean_a, y - mean_b);
        [w * x * y, w * x * x, w * y * y]
    });
    correlation(total, [mean_a, mean_b], [ab, aa, bb])
}

/// The correlation from the number of rows, the means of both sides, and the sums of the products of the centred sides:
/// of both, of the first with itself, of the second with itself.
#[inline(always)]
pub(super) fn correlation(total: f64, means: [f64; 2], [ab, aa, bb]: [f64; 3]) -> f64 {
    // Rounding gives a constant side a variance of about 1e-32 times its square instead of 0.
    let floor = |mean: f64| total * (mean * 1e-14).powi(2);
    if aa <= floor(means[0]) || bb <= floor(means[1]) {
        return 0.0;
    }
    (ab / (aa * bb).sqrt()).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::fixture::{Fixture, RESAMPLED_PAIRS, ResampledPairs, assert_close};

    #[test]
    fn it_equals_scipys() {
        for case in Fixture::load().scores {
            // Measured: within 3e-16.
            assert_close(pearson(&case.truth, &case.predicted), case.pearson);
        }
    }

    #[test]
    fn the_score_by_counts_equals_that_of_the_repeated_rows() {
        let ResampledPairs { a, b, counts, .. } = RESAMPLED_PAIRS;
        let [listed_a, listed_b] = RESAMPLED_PAIRS.listed();
        assert!((pearson_counted(&a, &b, &counts) - pearson(&listed_a, &listed_b)).abs() < 1e-14);
    }

    #[test]
    fn a_constant_side_gives_0() {
        assert_eq!(pearson(&[0.1; 7], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), 0.0);
    }
}
