//! Ridge regression on many sparse columns, by conjugate gradients.

use super::sparse_rows::SparseRows;
use crate::error::{Error, Result};
use ndarray::{Array1, Array2, Axis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;

/// The fit stops when the norm of the residual, divided by the norm of the centred target, is below this.
const TOLERANCE: f64 = 1e-4;
/// As [`TOLERANCE`], for the fits that only compare penalties.
const SEARCH_TOLERANCE: f64 = 1e-3;
/// Maximum number of steps; a fit that needs more has too small a penalty.
const MAX_STEPS: usize = 3000;
/// Number of parts of the groups, each held out in turn.
const FOLDS: usize = 5;
/// Minimum number of rows, so that a fifth can be held out.
const MIN_ROWS: usize = 10;

/// Ridge regression on sparse rows, with the same objective as [`crate::probes::Ridge`].
///
/// An eigendecomposition of so many columns would cost too much, so there is no exact leave-one-out error. Instead, the
/// penalty with the least error on held-out rows is chosen: penalties are tried from the highest down until the error
/// rises. A random fifth of the rows is held out, or, if groups are to be kept apart, each fifth of the groups in turn.
/// The final fit uses all rows.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseRidge {
    /// The penalties to try, in units of a row's squared length.
    pub penalties: Vec<f64>,
    /// The seed of the held-out fifth.
    pub seed: u64,
}

impl Default for SparseRidge {
    fn default() -> SparseRidge {
        // Half decades from 0.03 to 10.
        SparseRidge { penalties: (-3..=2).map(|step| 10f64.powf(f64::from(step) / 2.0)).collect(), seed: 0 }
    }
}

/// A linear probe of sparse rows.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseProbe {
    /// The weights, `[n_columns, n_targets]`.
    pub weights: Array2<f64>,
    /// The prediction for a row of zeros, `[n_targets]`.
    pub bias: Array1<f64>,
    /// The chosen penalty.
    pub penalty: f64,
}

impl SparseProbe {
    /// The prediction for every row.
    ///
    /// # Shapes
    /// `[n_rows, n_columns]` to `[n_rows, n_targets]`.
    pub fn predict(&self, x: &SparseRows) -> Array2<f64> {
        x.times(&self.weights) + &self.bias
    }
}

impl SparseRidge {
    /// Chooses the penalty on a held-out fifth of the rows, and fits.
    ///
    /// # Shapes
    /// `x` is `[n_rows, n_columns]`, `y` is `[n_rows, n_targets]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than 10 rows, a number of rows in `y` other than in `x`, or a penalty that is
    /// not above 0 or too small for the solver.
    pub fn fit(&self, x: &SparseRows, y: &Array2<f64>) -> Result<SparseProbe> {
        self.fit_apart(x, y, None)
    }

    /// As [`SparseRidge::fit`]; if `groups` has the group of each row, the penalty is chosen on held-out groups.
    pub(super) fn fit_apart(
        &self,
        x: &SparseRows,
        y: &Array2<f64>,
        groups: Option<Vec<usize>>,
    ) -> Result<SparseProbe> {
        if x.n_rows() < MIN_ROWS || x.n_rows() != y.nrows() {
            let found = format!("{} rows and {} targets", x.n_rows(), y.nrows());
            return Err(Error::invalid(
                "names to fit",
                found,
                format!("one row of targets per name, and at least {MIN_ROWS} rows"),
            ));
        }
        let mut penalties = self.penalties.clone();
        penalties.sort_by(|a, b| b.total_cmp(a));
        if penalties.is_empty() || penalties.iter().any(|p| !p.is_finite() || *p <= 0.0) {
            return Err(Error::invalid("penalties", format!("{penalties:?}"), "numbers above 0"));
        }
        let mut searches: Vec<Search> = match groups {
            None => vec![Search::of(x, y, &self.held_out_rows(x.n_rows()))],
            Some(groups) => self.held_out_groups(&groups).iter().map(|rows| Search::of(x, y, rows)).collect(),
        };
        let mut best = (f64::INFINITY, penalties[0]);
        for penalty in penalties {
            let errors = searches.iter_mut().map(|search| search.error(penalty));
            let error = errors.sum::<Result<f64>>()?;
            if error > best.0 {
                break;
            }
            best = (error, penalty);
        }
        System::of(x.clone(), y).solve(best.1, TOLERANCE)
    }

