//! Spearman's rank correlation.

use super::counted::all_indices;
use super::pearson::correlation;
use super::predicted::Predicted;
use super::ranks::RankOrder;
use super::resamples::{AT_ONCE, ByRow, Count, Resamples, RowCounts};
use super::score::{Formula, TargetScore};
use crate::error::Result;
use pulp::{Arch, Simd, WithSimd};

/// Sums three terms over the rows, in each resample; halves the doubled ranks and subtracts a mean from each side. A
/// macro, because a function would not be compiled for the widest registers.
macro_rules! sums {
    ($a:expr, $b:expr, $counts:expr, $mean_a:expr, $mean_b:expr, $of:expr) => {{
        let mut parts: [Sums; PARTS] = [[[0.0; AT_ONCE]; 3]; PARTS];
        for (row, ((a, b), counts)) in $a.iter().zip($b).zip($counts).enumerate() {
            let part = &mut parts[row % PARTS];
            for lane in 0..AT_ONCE {
                let x = f64::from(a[lane]) / 2.0 - $mean_a[lane];
                let y = f64::from(b[lane]) / 2.0 - $mean_b[lane];
                let terms = $of(x, y, f64::from(counts[lane].into()));
                part[0][lane] += terms[0];
                part[1][lane] += terms[1];
                part[2][lane] += terms[2];
            }
        }
        let mut all: Sums = [[0.0; AT_ONCE]; 3];
        for (sum, all) in all.iter_mut().enumerate() {
            for lane in 0..AT_ONCE {
                all[lane] = parts.iter().map(|part| part[sum][lane]).sum();
            }
        }
        all
    }};
}

/// The correlation of each target, and its mean over the targets.
pub(super) fn scores(predicted: &Predicted) -> Result<Vec<TargetScore>> {
    Ok(predicted.each_and_mean_by("spearman", |column| {
        let ranked = Spearman::of(&column.truth, &column.predicted);
        Formula::Batched(Box::new(move |resamples| ranked.counted_each(resamples)))
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
        self.counted_each(&Resamples::single(counts))[0]
    }

    /// The correlation over each of several resamples.
    pub(super) fn counted_each(&self, resamples: &Resamples) -> [f64; AT_ONCE] {
        let ranks = &mut resamples.scratch.borrow_mut().ranks;
        match resamples.by_row() {
            ByRow::Narrow(counts) => Arch::new().dispatch(Counted { of: self, counts, ranks }),
            ByRow::Wide(counts) => Arch::new().dispatch(Counted { of: self, counts, ranks }),
        }
    }
}

/// Number of independent partial sums, as in [`super::counted`], whose order of additions is kept.
const PARTS: usize = 4;
/// Three sums in each resample.
type Sums = [[f64; AT_ONCE]; 3];

/// Computes the correlation in each of sixteen resamples, given by the count of each row.
struct Counted<'a, C> {
    of: &'a Spearman,
    counts: &'a [RowCounts<C>],
    ranks: &'a mut [Vec<RowCounts<u32>>; 2],
}

impl<C: Count> WithSimd for Counted<'_, C> {
    type Output = [f64; AT_ONCE];

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> [f64; AT_ONCE] {
        let Counted { of, counts, ranks: [a, b] } = self;
        of.a.write_doubled_ranks(counts, a);
        of.b.write_doubled_ranks(counts, b);
        let (a, b) = (&*a, &*b);
        let none = [0.0; AT_ONCE];
        let [total, sum_a, sum_b] = sums!(a, b, counts, none, none, |x, y, w| [w, w * x, w * y]);
        let mean = |sum: [f64; AT_ONCE]| std::array::from_fn(|lane| sum[lane] / total[lane]);
        let (mean_a, mean_b): ([f64; AT_ONCE], [f64; AT_ONCE]) = (mean(sum_a), mean(sum_b));
        let [ab, aa, bb] = sums!(a, b, counts, mean_a, mean_b, |x, y, w| [w * x * y, w * x * x, w * y * y]);
        std::array::from_fn(|lane| {
            let moments = [ab, aa, bb].map(|sums| sums[lane]);
            correlation(total[lane], [mean_a[lane], mean_b[lane]], moments)
        })
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
