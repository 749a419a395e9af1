//! Coordinate descent to the weights of an elastic net, with exact steps where it is slow.
//!
//! With `G = XᵀX / n` and `c = Xᵀy / n`, the best value of one weight with all others fixed is
//! `w_j = S(c_j − Σ_{k≠j} G_jk w_k, λ/2) / (G_jj + λ/2)`, where `S(z, t) = sign(z) max(|z| − t, 0)`. Sweeps over
//! the columns repeat this until the duality gap, which bounds the distance from the minimum, is small. A change of one
//! weight costs `O(d)`, for any number of rows.
//!
//! Strongly correlated columns, such as those of activations, need thousands of sweeps. But as long as no weight
//! changes its sign, the objective is quadratic, and its minimum solves `(G + λ/2 I) w = c − λ/2 sign(w)` on the
//! columns with weights other than 0. The exact step goes towards this solution, at most until the first weight becomes
//! 0.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::cholesky::llt::solve::solve_in_place;
use faer::{Mat, Par};
use ndarray::{Array1, Array2, ArrayView1};

/// The share of the penalty on absolute weights; the remaining share is on squared weights.
pub(super) const L1_RATIO: f64 = 0.5;
/// Maximum number of sweeps before an exact step, plus one per `COLUMNS_PER_SWEEP` used columns: a step costs about as
/// much.
const SWEEPS_BEFORE_STEP: usize = 5;
const COLUMNS_PER_SWEEP: usize = 40;

/// The stopping rule of a fit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopping {
    /// A fit has converged at this duality gap, as a share of the target's variance.
    pub(super) gap: f64,
    /// Maximum number of sweeps over the columns and exact steps; if a penalty needs more, no lower penalty is tried.
    pub(super) sweeps: usize,
}

/// The descent of one target; each fit starts from the weights at the previous penalty.
pub(super) struct Descent<'a> {
    gram: &'a Array2<f64>,
    cross: ArrayView1<'a, f64>,
    variance: f64,
    /// The current penalty.
    penalty: f64,
    /// The weights of standardised columns, `[d_model]`.
    weights: Array1<f64>,
    /// The means of products of the residual with each column, `[d_model]`.
    residual: Array1<f64>,
}

