//! The ridge fit: computes a probe from a decomposition and chooses its penalty by leave-one-out error.

use super::decomposition::Decomposition;
use super::leave_one_out::LeaveOneOut;
use super::penalty::{Edge, PenaltyGrid, Search, Trial};
use crate::error::{Error, Result};
use crate::probes::metrics::r2_by_target;
use crate::probes::probe::Probe;
use linfa::DatasetBase;
use linfa::traits::Fit;
use ndarray::Array2;

/// Ridge regression that chooses its penalty by leave-one-out error.
///
/// It minimises `‖y − Xw − b‖² + λ‖w‖²` with centred columns and a free `b`. All targets of a probe share one λ:
/// the one with the least leave-one-out error (squared error divided by variance, averaged over the targets).
///
/// # Examples
/// ```
/// use linfa::Dataset;
/// use linfa::traits::{Fit, Predict};
/// use mappa::probes::Ridge;
/// use ndarray::{Array2, array};
/// let x = array![[0.0], [1.0], [2.0], [3.0]];
/// let y = array![[1.0], [3.0], [5.0], [7.0]];
/// let probe = Ridge::default().fit(&Dataset::new(x, y)).unwrap();
/// let predicted: Array2<f64> = probe.predict(&array![[10.0]]);
/// assert!((predicted[[0, 0]] - 21.0).abs() < 1e-3);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ridge {
    /// The penalties to try.
    pub grid: PenaltyGrid,
}

/// A fitted probe with the diagnostics of its fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// The probe at the best penalty.
    pub probe: Probe,
    /// The leave-one-out prediction of each row: by a probe fitted without that row, `[n_rows, n_targets]`.
    pub leave_one_out: Array2<f64>,
    /// R² of the leave-one-out predictions, `[n_targets]`.
    pub loo_r2: Vec<f64>,
    /// All tried penalties, ascending.
    pub trials: Vec<Trial>,
    /// The position of the best penalty in the grid.
    pub edge: Edge,
    /// The number of decades by which the grid grew, the sum of both ends.
    pub n_grown: usize,
}

impl Fit<Array2<f64>, Array2<f64>, Error> for Ridge {
    type Object = Probe;

    /// Fits a probe to records `[n_rows, d_model]` and targets `[n_rows, n_targets]`.
    fn fit(&self, dataset: &DatasetBase<Array2<f64>, Array2<f64>>) -> Result<Probe> {
        let decomposition = Decomposition::of(dataset.records().clone())?;
        Ok(decomposition.solve(dataset.targets(), &self.grid)?.probe)
    }
}

impl Decomposition<'_> {
    /// Fits a probe to targets `y`; the decomposition can be reused for other targets.
    ///
    /// # Shapes
    /// `y` is `[n_rows, n_targets]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `y` has a different number of rows, or the grid is empty or has a negative penalty,
    /// [`Error::NonFinite`] naming row and column of a bad target.
    pub fn solve(&self, y: &Array2<f64>, grid: &PenaltyGrid) -> Result<Solution> {
        let mut solutions = self.solve_each(&[y], grid)?;
        solutions.pop().ok_or_else(|| Error::Internal("no solution for one set of targets".into()))
    }

    /// Fits a probe to each of several sets of targets, each with its own penalty, in one or two passes over the rows.
    ///
    /// # Shapes
    /// Each of `sets` is `[n_rows, n_targets]`; they may differ in the number of targets.
    ///
    /// # Errors
    /// As [`Decomposition::solve`].
    pub fn solve_each(&self, sets: &[&Array2<f64>], grid: &PenaltyGrid) -> Result<Vec<Solution>> {
        let unit = self.mean_eigenvalue();
        let [first, then] = grid.passes(unit)?;
        let mut left_out = LeaveOneOut::of(self, sets)?;
        let of_set = |(set, y): (usize, &&Array2<f64>)| {
            let Search { trials, best, edge, n_grown } = grid.search(unit, |penalties| {
                let together = if penalties.iter().all(|p| first.contains(p)) { &first } else { &then };
                left_out.errors(set, penalties, together)
            })?;
            let penalty = trials[best].penalty;
            let (weights, errors) = left_out.weights_and_errors(set, penalty)?;
            let bias = &left_out.sets[set].mean - &weights.dot(&self.mean);
            let leave_one_out = *y - &errors;
            let loo_r2 = r2_by_target(y.view(), leave_one_out.view());
            let probe = Probe { weights, bias, penalty };
            Ok(Solution { probe, leave_one_out, loo_r2, trials, edge, n_grown })
        };
        sets.iter().enumerate().map(of_set).collect()
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
