//! Ordinary least squares: the ridge probe without its penalty.

use super::regressor::{MethodPredictions, RegressionTask, Regressor};
use crate::error::Result;
use crate::probes::ridge::PenaltyGrid;

/// The least-squares weights of smallest norm.
///
/// If columns are dependent or outnumber the rows, many solutions have the least squared error; the one of smallest
/// norm is the limit of ridge as the penalty goes to 0.
#[derive(Debug)]
pub(super) struct LeastSquares;

impl Regressor for LeastSquares {
    fn name(&self) -> &'static str {
        "ols"
    }

    fn about(&self) -> &'static str {
        "least squares without a penalty"
    }

    fn fit_predict(&self, task: &RegressionTask) -> Result<Vec<MethodPredictions>> {
        let no_penalty = PenaltyGrid::Fixed(vec![0.0]);
        let probe = task.decomposition.solve(task.targets, &no_penalty)?.probe;
        Ok(vec![MethodPredictions::of(self.name(), task.predictions(&probe))])
    }
}