    /// Fits at a penalty, without a search.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a penalty that is too small for the solver.
    pub(in crate::probes) fn fit_at(
        &self,
        penalty: f64,
        x: &SparseRows,
        y: &Array2<f64>,
    ) -> Result<SparseProbe> {
        System::of(x.clone(), y).solve(penalty, TOLERANCE)
    }

    /// A random fifth of the rows.
    fn held_out_rows(&self, n_rows: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n_rows).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(self.seed));
        order.truncate(n_rows / 5);
        order
    }

    /// Divides the groups at random into fifths, and returns the rows of each.
    pub(super) fn held_out_groups(&self, groups: &[usize]) -> Vec<Vec<usize>> {
        let mut distinct: Vec<usize> = groups.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        distinct.shuffle(&mut ChaCha8Rng::seed_from_u64(self.seed));
        let fold_of: HashMap<usize, usize> =
            distinct.iter().zip(0..).map(|(group, i)| (*group, i % FOLDS)).collect();
        let rows = |fold| (0..groups.len()).filter(|row| fold_of[&groups[*row]] == fold).collect();
        (0..FOLDS)
            .map(rows)
            .filter(|rows: &Vec<usize>| !rows.is_empty() && rows.len() < groups.len())
            .collect()
    }
}

/// A fit without the held-out rows, and these rows, to compare penalties by their error.
struct Search {
    system: System,
    x: SparseRows,
    y: Array2<f64>,
}

impl Search {
    fn of(x: &SparseRows, y: &Array2<f64>, held_out: &[usize]) -> Search {
        let mut is_held_out = vec![false; x.n_rows()];
        held_out.iter().for_each(|&row| is_held_out[row] = true);
        let train: Vec<usize> = (0..x.n_rows()).filter(|row| !is_held_out[*row]).collect();
        let system = System::of(x.select(&train), &y.select(Axis(0), &train));
        Search { system, x: x.select(held_out), y: y.select(Axis(0), held_out) }
    }

    /// The error at a penalty; penalties must descend, because each fit starts from the previous one.
    fn error(&mut self, penalty: f64) -> Result<f64> {
        let probe = self.system.solve(penalty, SEARCH_TOLERANCE)?;
        Ok(standardised_error(&self.y, &probe.predict(&self.x)))
    }
}

/// The sum over the targets of the squared error divided by the target's variance.
fn standardised_error(y: &Array2<f64>, predicted: &Array2<f64>) -> f64 {
    let squares = (y - predicted).mapv(|e| e * e).sum_axis(Axis(0));
    let variances = y.var_axis(Axis(0), 0.0);
    // A constant target does not count, as in the dense fit.
    squares.iter().zip(&variances).map(|(s, v)| if *v > 0.0 { s / v } else { 0.0 }).sum()
}

/// The system `(X Xᵀ + λ) a = y` with centred rows and targets; the weights are `Xᵀ a`.
struct System {
    x: SparseRows,
    transposed: SparseRows,
    /// The mean row, `[n_columns, 1]`.
    mean: Array2<f64>,
    y: Array2<f64>,
    y_mean: Array1<f64>,
    /// The last solution, from which the solve at the next penalty starts.
    last: Array2<f64>,
}

impl System {
    fn of(x: SparseRows, y: &Array2<f64>) -> System {
        let transposed = x.transposed();
        let mean = transposed.times(&Array2::from_elem((x.n_rows(), 1), 1.0 / x.n_rows() as f64));
        let y_mean = y.sum_axis(Axis(0)) / y.nrows() as f64;
        System { transposed, mean, y: y - &y_mean, y_mean, last: Array2::zeros(y.dim()), x }
    }

    /// Solves at a penalty by conjugate gradients, for all targets at once.
    fn solve(&mut self, penalty: f64, tolerance: f64) -> Result<SparseProbe> {
        let goal = sums_of_squares(&self.y) * tolerance * tolerance;
        let mut a = self.last.clone();
        let mut residual = &self.y - &self.apply(&a, penalty); // [n_rows, n_targets]
        let mut step = residual.clone();
        let mut left = sums_of_squares(&residual);
        for _ in 0..MAX_STEPS {
            if left.iter().zip(&goal).all(|(left, goal)| left <= goal) {
                let weights = self.weights(&a); // [n_columns, n_targets]
                let bias = &self.y_mean - &weights.t().dot(&self.mean).column(0);
                self.last = a;
                return Ok(SparseProbe { weights, bias, penalty });
            }
            let image = self.apply(&step, penalty);
            let length = ratio(&left, &(&step * &image).sum_axis(Axis(0)));
            a += &(&step * &length);
            residual -= &(&image * &length);
            let now = sums_of_squares(&residual);
            step = &residual + &(&step * &ratio(&now, &left));
            left = now;
        }
        let expected =
            format!("a larger penalty: {MAX_STEPS} steps of conjugate gradients are not enough for this one");
        Err(Error::invalid("penalty", penalty, expected))
    }

