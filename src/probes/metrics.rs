//! How well predictions follow the truth: R², correlations, absolute error; over all rows or any resample.

use ndarray::ArrayView2;

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

/// [`r2`] of rows that each stand `counts` times.
pub fn r2_counted(truth: &[f64], predicted: &[f64], counts: &[f64]) -> f64 {
    let [n, sum] = sums([truth, truth, counts], |t, _, c| [c, c * t]);
    if n == 0.0 {
        return f64::NAN;
    }
    let mean = sum / n;
    let [residual, total] =
        sums([truth, predicted, counts], |t, p, c| [c * ((t - p) * (t - p)), c * ((t - mean) * (t - mean))]);
    // Compared as values, as in `r2_over`, where rounding may be all there is.
    if total <= n * (mean * 1e-7).powi(2) && is_constant(truth, counts) {
        return if residual == 0.0 { 1.0 } else { 0.0 };
    }
    1.0 - residual / total
}

/// Whether all rows that are counted have the same value.
fn is_constant(values: &[f64], counts: &[f64]) -> bool {
    let mut counted = values.iter().zip(counts).filter(|(_, count)| **count > 0.0).map(|(value, _)| value);
    let first = counted.next();
    counted.all(|value| Some(value) == first)
}

/// The mean of values that each stand `counts` times.
pub(super) fn mean_counted(values: &[f64], counts: &[f64]) -> f64 {
    let [n, sum] = sums([values, values, counts], |v, _, c| [c, v * c]);
    sum / n
}

/// How many sums run beside each other, so that none waits for its last term.
const LANES: usize = 4;

/// Sums over three columns of what each row of them gives.
fn sums<const N: usize>(columns: [&[f64]; 3], of: impl Fn(f64, f64, f64) -> [f64; N]) -> [f64; N] {
    let mut sums = [[0.0; LANES]; N];
    let [(a, rest_a), (b, rest_b), (c, rest_c)] = columns.map(|column| column.as_chunks::<LANES>());
    for ((a, b), c) in a.iter().zip(b).zip(c) {
        for lane in 0..LANES {
            let terms = of(a[lane], b[lane], c[lane]);
            sums.iter_mut().zip(terms).for_each(|(sum, term)| sum[lane] += term);
        }
    }
    for (lane, ((a, b), c)) in rest_a.iter().zip(rest_b).zip(rest_c).enumerate() {
        let terms = of(*a, *b, *c);
        sums.iter_mut().zip(terms).for_each(|(sum, term)| sum[lane] += term);
    }
    sums.map(|lanes| lanes.iter().sum())
}

/// Values in ascending order, so that the median of any resample is one walk over them.
#[derive(Debug, Clone)]
pub(super) struct Ascending {
    order: Vec<usize>,
    values: Vec<f64>,
}

impl Ascending {
    pub fn of(values: &[f64]) -> Ascending {
        let mut order = every(values.len());
        order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
        Ascending { order, values: values.to_vec() }
    }

