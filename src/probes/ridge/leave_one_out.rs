//! Exact leave-one-out errors of every row at every penalty, for several sets of targets in one pass over the rows.
//!
//! In a fit without row `i`, the error of that row is `e_i / (1 − h_i)`, where `e_i` is its error in the full fit and
//! `h_i = 1/n + t_i (M + λ)⁻¹ t_iᵀ` its leverage, with `t_i` the row along the axes; `1/n` comes from the bias,
//! which is not penalised.

use super::decomposition::{Decomposition, Scratch};
use super::symmetric::check_finite;
use crate::error::{Error, Result};
use crate::probes::metrics::mean;
use ndarray::{Array1, Array2, Axis, concatenate, s};
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Number of rows projected onto the axes at a time; each block reads the axes from memory once.
const BLOCK_ROWS: usize = 256;

/// A set of targets minus their means.
pub(super) struct CentredTargets {
    pub mean: Array1<f64>,
    y: Array2<f64>,
    /// The products of the targets with the rows' scores, `[n_axes, n_targets]`.
    projected: Array2<f64>,
}

impl CentredTargets {
    fn of(decomposition: &Decomposition, y: &Array2<f64>) -> Result<CentredTargets> {
        if y.nrows() != decomposition.n_rows() || y.ncols() == 0 {
            let rows = decomposition.n_rows();
            let expected = format!("{rows} rows, one per activation, with at least 1 column");
            return Err(Error::invalid("targets", format!("{} rows of {}", y.nrows(), y.ncols()), expected));
        }
        check_finite(y.view(), "targets")?;
        let mean = y.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(y.ncols()));
        let y = y - &mean;
        let projected = decomposition.project(&y)?;
        Ok(CentredTargets { mean, y, projected })
    }
}

/// The results of one pass over the rows.
struct Pass {
    penalties: Vec<f64>,
    /// The leave-one-out error of each row, `[n_rows, n_penalties * n_columns]`.
    row_errors: Array2<f64>,
    /// The error of each set of targets at each penalty, as [`super::penalty::Trial::error`] defines it.
    set_errors: Vec<Vec<f64>>,
}

/// Leave-one-out errors of several sets of targets on the same rows.
pub(super) struct LeaveOneOut<'a> {
    decomposition: &'a Decomposition<'a>,
    pub sets: Vec<CentredTargets>,
    passes: Vec<Pass>,
}

