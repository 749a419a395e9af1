//! Medians and interpolated quantiles.

use super::counted::all_indices;

/// Values in ascending order, so that the median of any resample needs one pass and no sorting.
#[derive(Debug, Clone)]
pub(super) struct SortedValues {
    order: Vec<usize>,
    values: Vec<f64>,
}

impl SortedValues {
    /// Sorts the values.
    pub(super) fn of(values: &[f64]) -> SortedValues {
        let mut order = all_indices(values.len());
        order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
        SortedValues { order, values: values.to_vec() }
    }

    /// The median of the values, each repeated `counts` times; the mean of the middle two if their number is even.
    pub(super) fn median(&self, counts: &[f64]) -> f64 {
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

/// The value at a fractional position of sorted values, interpolated between neighbours.
pub(in crate::probes) fn interpolated(sorted: &[f64], position: f64) -> f64 {
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
}

/// The median of the values; the mean of the middle two if their number is even. Reorders the values.
pub(super) fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let middle = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if even {
        let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        return (lower + *upper) / 2.0;
    }
    *upper
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_by_counts_equals_that_of_the_repeated_rows() {
        let values = [3.0, 1.0, 2.0, 8.0];
        let ascending = SortedValues::of(&values);
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
    fn the_median_of_values_is_the_middle_one() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), 2.5);
        assert!(median(&mut []).is_nan());
    }
}
