//! Spearman's rank correlation.

use super::counted::all_indices;
use super::pearson::pearson_counted;
use super::predicted::Predicted;
use super::ranks::RankOrder;
use super::score::TargetScore;
use crate::error::Result;

/// The correlation of each target, and its mean over the targets.
pub(super) fn scores(predicted: &Predicted) -> Result<Vec<TargetScore>> {
    Ok(predicted.each_and_mean("spearman", |column| {
        let ranked = Spearman::of(&column.truth, &column.predicted);
        Box::new(move |counts| ranked.counted(counts))
    }))
}

/// Spearman's rank correlation, where equal values get their mean rank; 0 if either side is constant.
pub fn spearman(a: &[f64], b: &[f64]) -> f64 {
    Spearman::of(a, b).over(&all_indices(a.len()))
}

/// Spearman's correlation for many resamples: the values are sorted once.
#[derive(Debug, Clone)]
pub struct Spearman {
    a: RankOrder,
    b: RankOrder,
}

impl Spearman {
    /// Sorts both sides.
    pub fn of(a: &[f64], b: &[f64]) -> Spearman {
        Spearman { a: RankOrder::of(a), b: RankOrder::of(b) }
    }

    /// The correlation over the rows at `indices`, which may repeat.
    pub fn over(&self, indices: &[usize]) -> f64 {
        let mut counts = vec![0.0; self.a.order.len()];
        for &i in indices {
            counts[i] += 1.0;
        }
        self.counted(&counts)
    }

    /// The correlation over rows, each repeated `counts` times.
    pub fn counted(&self, counts: &[f64]) -> f64 {
        pearson_counted(&self.a.ranks(counts), &self.b.ranks(counts), counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::fixture::{Fixture, RESAMPLED_PAIRS, ResampledPairs, assert_close};

    #[test]
    fn it_equals_scipys() {
        for case in Fixture::load().scores {
            // Measured: within 3e-16.
            assert_close(spearman(&case.truth, &case.predicted), case.spearman);
        }
    }

    #[test]
    fn the_score_by_counts_equals_that_of_the_repeated_rows() {
        let ResampledPairs { a, b, indices, .. } = RESAMPLED_PAIRS;
        let [listed_a, listed_b] = RESAMPLED_PAIRS.listed();
        assert_eq!(Spearman::of(&a, &b).over(&indices), spearman(&listed_a, &listed_b));
    }

    #[test]
    fn a_constant_side_gives_0() {
        assert_eq!(spearman(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], &[0.1; 7]), 0.0);
    }

    #[test]
    fn any_increasing_function_gives_the_same_correlation() {
        let a: Vec<f64> = (0..50).map(|i| f64::from(i * 37 % 50)).collect();
        let b: Vec<f64> = (0..50).map(|i| f64::from(i * i * 13 % 50)).collect();
        let bent: Vec<f64> = b.iter().map(|v| (v / 10.0).exp()).collect();
        assert!((spearman(&a, &b) - spearman(&a, &bent)).abs() < 1e-12);
        assert!((spearman(&b, &bent) - 1.0).abs() < 1e-12);
    }
}
