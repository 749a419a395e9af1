//! How well predictions follow the truth: R², correlations, absolute error.

use ndarray::ArrayView2;
use std::cmp::Ordering;

/// The share of the truth's variance that the predictions explain.
///
/// A constant truth has no variance to explain: the score is then 1 if every prediction is exact,
/// else 0, as scikit-learn defines it. Of no values it is not a number.
pub fn r2(truth: &[f64], predicted: &[f64]) -> f64 {
    r2_over(truth, predicted, &every(truth.len()))
}

/// [`r2`] of the rows named by `indices`, which may repeat.
pub fn r2_over(truth: &[f64], predicted: &[f64], indices: &[usize]) -> f64 {
    let Some(&first) = indices.first() else { return f64::NAN };
    let mean = indices.iter().map(|&i| truth[i]).sum::<f64>() / indices.len() as f64;
    let residual: f64 = indices.iter().map(|&i| (truth[i] - predicted[i]).powi(2)).sum();
    // Compared as values: the mean of equal numbers may differ from them by rounding.
    if indices.iter().all(|&i| truth[i] == truth[first]) {
        return if residual == 0.0 { 1.0 } else { 0.0 };
    }
    let total: f64 = indices.iter().map(|&i| (truth[i] - mean).powi(2)).sum();
    1.0 - residual / total
}

/// The R² of each target.
///
/// # Shapes
/// Both `[n_rows, n_targets]`; one score a target.
pub fn r2_by_target(truth: ArrayView2<f64>, predicted: ArrayView2<f64>) -> Vec<f64> {
    truth.columns().into_iter().zip(predicted.columns()).map(|(t, p)| r2(&t.to_vec(), &p.to_vec())).collect()
}

/// The mean of some scores; of none it is not a number.
pub fn mean(scores: &[f64]) -> f64 {
    scores.iter().sum::<f64>() / scores.len() as f64
}

/// The mean distance between truth and prediction, in the target's unit.
pub fn mae(truth: &[f64], predicted: &[f64]) -> f64 {
    truth.iter().zip(predicted).map(|(t, p)| (t - p).abs()).sum::<f64>() / truth.len() as f64
}

/// Pearson's correlation; 0 where either side is constant.
pub fn pearson(a: &[f64], b: &[f64]) -> f64 {
    weighted_pearson(a, b, &vec![1.0; a.len()])
}

/// Spearman's rank correlation, ties given their average rank; 0 where either side is constant.
pub fn spearman(a: &[f64], b: &[f64]) -> f64 {
    Spearman::of(a, b).over(&every(a.len()))
}

/// Spearman's correlation prepared for many resamples: the values are sorted once.
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

    /// The correlation over the rows named by `indices`, which may repeat.
    pub fn over(&self, indices: &[usize]) -> f64 {
        let mut counts = vec![0.0; self.a.order.len()];
        for &i in indices {
            counts[i] += 1.0;
        }
        weighted_pearson(&self.a.ranks(&counts), &self.b.ranks(&counts), &counts)
    }
}

/// The rows in ascending order of their values, equal values together.
#[derive(Debug, Clone)]
struct RankOrder {
    order: Vec<usize>,
    /// Where each run of equal values ends in `order`.
    run_ends: Vec<usize>,
}

impl RankOrder {
    fn of(values: &[f64]) -> RankOrder {
        let mut order = every(values.len());
        order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
        let run_ends = (1..=order.len())
            .filter(|&end| end == order.len() || values[order[end]] != values[order[end - 1]])
            .collect();
        RankOrder { order, run_ends }
    }

    /// The rank of each row among rows that each stand `counts` times.
    fn ranks(&self, counts: &[f64]) -> Vec<f64> {
        let mut ranks = vec![0.0; counts.len()];
        let (mut start, mut below) = (0, 0.0);
        for &end in &self.run_ends {
            let run = &self.order[start..end];
            let size: f64 = run.iter().map(|&i| counts[i]).sum();
            for &i in run {
                ranks[i] = below + (size + 1.0) / 2.0;
            }
            below += size;
            start = end;
        }
        ranks
    }
}

fn weighted_pearson(a: &[f64], b: &[f64], weights: &[f64]) -> f64 {
    let total: f64 = weights.iter().sum();
    let mean = |v: &[f64]| v.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>() / total;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for ((x, y), w) in a.iter().zip(b).zip(weights) {
        let (x, y) = (x - mean_a, y - mean_b);
        ab += w * x * y;
        aa += w * x * x;
        bb += w * y * y;
    }
    // Rounding leaves a constant side with a variance of the order of its own square times 1e-32.
    let floor = |mean: f64| total * (mean * 1e-14).powi(2);
    if aa <= floor(mean_a) || bb <= floor(mean_b) {
        return 0.0;
    }
    (ab / (aa * bb).sqrt()).clamp(-1.0, 1.0)
}

