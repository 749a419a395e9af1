//! Ranks of values in a resample, given by the count of each row.

use super::counted::all_indices;

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

    /// The rank of each row among rows, each repeated `counts` times; equal values get their mean rank.
    pub(super) fn ranks(&self, counts: &[f64]) -> Vec<f64> {
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
