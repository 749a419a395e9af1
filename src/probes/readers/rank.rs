//! Ridge on the ranks of the values, which extreme values do not distort.

use super::regressor::{MethodPredictions, RegressionTask, Regressor};
use crate::error::Result;
use crate::probes::metrics::interpolated;
use ndarray::{Array1, Array2, Axis};

/// Ridge on the rank of each target among the training rows, from 0 to 1; equal values get their mean rank. A predicted
/// rank is converted back to a value.
///
/// Suits years, which are dense near the present and sparse in the past: a few early years dominate a fit to the years
/// themselves.
#[derive(Debug)]
pub(super) struct Rank;

impl Regressor for Rank {
    fn name(&self) -> &'static str {
        "rank"
    }

    fn about(&self) -> &'static str {
        "ridge on the ranks of the values"
    }

    fn fit_predict(&self, task: &RegressionTask) -> Result<Vec<MethodPredictions>> {
        let columns: Vec<Quantiles> =
            task.targets.columns().into_iter().map(|column| Quantiles::of(&column.to_owned())).collect();
        let mut ranks = Array2::zeros(task.targets.dim());
        for ((i, column), rank) in ranks.indexed_iter_mut() {
            *rank = columns[column].rank(task.targets[[i, column]]);
        }
        let probe = task.decomposition.solve(&ranks, task.grid)?.probe;
        let mut values = task.predictions(&probe);
        for (mut column, quantiles) in values.axis_iter_mut(Axis(1)).zip(&columns) {
            column.mapv_inplace(|rank| quantiles.value(rank));
        }
        Ok(vec![MethodPredictions::of(self.name(), values)])
    }
}

/// Values in ascending order.
struct Quantiles(Vec<f64>);

impl Quantiles {
    fn of(values: &Array1<f64>) -> Quantiles {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Quantiles(sorted)
    }

    /// The mean rank of a value, scaled to 0 to 1: of `n` distinct values, the smallest has rank `1 / 2n`, the largest
    /// `1 − 1 / 2n`.
    fn rank(&self, value: f64) -> f64 {
        let below = self.0.partition_point(|other| *other < value);
        let up_to = self.0.partition_point(|other| *other <= value);
        (below + up_to) as f64 / 2.0 / self.0.len() as f64
    }

    /// The value at a rank, interpolated between neighbours; ranks outside the range give the smallest or largest
    /// value.
    fn value(&self, rank: f64) -> f64 {
        let last = self.0.len() - 1;
        let position = (rank * self.0.len() as f64 - 0.5).clamp(0.0, last as f64);
        interpolated(&self.0, position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn rank_and_value_are_inverse_functions() {
        let quantiles = Quantiles::of(&array![5.0, 1.0, 3.0, 3.0, 9.0]);
        assert_eq!(quantiles.rank(1.0), 0.1);
        assert_eq!(quantiles.rank(3.0), 0.4);
        for value in [1.0, 3.0, 5.0, 9.0] {
            assert!((quantiles.value(quantiles.rank(value)) - value).abs() < 1e-12);
        }
        assert_eq!((quantiles.value(-3.0), quantiles.value(7.0)), (1.0, 9.0));
        assert!((quantiles.value(0.8) - 7.0).abs() < 1e-12);
    }
}