/// Kendall's τ-b: concordant less discordant pairs, corrected for ties; 0 where a side is constant.
///
/// # Source
/// Knight 1966: discordant pairs are the exchanges of a merge sort, so that `n log n` steps do.
pub fn kendall(a: &[f64], b: &[f64]) -> f64 {
    let mut order = every(a.len());
    order.sort_by(|&i, &j| a[i].total_cmp(&a[j]).then(b[i].total_cmp(&b[j])));
    let pairs = |n: u64| n * n.saturating_sub(1) / 2;
    let total = pairs(a.len() as u64);
    let tied_both = pairs_in_runs(&order, |i, j| a[i] == a[j] && b[i] == b[j]);
    let tied_a = pairs_in_runs(&order, |i, j| a[i] == a[j]);
    let mut by_b: Vec<f64> = order.iter().map(|&i| b[i]).collect();
    let exchanges = count_exchanges(&mut by_b);
    let sorted = every(by_b.len());
    let tied_b = pairs_in_runs(&sorted, |i, j| by_b[i] == by_b[j]);
    let concordant_less_discordant =
        (total + tied_both) as f64 - (tied_a + tied_b) as f64 - 2.0 * exchanges as f64;
    let scale = ((total - tied_a) as f64).sqrt() * ((total - tied_b) as f64).sqrt();
    if scale == 0.0 { 0.0 } else { concordant_less_discordant / scale }
}

/// Pairs of rows inside runs of neighbours that are `same`.
fn pairs_in_runs(order: &[usize], same: impl Fn(usize, usize) -> bool) -> u64 {
    let mut run = 0;
    let mut pairs = 0;
    for pair in order.windows(2) {
        run = if same(pair[0], pair[1]) { run + 1 } else { 0 };
        pairs += run;
    }
    pairs
}

/// Sorts by merging and counts how many pairs stood in the wrong order.
fn count_exchanges(values: &mut [f64]) -> u64 {
    let middle = values.len() / 2;
    if middle == 0 {
        return 0;
    }
    let (left, right) = values.split_at_mut(middle);
    let mut exchanges = count_exchanges(left) + count_exchanges(right);
    let (left, right) = (left.to_vec(), right.to_vec());
    let (mut i, mut j) = (0, 0);
    for slot in values {
        let right_first =
            j < right.len() && (i == left.len() || left[i].total_cmp(&right[j]) == Ordering::Greater);
        if right_first {
            exchanges += (left.len() - i) as u64;
            *slot = right[j];
            j += 1;
        } else {
            *slot = left[i];
            i += 1;
        }
    }
    exchanges
}

fn every(n: usize) -> Vec<usize> {
    (0..n).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, assert_close};
    use super::*;

    #[test]
    fn scores_equal_those_of_scikit_learn_and_scipy() {
        let scores = Fixture::load().scores;
        // Measured: all within 3e-16.
        assert_close(r2(&scores.truth, &scores.predicted), scores.r2);
        assert_close(pearson(&scores.truth, &scores.predicted), scores.pearson);
        assert_close(spearman(&scores.truth, &scores.predicted), scores.spearman);
        assert_close(kendall(&scores.truth, &scores.predicted), scores.kendall);
        assert_close(mae(&scores.truth, &scores.predicted), scores.mae);
    }

    #[test]
    fn a_resample_scores_as_its_rows_written_out() {
        let a = [3.0, 1.0, 2.0, 2.0, 5.0];
        let b = [1.0, 1.0, 4.0, 3.0, 2.0];
        let indices = [0, 0, 2, 4, 3];
        let take = |v: &[f64]| indices.map(|i| v[i]);
        assert_eq!(Spearman::of(&a, &b).over(&indices), spearman(&take(&a), &take(&b)));
        assert_eq!(r2_over(&a, &b, &indices), r2(&take(&a), &take(&b)));
    }

    #[test]
    fn a_constant_side_is_defined() {
        let constant = [0.1; 7];
        let rising = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        assert_eq!(r2(&constant, &constant), 1.0);
        assert_eq!(r2(&constant, &rising), 0.0);
        assert_eq!(pearson(&constant, &rising), 0.0);
        assert_eq!(spearman(&rising, &constant), 0.0);
        assert_eq!(kendall(&rising, &constant), 0.0);
    }

    #[test]
    fn rank_correlations_ignore_any_rising_scale() {
        let a: Vec<f64> = (0..50).map(|i| f64::from(i * 37 % 50)).collect();
        let b: Vec<f64> = (0..50).map(|i| f64::from(i * i * 13 % 50)).collect();
        let bent: Vec<f64> = b.iter().map(|v| (v / 10.0).exp()).collect();
        assert!((spearman(&a, &b) - spearman(&a, &bent)).abs() < 1e-12);
        assert!((kendall(&a, &b) - kendall(&a, &bent)).abs() < 1e-12);
        assert!((spearman(&b, &bent) - 1.0).abs() < 1e-12);
    }
}
