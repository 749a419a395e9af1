//! Weighted sums over rows, where a row's count is the number of times that a bootstrap resample contains it.

/// Number of independent partial sums, so that an addition need not wait for the previous one.
const LANES: usize = 4;

/// The indices of `n` rows.
pub(super) fn all_indices(n: usize) -> Vec<usize> {
    (0..n).collect()
}

/// The mean of the scores; NaN for an empty list.
pub(crate) fn mean(scores: &[f64]) -> f64 {
    scores.iter().sum::<f64>() / scores.len() as f64
}

/// The mean of values, each weighted by its count.
pub(in crate::probes) fn mean_counted(values: &[f64], counts: &[f64]) -> f64 {
    let [n, sum] = sums([values, values, counts], |v, _, c| [c, v * c]);
    sum / n
}

/// Sums `of` over the rows of three columns.
pub(super) fn sums<const N: usize>(columns: [&[f64]; 3], of: impl Fn(f64, f64, f64) -> [f64; N]) -> [f64; N] {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::fixture::{RESAMPLED_PAIRS, ResampledPairs};

    #[test]
    fn the_mean_by_counts_equals_that_of_the_repeated_rows() {
        let ResampledPairs { a, counts, .. } = RESAMPLED_PAIRS;
        assert_eq!(mean_counted(&a, &counts), mean(&RESAMPLED_PAIRS.listed()[0]));
    }
}