impl<'a> LeaveOneOut<'a> {
    /// Centres the sets of targets.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a set has a different number of rows or no column, [`Error::NonFinite`] naming row and
    /// column of a bad target.
    pub(super) fn of(decomposition: &'a Decomposition<'a>, sets: &[&Array2<f64>]) -> Result<LeaveOneOut<'a>> {
        let sets = sets.iter().map(|y| CentredTargets::of(decomposition, y)).collect::<Result<_>>()?;
        Ok(LeaveOneOut { decomposition, sets, passes: Vec::new() })
    }

    /// The errors of a set at the given penalties; if one of them was not tried yet, one pass tries all of `together`.
    pub(super) fn errors(&mut self, set: usize, penalties: &[f64], together: &[f64]) -> Result<Vec<f64>> {
        if penalties.iter().any(|&penalty| self.tried(penalty).is_none()) {
            self.run_pass(together)?;
        }
        let error = |&penalty: &f64| {
            let (pass, at) = self.tried(penalty).ok_or_else(|| not_tried(penalty))?;
            Ok(pass.set_errors[set][at])
        };
        penalties.iter().map(error).collect()
    }

    /// The weights of a set at a penalty, and the leave-one-out error of each row.
    ///
    /// # Shapes
    /// `[n_targets, d_model]`, and `[n_rows, n_targets]`.
    pub(super) fn weights_and_errors(&self, set: usize, penalty: f64) -> Result<(Array2<f64>, Array2<f64>)> {
        let CentredTargets { y, projected, .. } = &self.sets[set];
        let coefficients = self.decomposition.gram.solve(penalty, projected);
        let weights = self.decomposition.axes.dot(&coefficients).reversed_axes();
        let weights = weights.as_standard_layout().into_owned(); // [n_targets, d_model]
        let (pass, at) = self.tried(penalty).ok_or_else(|| not_tried(penalty))?;
        let before = self.sets[..set].iter().map(|set| set.y.ncols()).sum::<usize>();
        let first = at * self.n_columns() + before;
        Ok((weights, pass.row_errors.slice(s![.., first..first + y.ncols()]).to_owned()))
    }

    /// The total number of targets over all sets.
    fn n_columns(&self) -> usize {
        self.sets.iter().map(|set| set.y.ncols()).sum()
    }

    /// The pass that tried a penalty, and the penalty's index in it.
    fn tried(&self, penalty: f64) -> Option<(&Pass, usize)> {
        self.passes.iter().find_map(|pass| Some((pass, pass.penalties.iter().position(|p| *p == penalty)?)))
    }

    /// Computes the errors of all sets at the given penalties in one pass.
    fn run_pass(&mut self, penalties: &[f64]) -> Result<()> {
        let n = self.decomposition.n_rows();
        let columns: Vec<_> = self.sets.iter().map(|set| set.projected.view()).collect();
        let truths: Vec<_> = self.sets.iter().map(|set| set.y.view()).collect();
        let projected = joined(&columns)?; // [n_axes, n_columns]
        let y = joined(&truths)?; // [n_rows, n_columns]
        let n_columns = y.ncols();
        let row_fit = self.decomposition.gram.row_fit(penalties, &projected);
        let scratches: Vec<_> =
            (0..rayon::current_num_threads()).map(|_| Mutex::new(Scratch::default())).collect();
        let block = |start: usize, n_block: usize| -> Result<(Array2<f64>, Array1<f64>)> {
            let scratch = &scratches[rayon::current_thread_index().unwrap_or(0)];
            let mut scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
            let t = self.decomposition.scores(start..start + n_block, &mut scratch)?; // [n_block, n_axes]
            // [n_block, n_penalties], [n_block, n_penalties * n_columns]
            let (leverages, mut errors) = row_fit.fit(t);
            let mut squares = Array1::<f64>::zeros(errors.ncols());
            for (i, mut errors) in errors.rows_mut().into_iter().enumerate() {
                let of_penalties = errors.exact_chunks_mut(n_columns).into_iter().zip(leverages.row(i));
                for (mut errors, leverage) in of_penalties {
                    let remaining = one_minus(leverage + 1.0 / n as f64);
                    errors.zip_mut_with(&y.row(start + i), |error, y| *error = (y - *error) / remaining);
                }
                squares.zip_mut_with(&errors, |squares, error| *squares += error * error);
            }
            Ok((errors, squares))
        };
        let mut row_errors = Array2::zeros((n, penalties.len() * n_columns));
        let mut squares = Array1::<f64>::zeros(penalties.len() * n_columns);
        let starts: Vec<usize> = (0..n).step_by(BLOCK_ROWS).collect();
        // The results of a few blocks per thread are small compared with the scratch memory of the threads.
        for starts in starts.chunks(4 * scratches.len()) {
            let some = starts.par_iter().map(|&start| block(start, BLOCK_ROWS.min(n - start)));
            for (&start, found) in starts.iter().zip(some.collect::<Vec<_>>()) {
                let (errors, of_block) = found?;
                row_errors.slice_mut(s![start..start + errors.nrows(), ..]).assign(&errors);
                squares += &of_block;
            }
        }
        let squares = squares.into_shape_with_order((penalties.len(), n_columns));
        let squares = squares.map_err(|e| Error::Internal(e.to_string()))?;
        let set_errors = self.errors_of_sets(&squares);
        self.passes.push(Pass { penalties: penalties.to_vec(), row_errors, set_errors });
        Ok(())
    }

    /// For each set and penalty: the squared error divided by the variance, averaged over the set's targets.
    fn errors_of_sets(&self, squares: &Array2<f64>) -> Vec<Vec<f64>> {
        let mut first = 0;
        let mut of_set = |set: &CentredTargets| -> Vec<f64> {
            let columns = first..first + set.y.ncols();
            first = columns.end;
            let variances: Vec<f64> = set.y.columns().into_iter().map(|c| c.dot(&c)).collect();
            // The bias fits a constant target exactly, so such a target contributes no error.
            let share = |square: f64, variance: f64| if variance > 0.0 { square / variance } else { 0.0 };
            let of_penalty = |squares: ndarray::ArrayView1<f64>| {
                let shares = squares.iter().zip(&variances).map(|(s, v)| share(*s, *v));
                mean(&shares.collect::<Vec<_>>())
            };
            squares.slice(s![.., columns]).rows().into_iter().map(of_penalty).collect()
        };
        self.sets.iter().map(&mut of_set).collect()
    }
}

/// `1 − leverage`, bounded below by a positive number: a row of leverage 1 has no finite leave-one-out error.
fn one_minus(leverage: f64) -> f64 {
    (1.0 - leverage).max(f64::EPSILON)
}

/// Joins matrices along their columns.
fn joined(columns: &[ndarray::ArrayView2<f64>]) -> Result<Array2<f64>> {
    concatenate(Axis(1), columns).map_err(|e| Error::Internal(e.to_string()))
}

fn not_tried(penalty: f64) -> Error {
    Error::Internal(format!("penalty {penalty} was not tried"))
}