    /// The median of the values, each standing `counts` times; between the middle two of an even number.
    pub fn median(&self, counts: &[f64]) -> f64 {
        let n: f64 = counts.iter().sum();
        let (below, above) = (((n - 1.0) / 2.0).floor(), (n / 2.0).floor());
        let (mut passed, mut lower) = (0.0, None);
        for &i in &self.order {
            passed += counts[i];
            if lower.is_none() && passed > below {
                lower = Some(self.values[i]);
            }
            if passed > above {
                return lower.map_or(f64::NAN, |lower| (lower + self.values[i]) / 2.0);
            }
        }
        f64::NAN
    }
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
    pearson_counted(a, b, &vec![1.0; a.len()])
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
        self.counted(&counts)
    }

    /// The correlation over rows that each stand `counts` times.
    pub fn counted(&self, counts: &[f64]) -> f64 {
        pearson_counted(&self.a.ranks(counts), &self.b.ranks(counts), counts)
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

/// [`pearson`] of rows that each stand `counts` times.
pub fn pearson_counted(a: &[f64], b: &[f64], counts: &[f64]) -> f64 {
    let [total, sum_a, sum_b] = sums([a, b, counts], |x, y, w| [w, w * x, w * y]);
    let (mean_a, mean_b) = (sum_a / total, sum_b / total);
    let [ab, aa, bb] = sums([a, b, counts], |x, y, w| {
        let (x, y) = (x - mean_a, y - mean_b);
        [w * x * y, w * x * x, w * y * y]
    });
    // Rounding leaves a constant side with a variance of the order of its own square times 1e-32.
    let floor = |mean: f64| total * (mean * 1e-14).powi(2);
    if aa <= floor(mean_a) || bb <= floor(mean_b) {
        return 0.0;
    }
    (ab / (aa * bb).sqrt()).clamp(-1.0, 1.0)
}

/// The indices of `n` rows.
pub(super) fn every(n: usize) -> Vec<usize> {
    (0..n).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, assert_close};
    use super::*;

    #[test]
    fn scores_equal_those_of_scikit_learn_and_scipy() {
        for case in Fixture::load().scores {
            // Measured: all within 3e-16.
            assert_close(r2(&case.truth, &case.predicted), case.r2);
            assert_close(pearson(&case.truth, &case.predicted), case.pearson);
            assert_close(spearman(&case.truth, &case.predicted), case.spearman);
            assert_close(mae(&case.truth, &case.predicted), case.mae);
        }
    }

    #[test]
    fn a_resample_scores_as_its_rows_written_out() {
        let a = [3.0, 1.0, 2.0, 2.0, 5.0];
        let b = [1.0, 1.0, 4.0, 3.0, 2.0];
        let indices = [0, 0, 2, 4, 3];
        let take = |v: &[f64]| indices.map(|i| v[i]);
        assert_eq!(Spearman::of(&a, &b).over(&indices), spearman(&take(&a), &take(&b)));
        assert_eq!(r2_over(&a, &b, &indices), r2(&take(&a), &take(&b)));
        let counts = [2.0, 0.0, 1.0, 1.0, 1.0];
        assert!((r2_counted(&a, &b, &counts) - r2(&take(&a), &take(&b))).abs() < 1e-14);
        assert!((pearson_counted(&a, &b, &counts) - pearson(&take(&a), &take(&b))).abs() < 1e-14);
        assert_eq!(mean_counted(&a, &counts), mean(&take(&a)));
        assert!(r2_counted(&a, &b, &[0.0; 5]).is_nan());
    }

    #[test]
    fn the_median_of_a_resample_is_that_of_its_rows_written_out() {
        let values = [3.0, 1.0, 2.0, 8.0];
        let ascending = Ascending::of(&values);
        for (counts, median) in [
            ([1.0, 1.0, 1.0, 1.0], 2.5),
            ([1.0, 1.0, 1.0, 0.0], 2.0),
            ([0.0, 2.0, 0.0, 2.0], 4.5),
            ([0.0, 0.0, 0.0, 3.0], 8.0),
            ([0.0, 3.0, 0.0, 1.0], 1.0),
        ] {
            assert_eq!(ascending.median(&counts), median, "{counts:?}");
        }
        assert!(ascending.median(&[0.0; 4]).is_nan());
    }

    #[test]
    fn a_constant_side_is_defined() {
        let constant = [0.1; 7];
        let rising = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        assert_eq!(r2(&constant, &constant), 1.0);
        assert_eq!(r2(&constant, &rising), 0.0);
        assert_eq!(pearson(&constant, &rising), 0.0);
        assert_eq!(spearman(&rising, &constant), 0.0);
    }

    #[test]
    fn rank_correlations_ignore_any_rising_scale() {
        let a: Vec<f64> = (0..50).map(|i| f64::from(i * 37 % 50)).collect();
        let b: Vec<f64> = (0..50).map(|i| f64::from(i * i * 13 % 50)).collect();
        let bent: Vec<f64> = b.iter().map(|v| (v / 10.0).exp()).collect();
        assert!((spearman(&a, &b) - spearman(&a, &bent)).abs() < 1e-12);
        assert!((spearman(&b, &bent) - 1.0).abs() < 1e-12);
    }
}