    /// `Xᵀ a` of the centred rows.
    fn weights(&self, a: &Array2<f64>) -> Array2<f64> {
        let mut weights = self.transposed.times(a); // [n_columns, n_targets]
        let shifts: Vec<f64> = a.columns().into_iter().map(|a| -a.sum()).collect();
        // Row by row, as they lie in memory; most columns do not occur in the training rows.
        for (mut weights, mean) in weights.rows_mut().into_iter().zip(self.mean.column(0)) {
            if *mean != 0.0 {
                weights.iter_mut().zip(&shifts).for_each(|(weight, shift)| *weight += shift * mean);
            }
        }
        weights
    }

    /// `(X Xᵀ + λ) a` of the centred rows; centring is applied outside the product, which stays sparse.
    fn apply(&self, a: &Array2<f64>, penalty: f64) -> Array2<f64> {
        let weights = self.weights(a); // [n_columns, n_targets]
        let shift = self.mean.t().dot(&weights); // [1, n_targets]
        self.x.times(&weights) - shift + a * penalty
    }
}

fn sums_of_squares(columns: &Array2<f64>) -> Array1<f64> {
    columns.mapv(|v| v * v).sum_axis(Axis(0))
}

/// The quotient of each target; 0 for a target that is already solved exactly.
fn ratio(above: &Array1<f64>, below: &Array1<f64>) -> Array1<f64> {
    Array1::from_shape_fn(above.len(), |t| if below[t] > 0.0 { above[t] / below[t] } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::fixture::noise;
    use crate::probes::{Decomposition, PenaltyGrid};

    fn sparse(dense: &Array2<f64>) -> SparseRows {
        let of_row = |row: ndarray::ArrayView1<f64>| (0..).zip(row.iter().map(|v| *v as f32)).collect();
        let rows: Vec<Vec<(u32, f32)>> = dense.rows().into_iter().map(of_row).collect();
        SparseRows::of(&rows, dense.ncols())
    }

    #[test]
    fn it_equals_the_dense_ridge_at_the_same_penalty() {
        for (n, d) in [(60, 8), (20, 50)] {
            let x = noise([n, d], 1).mapv(|v| if v > 0.2 { f64::from(v as f32) } else { 0.0 });
            let y = x.dot(&noise([d, 2], 2)) * 30.0 + noise([n, 2], 3) + 9.0;
            let found = System::of(sparse(&x), &y).solve(0.5, 1e-12).unwrap();
            let dense = Decomposition::of(x.clone()).unwrap();
            let dense = dense.solve(&y, &PenaltyGrid::Fixed(vec![0.5])).unwrap().probe;
            for (f, e) in found.weights.t().iter().zip(&dense.weights) {
                assert!((f - e).abs() < 1e-9, "{f} {e}");
            }
            assert!((&found.bias - &dense.bias).iter().all(|e| e.abs() < 1e-9));
        }
    }

    #[test]
    fn more_noise_gives_a_higher_penalty() {
        let x = noise([200, 20], 1);
        let y = x.dot(&noise([20, 1], 2));
        let fit = |y: &Array2<f64>| SparseRidge::default().fit(&sparse(&x), y).unwrap().penalty;
        assert!(fit(&y) < 0.1 && fit(&noise([200, 1], 4)) > 3.0);
    }

    #[test]
    fn a_constant_target_is_fitted_by_the_bias() {
        let y = Array2::from_elem((30, 1), 4.0);
        let x = sparse(&noise([30, 3], 1));
        let probe = SparseRidge::default().fit(&x, &y).unwrap();
        assert!(probe.predict(&x).iter().all(|r| (r - 4.0).abs() < 1e-12));
    }

    #[test]
    fn bad_settings_are_refused() {
        let x = sparse(&noise([30, 3], 1));
        let y = noise([30, 1], 2);
        for penalties in [vec![], vec![0.0], vec![f64::NAN]] {
            assert!(SparseRidge { penalties, seed: 0 }.fit(&x, &y).is_err());
        }
        let error = SparseRidge::default().fit(&x, &noise([29, 1], 2)).unwrap_err().to_string();
        assert!(error.contains("30 rows and 29 targets"), "{error}");
    }
}