impl<'a> Descent<'a> {
    /// A descent from weights of 0; `gram` is `G`, `cross` is `c`, and `variance` is the target's variance.
    ///
    /// # Shapes
    /// `gram` is `[d_model, d_model]`, `cross` is `[d_model]`.
    pub(super) fn new(gram: &'a Array2<f64>, cross: ArrayView1<'a, f64>, variance: f64) -> Descent<'a> {
        let weights = Array1::zeros(cross.len());
        Descent { gram, cross, variance, penalty: f64::INFINITY, weights, residual: cross.to_owned() }
    }

    /// The weights of standardised columns.
    pub(super) fn weights(&self) -> &Array1<f64> {
        &self.weights
    }

    /// Continues to the fit at a penalty; returns false if it did not converge.
    pub(super) fn to(&mut self, penalty: f64, stopping: Stopping) -> bool {
        self.penalty = penalty;
        let enough = stopping.gap * self.variance;
        let all: Vec<usize> = (0..self.weights.len()).collect();
        let mut n_sweeps = 0;
        while n_sweeps < stopping.sweeps {
            self.sweep(&all);
            n_sweeps += 1;
            self.residual = &self.cross - &self.gram.dot(&self.weights); // Removes accumulated rounding.
            if self.gap() <= enough {
                return true;
            }
            let mut used = self.used(&all);
            let mut is_least = false;
            while !is_least && n_sweeps < stopping.sweeps {
                // First, a few sweeps set many weights to 0; otherwise each of them would end an exact step.
                let most = SWEEPS_BEFORE_STEP + used.len() / COLUMNS_PER_SWEEP;
                let mut fall = f64::INFINITY;
                for _ in 0..most.min(stopping.sweeps - n_sweeps) {
                    if fall > 0.01 * enough {
                        fall = self.sweep(&used);
                        n_sweeps += 1;
                    }
                }
                used = self.used(&used);
                is_least = self.exact_step(&used);
                n_sweeps += 1;
            }
        }
        false
    }

    /// The given columns with weights other than 0.
    fn used(&self, columns: &[usize]) -> Vec<usize> {
        columns.iter().copied().filter(|&j| self.weights[j] != 0.0).collect()
    }

    /// The penalties on absolute and on squared weights.
    fn penalties(&self) -> (f64, f64) {
        (self.penalty * L1_RATIO, self.penalty * (1.0 - L1_RATIO))
    }

    /// Sets the weight of each given column to its best value in turn; returns the decrease of the objective.
    fn sweep(&mut self, columns: &[usize]) -> f64 {
        let (l1, l2) = self.penalties();
        let mut fall = 0.0;
        for &j in columns {
            let (before, own) = (self.weights[j], self.gram[[j, j]]);
            let pull = self.residual[j] + own * before;
            let after = pull.signum() * (pull.abs() - l1).max(0.0) / (own + l2);
            if after != before {
                self.set(j, after);
                fall += (own + l2) * (after - before).powi(2) / 2.0;
            }
        }
        fall
    }

    fn set(&mut self, j: usize, weight: f64) {
        self.residual.scaled_add(self.weights[j] - weight, &self.gram.row(j));
        self.weights[j] = weight;
    }

    /// Moves the weights of the used columns towards the minimum for their present signs, until one becomes 0; returns
    /// true if the minimum was reached.
    fn exact_step(&mut self, used: &[usize]) -> bool {
        let Some(step) = self.step_to_minimum(used) else { return false };
        let mut share = 1.0;
        let mut first_zero = None;
        for (i, &j) in used.iter().enumerate() {
            let weight = self.weights[j];
            let until_zero = -weight / step[(i, 0)];
            if (weight + step[(i, 0)]) * weight <= 0.0 && until_zero < share {
                (share, first_zero) = (until_zero, Some(j));
            }
        }
        for (i, &j) in used.iter().enumerate() {
            let is_zero = first_zero == Some(j);
            self.set(j, if is_zero { 0.0 } else { self.weights[j] + share * step[(i, 0)] });
        }
        first_zero.is_none()
    }

    /// The step from the present weights to the minimum for their signs; `None` if rounding errors hide it.
    ///
    /// Sequential, so that results do not depend on the number of threads; folds and targets run in parallel.
    fn step_to_minimum(&self, used: &[usize]) -> Option<Mat<f64>> {
        let (n, (l1, l2)) = (used.len(), self.penalties());
        let curvature = |i: usize, j: usize| self.gram[[used[i], used[j]]] + if i == j { l2 } else { 0.0 };
        let slope = |j: usize| self.residual[j] - l2 * self.weights[j] - l1 * self.weights[j].signum();
        let (mut lower, mut step) =
            (Mat::from_fn(n, n, curvature), Mat::from_fn(n, 1, |i, _| slope(used[i])));
        let mut memory = MemBuffer::new(cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default()));
        let stack = MemStack::new(&mut memory);
        cholesky_in_place(lower.as_mut(), Default::default(), Par::Seq, stack, Default::default()).ok()?;
        solve_in_place(lower.as_ref(), step.as_mut(), Par::Seq, stack);
        (0..n).all(|i| step[(i, 0)].is_finite()).then_some(step)
    }

    /// The duality gap: an upper bound on the distance of the objective from its minimum.
    fn gap(&self) -> f64 {
        let (l1, l2) = self.penalties();
        let w = &self.weights;
        let explained = self.cross.dot(w);
        let squared_error = self.variance - explained - w.dot(&self.residual); // mean of squared errors
        let slopes = self.residual.iter().zip(w).map(|(residual, w)| (residual - l2 * w).abs());
        let steepest = slopes.fold(0.0, f64::max);
        let shrunk = if steepest > l1 { l1 / steepest } else { 1.0 };
        let sizes = w.iter().map(|w| w.abs()).sum::<f64>();
        let squares = 1.0 + shrunk * shrunk;
        squares * (squared_error + l2 * w.dot(w)) / 2.0 + l1 * sizes - shrunk * (self.variance - explained)
    }
}
