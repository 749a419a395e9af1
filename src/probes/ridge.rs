//! Ridge regression: the settings, the search for the penalty, and the exact leave-one-out error.

use super::decomposition::{Decomposition, check_finite, shrink};
use super::metrics::{mean, r2_by_target};
use super::probe::Probe;
use crate::error::{Error, Result};
use linfa::DatasetBase;
use linfa::traits::Fit;
use ndarray::{Array1, Array2, Axis, s};
use rayon::prelude::*;
use std::cell::RefCell;
use std::str::FromStr;

/// How many penalties a decade of the grid holds.
const PER_DECADE: i32 = 2;
/// Rows whose leave-one-out errors are computed at a time, one block a thread.
const BLOCK_ROWS: usize = 512;

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
        if y.nrows() != self.n_rows() || y.ncols() == 0 {
            let expected = format!("{} rows, one for each activation, of at least 1 target", self.n_rows());
            return Err(Error::invalid("targets", format!("{} rows of {}", y.nrows(), y.ncols()), expected));
        }
        check_finite(y.view(), "targets")?;
        let centred = Centred::of(self, y);
        let Search { trials, best, edge, n_grown } =
            grid.search(self.mean_eigenvalue(), |penalties| centred.errors(penalties))?;
        let penalty = trials[best].penalty;
        let filter = self.eigenvalues.mapv(|s| shrink(s, penalty)).insert_axis(Axis(1));
        let weights = self.axes.dot(&(&centred.along * &filter)).reversed_axes(); // [n_targets, d_model]
        let weights = weights.as_standard_layout().into_owned();
        let bias = &centred.mean - &weights.dot(&self.mean);
        let leave_one_out = y - &centred.left_out(penalty)?;
        let loo_r2 = r2_by_target(y.view(), leave_one_out.view());
        let probe = Probe { weights, bias, penalty };
        Ok(Solution { probe, leave_one_out, loo_r2, trials, edge, n_grown })
    }
}

/// Targets without their mean, and what they have along the axes.
struct Centred<'a> {
    decomposition: &'a Decomposition<'a>,
    mean: Array1<f64>,
    y: Array2<f64>,
    /// `Tᵀ y`, `[n_axes, n_targets]`.
    along: Array2<f64>,
    /// The leave-one-out errors at every penalty that was tried, row by row.
    left_out: RefCell<Vec<(f64, Vec<f64>)>>,
}

