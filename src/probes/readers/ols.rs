//! Ordinary least squares: the ridge probe without its penalty.

use super::{Reader, Reading, Training};
use crate::error::Result;
use crate::probes::ridge::PenaltyGrid;

/// The smallest weights of those with the least squared error on the training rows.
///
/// Where columns follow from others, or outnumber the rows, many weights have that error; the smallest are
/// the limit of ridge as the penalty goes to 0.
#[derive(Debug)]
pub(super) struct LeastSquares;

impl Reader for LeastSquares {
    fn name(&self) -> &'static str {
        "ols"
    }

    fn about(&self) -> &'static str {
        "least squares without a penalty"
    }

    fn read(&self, training: &Training) -> Result<Vec<Reading>> {
        let without = PenaltyGrid::Fixed(vec![0.0]);
        let probe = training.decomposition.solve(training.targets, &without)?.probe;
        Ok(vec![Reading::of(self.name(), training.readings(&probe))])
    }
}
