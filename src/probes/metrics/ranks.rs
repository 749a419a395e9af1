//! Ranks of values in resamples; a resample is given by the count of each row.

use super::counted::all_indices;

/// Number of resamples computed together: the counts of a row in all of them fill one cache line, so that rows in
/// sorted order need one memory access per row instead of sixteen.
pub(super) const AT_ONCE: usize = 16;
/// The counts of one row in up to sixteen resamples; lanes without a resample are 0.
pub(super) type RowCounts = [u32; AT_ONCE];

/// The counts of each row in at most [`AT_ONCE`] resamples; counts are whole numbers.
pub(super) fn row_counts<C: AsRef<[f64]>>(n_rows: usize, resamples: &[C]) -> Vec<RowCounts> {
    let mut counts = vec![[0; AT_ONCE]; n_rows];
    for (lane, resample) in resamples.iter().enumerate() {
        counts.iter_mut().zip(resample.as_ref()).for_each(|(all, count)| all[lane] = *count as u32);
    }
    counts
}

/// The rows in ascending order of their values, with the ends of the runs of equal values.
#[derive(Debug, Clone)]
pub(super) struct RankOrder {
    /// The row indices, ascending by value.
    pub order: Vec<usize>,
    /// The end of each run of equal values in `order`.
    pub run_ends: Vec<usize>,
}

impl RankOrder {
    /// Sorts the rows.
    pub(super) fn of(values: &[f64]) -> RankOrder {
        let mut order = all_indices(values.len());
        order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
        let run_ends = (1..=order.len())
            .filter(|&end| end == order.len() || values[order[end]] != values[order[end - 1]])
            .collect();
        RankOrder { order, run_ends }
    }

    /// Twice the rank of each row in each resample, a whole number; equal values get their mean rank.
    #[inline(always)]
    pub(super) fn doubled_ranks(&self, counts: &[RowCounts]) -> Vec<RowCounts> {
        let mut ranks = vec![[0; AT_ONCE]; counts.len()];
        let (mut start, mut below) = (0, [0; AT_ONCE]);
        for &end in &self.run_ends {
            let mut size = [0; AT_ONCE];
            for &row in &self.order[start..end] {
                for lane in 0..AT_ONCE {
                    size[lane] += counts[row][lane];
                }
            }
            for &row in &self.order[start..end] {
                for lane in 0..AT_ONCE {
                    ranks[row][lane] = 2 * below[lane] + size[lane] + 1;
                }
            }
            for lane in 0..AT_ONCE {
                below[lane] += size[lane];
            }
            start = end;
        }
        ranks
    }
}
