//! The penalties of a ridge fit: the grid, and the search for the best.

use crate::error::{Error, Result};
use std::ops::Range;
use std::str::FromStr;

/// Number of penalties per decade of the grid.
const PER_DECADE: i32 = 2;

/// The penalties that a fit tries.
#[derive(Debug, Clone, PartialEq)]
pub enum PenaltyGrid {
    /// Powers of ten times the mean eigenvalue, two per decade. While the best penalty is at an edge, the grid
    /// grows there by one decade, down to `floor` and up to `ceiling`.
    Decades {
        /// The exponent of the lowest penalty at the start.
        from: i32,
        /// The exponent of the highest penalty at the start.
        to: i32,
        /// The lowest exponent that the grid may reach.
        floor: i32,
        /// The highest exponent that the grid may reach.
        ceiling: i32,
    },
    /// A fixed list of penalties.
    Fixed(Vec<f64>),
}

impl Default for PenaltyGrid {
    fn default() -> PenaltyGrid {
        PenaltyGrid::Decades { from: -7, to: 2, floor: -10, ceiling: 5 }
    }
}

/// The position of the chosen penalty in the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// Between two other penalties, so that the minimum is bracketed.
    Inside,
    /// The lowest allowed penalty: a lower one might be better.
    Lowest,
    /// The highest allowed penalty: the activations may not contain the target.
    Highest,
}

/// One tried penalty with its error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// The penalty λ.
    pub penalty: f64,
    /// The squared leave-one-out error divided by the variance, averaged over the targets; predicting the mean gives 1.
    pub error: f64,
}

/// The result of a search.
pub(super) struct Search {
    pub trials: Vec<Trial>,
    /// The index of the best trial.
    pub best: usize,
    pub edge: Edge,
    pub n_grown: usize,
}

impl PenaltyGrid {
    /// The paper's grid for a model size.
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

    /// The penalties of the first and the second pass over the rows.
    ///
    /// The first pass tries all penalties that the search needs unless the grid grows downwards, which is rare; the
    /// second tries the rest. An additional penalty in a pass is cheap, an additional pass is expensive.
    pub(super) fn passes(&self, unit: f64) -> Result<[Vec<f64>; 2]> {
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

    /// All penalties that a search may try, ascending.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty list, a negative penalty, or decades that are not ascending.
    pub(super) fn all(&self, unit: f64) -> Result<Vec<f64>> {
        let [first, then] = self.passes(unit)?;
        Ok(then.into_iter().chain(first).collect())
    }

    /// Finds the best penalty; the grid grows while the best is at an edge.
    pub(super) fn search(
        &self,
        unit: f64,
        mut errors: impl FnMut(&[f64]) -> Result<Vec<f64>>,
    ) -> Result<Search> {
        let mut try_all = |penalties: Vec<f64>| -> Result<Vec<Trial>> {
            let errors = errors(&penalties)?;
            Ok(penalties.into_iter().zip(errors).map(|(penalty, error)| Trial { penalty, error }).collect())
        };
        let result = |trials: Vec<Trial>, n_grown: usize| {
            let best = least(&trials);
            Search { edge: edge(&trials, best), trials, best, n_grown }
        };
        let (mut from, mut to, floor, ceiling) = match self {
            PenaltyGrid::Fixed(penalties) => return Ok(result(try_all(checked(penalties)?)?, 0)),
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
                return Ok(result(trials, n_grown));
            }
            n_grown += 1;
        }
    }
}

impl FromStr for PenaltyGrid {
    type Err = Error;

    /// Parses penalties separated by commas, or the paper's grid: `paper` (also `paper-7b`), `paper-13b`, `paper-70b`.
    fn from_str(text: &str) -> Result<PenaltyGrid> {
        if let Some(grid) = PenaltyGrid::of_paper(text) {
            return Ok(grid);
        }
        let penalties = text.split(',').map(|penalty| penalty.trim().parse::<f64>().ok()).collect();
        let penalties: Option<Vec<f64>> = penalties;
        match penalties.map(|penalties| checked(&penalties)) {
            Some(Ok(penalties)) => Ok(PenaltyGrid::Fixed(penalties)),
            _ => {
                let expected = "numbers of 0 or above, such as 0.1,1,10; or paper, paper-13b or paper-70b";
                Err(Error::invalid("--alphas", text, expected))
            }
        }
    }
}

/// The penalties at a range of half decades, relative to `unit`.
fn steps(unit: f64, steps: Range<i32>) -> Vec<f64> {
    steps.map(|step| unit * 10f64.powf(f64::from(step) / f64::from(PER_DECADE))).collect()
}

/// The position of the best trial.
pub(super) fn edge(trials: &[Trial], best: usize) -> Edge {
    match best {
        _ if trials.len() == 1 => Edge::Inside,
        0 => Edge::Lowest,
        b if b + 1 == trials.len() => Edge::Highest,
        _ => Edge::Inside,
    }
}

/// The index of the trial with the least error; among equal errors the highest penalty, the more stable fit.
pub(super) fn least(trials: &[Trial]) -> usize {
    (0..trials.len()).rev().min_by(|&a, &b| trials[a].error.total_cmp(&trials[b].error)).unwrap_or(0)
}

/// Sorts the penalties in ascending order; refuses an empty list and negative penalties.
fn checked(penalties: &[f64]) -> Result<Vec<f64>> {
    if penalties.is_empty() || penalties.iter().any(|p| !p.is_finite() || *p < 0.0) {
        return Err(Error::invalid(
            "penalties",
            format!("{penalties:?}"),
            "at least one number, all 0 or above",
        ));
    }
    let mut ascending = penalties.to_vec();
    ascending.sort_by(f64::total_cmp);
    Ok(ascending)
}
