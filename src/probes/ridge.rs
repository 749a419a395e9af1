//! Ridge regression: the settings, the search for the penalty, and the fit.

use super::decomposition::Decomposition;
use super::leave_one_out::LeaveOneOut;
use super::metrics::r2_by_target;
use super::probe::Probe;
use crate::error::{Error, Result};
use linfa::DatasetBase;
use linfa::traits::Fit;
use ndarray::Array2;
use std::ops::Range;
use std::str::FromStr;

/// How many penalties a decade of the grid holds.
const PER_DECADE: i32 = 2;

/// Ridge regression that chooses its penalty by leave-one-out error.
///
/// It minimises `‖y − Xw − b‖² + λ‖w‖²` with columns centred and `b` free. One λ serves every target
/// of a probe: the one with the least mean over the targets of the leave-one-out squared error,
/// each divided by its target's variance.
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
/// let reading: Array2<f64> = probe.predict(&array![[10.0]]);
/// assert!((reading[[0, 0]] - 21.0).abs() < 1e-3);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ridge {
    /// The penalties to try.
    pub grid: PenaltyGrid,
}

/// The penalties that a fit tries.
#[derive(Debug, Clone, PartialEq)]
pub enum PenaltyGrid {
    /// Powers of ten times the mean eigenvalue, two a decade. While the best penalty is at an edge
    /// the grid grows by a decade there, down to `floor` and up to `ceiling`.
    Decades {
        /// The exponent of the first lowest penalty.
        from: i32,
        /// The exponent of the first highest penalty.
        to: i32,
        /// The lowest exponent that growing may reach.
        floor: i32,
        /// The highest exponent that growing may reach.
        ceiling: i32,
    },
    /// These penalties as they are.
    Fixed(Vec<f64>),
}

impl Default for PenaltyGrid {
    fn default() -> PenaltyGrid {
        PenaltyGrid::Decades { from: -7, to: 2, floor: -10, ceiling: 5 }
    }
}

/// Where in the grid the chosen penalty lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// Between others: the least error is bracketed.
    Inside,
    /// The lowest penalty there may be: less shrinkage might do better.
    Lowest,
    /// The highest penalty there may be: the activations may hold nothing of the target.
    Highest,
}

/// One penalty and how it did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// The penalty λ.
    pub penalty: f64,
    /// Mean over the targets of squared leave-one-out error over variance; 1 is no better than the mean.
    pub error: f64,
}

/// A fitted probe and how the fit went.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// The probe at the best penalty.
    pub probe: Probe,
    /// What the probe reads for each row when fitted without it, `[n_rows, n_targets]`.
    pub leave_one_out: Array2<f64>,
    /// R² of those readings, `[n_targets]`.
    pub loo_r2: Vec<f64>,
    /// Every penalty tried, ascending.
    pub trials: Vec<Trial>,
    /// Whether the search ended at a bound.
    pub edge: Edge,
    /// By how many decades the grid grew, at either end.
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
    /// Fits a probe to some targets; any number of target matrices share the decomposition.
    ///
    /// # Shapes
    /// `y` is `[n_rows, n_targets]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `y` has another number of rows or the grid is empty or negative,
    /// [`Error::NonFinite`] naming row and column of a bad target.
    pub fn solve(&self, y: &Array2<f64>, grid: &PenaltyGrid) -> Result<Solution> {
        let mut solutions = self.solve_each(&[y], grid)?;
        solutions.pop().ok_or_else(|| Error::Internal("no solution for one set of targets".into()))
    }

    /// Fits a probe to each of several sets of targets, each with a penalty of its own, in one pass over the rows.
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
            let (weights, errors) = left_out.at(set, penalty)?;
            let bias = &left_out.sets[set].mean - &weights.dot(&self.mean);
            let leave_one_out = *y - &errors;
            let loo_r2 = r2_by_target(y.view(), leave_one_out.view());
            let probe = Probe { weights, bias, penalty };
            Ok(Solution { probe, leave_one_out, loo_r2, trials, edge, n_grown })
        };
        sets.iter().enumerate().map(of_set).collect()
    }
}

/// What trying penalties led to.
struct Search {
    trials: Vec<Trial>,
    best: usize,
    edge: Edge,
    n_grown: usize,
}

impl PenaltyGrid {
    /// The grid of the paper's experiments, by the model that it was used for there.
    ///
    /// # Source
    /// The authors' `probe_experiment.py`: twelve penalties from 10^0.8 to 10^4.1 for Llama-2-7B, to 10^4.3
    /// for 13B, to 10^4.5 for 70B.
    fn of_paper(name: &str) -> Option<PenaltyGrid> {
        let highest = match name {
            "paper" | "paper-7b" => 4.1,
            "paper-13b" => 4.3,
            "paper-70b" => 4.5,
            _ => return None,
        };
        let exponent = |step: i32| 0.8 + f64::from(step) * (highest - 0.8) / 11.0;
        Some(PenaltyGrid::Fixed((0..12).map(|step| 10f64.powf(exponent(step))).collect()))
    }

