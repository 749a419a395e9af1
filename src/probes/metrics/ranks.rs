//! Ranks of values in resamples.

use super::counted::all_indices;
use super::resamples::{AT_ONCE, Count, RowCounts};

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

    /// Writes twice the rank of each row in each resample, a whole number; equal values get their mean rank.
    #[inline(always)]
    pub(super) fn write_doubled_ranks<C: Count>(
        &self,
        counts: &[RowCounts<C>],
        ranks: &mut Vec<RowCounts<u32>>,
    ) {
        ranks.resize(counts.len(), u32::NONE);
        let ranks = ranks.as_mut_slice();
        let (mut start, mut below) = (0, u32::NONE);
        for &end in &self.run_ends {
            let mut size = u32::NONE;
            for &row in &self.order[start..end] {
                let counts = counts[row];
                for lane in 0..AT_ONCE {
                    size[lane] += counts[lane].into();
                }
            }
            let mut rank = u32::NONE;
            for lane in 0..AT_ONCE {
                rank[lane] = 2 * below[lane] + size[lane] + 1;
            }
            self.order[start..end].iter().for_each(|&row| ranks[row] = rank);
            for lane in 0..AT_ONCE {
                below[lane] += size[lane];
            }
            start = end;
        }
    }
}