impl Centred<'_> {
    fn of<'a>(decomposition: &'a Decomposition<'a>, y: &Array2<f64>) -> Centred<'a> {
        let mean = y.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(y.ncols()));
        let y = y - &mean;
        let along = decomposition.along(&y);
        Centred { decomposition, mean, y, along, left_out: RefCell::default() }
    }

    /// The error of each penalty, as [`Trial::error`] defines it; the errors of the rows are kept.
    fn errors(&self, penalties: &[f64]) -> Vec<f64> {
        let n_targets = self.y.ncols();
        let blocks = self.blocks(penalties);
        let squares: Array1<f64> = blocks
            .iter()
            .map(|errors| errors.mapv(|e| e * e).sum_axis(Axis(0)))
            .fold(Array1::zeros(penalties.len() * n_targets), |sum, block| sum + block);
        for (at, &penalty) in penalties.iter().enumerate() {
            let of_penalty = s![.., at * n_targets..(at + 1) * n_targets];
            let rows = blocks.iter().flat_map(|errors| errors.slice(of_penalty).to_owned());
            self.left_out.borrow_mut().push((penalty, rows.collect()));
        }
        let variances: Vec<f64> = self.y.columns().into_iter().map(|c| c.dot(&c)).collect();
        // A constant target is learnt exactly by the bias: it has no say in the choice.
        let share = |square: f64, variance: f64| if variance > 0.0 { square / variance } else { 0.0 };
        squares
            .exact_chunks(n_targets)
            .into_iter()
            .map(|of_targets| {
                mean(&of_targets.iter().zip(&variances).map(|(s, v)| share(*s, *v)).collect::<Vec<_>>())
            })
            .collect()
    }

    /// The leave-one-out errors at a penalty that was tried, `[n_rows, n_targets]`.
    fn left_out(&self, penalty: f64) -> Result<Array2<f64>> {
        let tried = self.left_out.take();
        let found = tried.into_iter().find(|(tried, _)| *tried == penalty).map(|(_, errors)| errors);
        let errors = found.ok_or_else(|| Error::Internal(format!("penalty {penalty} was not tried")))?;
        Array2::from_shape_vec(self.y.dim(), errors).map_err(|e| Error::Internal(e.to_string()))
    }

    /// The leave-one-out errors of one block of rows after another, `[n_block, n_penalties * n_targets]` each.
    ///
    /// The error without row `i` is its error with it over `1 − h_i`, where the leverage is
    /// `h_i = 1/n + Σ_j T_ij² / (s_j + λ)`; the `1/n` is the free bias.
    fn blocks(&self, penalties: &[f64]) -> Vec<Array2<f64>> {
        let decomposition = self.decomposition;
        let (eigenvalues, whole, along) = (&decomposition.eigenvalues, &self.y, &self.along);
        let (n, n_targets) = whole.dim();
        let filters = Array2::from_shape_fn((eigenvalues.len(), penalties.len()), |(j, l)| {
            shrink(eigenvalues[j], penalties[l])
        }); // [n_axes, n_penalties]
        let fits = Array2::from_shape_fn((eigenvalues.len(), penalties.len() * n_targets), |(j, c)| {
            filters[[j, c / n_targets]] * along[[j, c % n_targets]]
        }); // [n_axes, n_penalties * n_targets]
        let block = |start: usize| {
            let rows = s![start..(start + BLOCK_ROWS).min(n), ..];
            let t = decomposition.scores(start..(start + BLOCK_ROWS).min(n)); // [n_block, n_axes]
            let y = whole.slice(rows);
            let leverage = t.mapv(|v| v * v).dot(&filters) + 1.0 / n as f64; // [n_block, n_penalties]
            let mut errors = t.dot(&fits); // [n_block, n_penalties * n_targets]
            for ((i, c), error) in errors.indexed_iter_mut() {
                // A row that alone decides its own reading has no error without it that can be told.
                let freedom = (1.0 - leverage[[i, c / n_targets]]).max(f64::EPSILON);
                *error = (y[[i, c % n_targets]] - *error) / freedom;
            }
            errors
        };
        (0..n).into_par_iter().step_by(BLOCK_ROWS).map(block).collect()
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

    /// Tries penalties, growing the grid while the best is at an edge.
    fn search(&self, unit: f64, errors: impl Fn(&[f64]) -> Vec<f64>) -> Result<Search> {
        let try_all = |penalties: &[f64]| -> Vec<Trial> {
            let trial = |(&penalty, error)| Trial { penalty, error };
            penalties.iter().zip(errors(penalties)).map(trial).collect()
        };
        let found = |trials: Vec<Trial>, n_grown: usize| {
            let best = least(&trials);
            Search { edge: edge(&trials, best), trials, best, n_grown }
        };
        let (mut from, mut to, floor, ceiling) = match self {
            PenaltyGrid::Fixed(penalties) => return Ok(found(try_all(&checked(penalties)?), 0)),
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
        let penalties = |steps: std::ops::Range<i32>| -> Vec<f64> {
            steps.map(|step| unit * 10f64.powf(f64::from(step) / f64::from(PER_DECADE))).collect()
        };
        let mut trials = try_all(&penalties(from * PER_DECADE..to * PER_DECADE + 1));
        let mut n_grown = 0;
        loop {
            let best = least(&trials);
            if best + 1 == trials.len() && to < ceiling {
                trials.extend(try_all(&penalties(to * PER_DECADE + 1..(to + 1) * PER_DECADE + 1)));
                to += 1;
            } else if best == 0 && from > floor {
                let lower = try_all(&penalties((from - 1) * PER_DECADE..from * PER_DECADE));
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