    /// What passes over the rows try: at first all that may be tried without the grid growing downwards, which it
    /// seldom does, then what is left. A penalty more is cheap beside a pass more.
    fn passes(&self, unit: f64) -> Result<[Vec<f64>; 2]> {
        let (from, to, floor, ceiling) = match self {
            PenaltyGrid::Fixed(penalties) => return Ok([checked(penalties)?, Vec::new()]),
            &PenaltyGrid::Decades { from, to, floor, ceiling } => (from, to, floor, ceiling),
        };
        if from > to || floor > from || ceiling < to {
            let found = format!("{floor}, {from}, {to}, {ceiling}");
            return Err(Error::invalid(
                "penalty decades (floor, from, to, ceiling)",
                found,
                "ascending numbers",
            ));
        }
        let first = steps(unit, from * PER_DECADE..ceiling * PER_DECADE + 1);
        Ok([first, steps(unit, floor * PER_DECADE..from * PER_DECADE)])
    }

    /// Tries penalties, growing the grid while the best is at an edge.
    fn search(&self, unit: f64, mut errors: impl FnMut(&[f64]) -> Result<Vec<f64>>) -> Result<Search> {
        let mut try_all = |penalties: Vec<f64>| -> Result<Vec<Trial>> {
            let errors = errors(&penalties)?;
            Ok(penalties.into_iter().zip(errors).map(|(penalty, error)| Trial { penalty, error }).collect())
        };
        let found = |trials: Vec<Trial>, n_grown: usize| {
            let best = least(&trials);
            Search { edge: edge(&trials, best), trials, best, n_grown }
        };
        let (mut from, mut to, floor, ceiling) = match self {
            PenaltyGrid::Fixed(penalties) => return Ok(found(try_all(checked(penalties)?)?, 0)),
            &PenaltyGrid::Decades { from, to, floor, ceiling } => (from, to, floor, ceiling),
        };
        let mut trials = try_all(steps(unit, from * PER_DECADE..to * PER_DECADE + 1))?;
        let mut n_grown = 0;
        loop {
            let best = least(&trials);
            if best + 1 == trials.len() && to < ceiling {
                trials.extend(try_all(steps(unit, to * PER_DECADE + 1..(to + 1) * PER_DECADE + 1))?);
                to += 1;
            } else if best == 0 && from > floor {
                let lower = try_all(steps(unit, (from - 1) * PER_DECADE..from * PER_DECADE))?;
                trials.splice(0..0, lower);
                from -= 1;
            } else {
                return Ok(found(trials, n_grown));
            }
            n_grown += 1;
        }
    }
}

impl FromStr for PenaltyGrid {
    type Err = Error;

    /// Penalties with commas between them, or `paper`, `paper-13b`, `paper-70b`.
    fn from_str(text: &str) -> Result<PenaltyGrid> {
        if let Some(grid) = PenaltyGrid::of_paper(text) {
            return Ok(grid);
        }
        let penalties = text.split(',').map(|penalty| penalty.trim().parse::<f64>().ok()).collect();
        let penalties: Option<Vec<f64>> = penalties;
        match penalties.map(|penalties| checked(&penalties)) {
            Some(Ok(penalties)) => Ok(PenaltyGrid::Fixed(penalties)),
            _ => {
                let expected =
                    "numbers that are not negative, such as 0.1,1,10, or paper, paper-13b, paper-70b";
                Err(Error::invalid("--alphas", text, expected))
            }
        }
    }
}

/// Penalties of the grid by their steps from one unit.
fn steps(unit: f64, steps: Range<i32>) -> Vec<f64> {
    steps.map(|step| unit * 10f64.powf(f64::from(step) / f64::from(PER_DECADE))).collect()
}

fn edge(trials: &[Trial], best: usize) -> Edge {
    match best {
        _ if trials.len() == 1 => Edge::Inside,
        0 => Edge::Lowest,
        b if b + 1 == trials.len() => Edge::Highest,
        _ => Edge::Inside,
    }
}

/// The trial with the least error; of equals the highest penalty, which is the steadier fit.
fn least(trials: &[Trial]) -> usize {
    (0..trials.len()).rev().min_by(|&a, &b| trials[a].error.total_cmp(&trials[b].error)).unwrap_or(0)
}

fn checked(penalties: &[f64]) -> Result<Vec<f64>> {
    if penalties.is_empty() || penalties.iter().any(|p| !p.is_finite() || *p < 0.0) {
        return Err(Error::invalid(
            "penalties",
            format!("{penalties:?}"),
            "at least one number, none negative",
        ));
    }
    let mut ascending = penalties.to_vec();
    ascending.sort_by(f64::total_cmp);
    Ok(ascending)
}

#[cfg(test)]
#[path = "ridge_tests.rs"]
mod tests;
