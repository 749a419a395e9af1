//! Logistic regression for two or more classes.

use super::classifier::{ClassificationTask, Classifier};
use super::scale::Scale;
use crate::error::{Error, Result};
use crate::probes::classes::ClassPredictions;
use crate::probes::lbfgs::{Convex, Stop, minimise};
use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::cholesky::llt::solve::solve_in_place;
use faer::{Mat, Par};
use ndarray::{Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

/// The penalty on half of the squared weights of standardised columns, as scikit-learn's default `C = 1`.
const PENALTY: f64 = 1.0;
/// The largest entry of the gradient per training row at which the fit stops; scikit-learn stops at 1e-4.
const TOLERANCE: f64 = 1e-6;
/// Maximum number of steps of the fit.
const MAX_STEPS: usize = 300;
/// The number of blocks of rows that are computed in parallel. It does not depend on the number of threads: sums are
/// always taken in the same order.
const N_BLOCKS: usize = 16;
/// The number of columns for each set of weights up to which a step is worth a factorisation of all columns' products.
const COLUMNS_PER_CLASS: usize = 64;

/// Logistic regression on standardised columns, with a penalty on the squared weights.
///
/// Two classes share one set of weights; with more classes, each has its own weights (multinomial). The score of a class
/// is its log-probability, up to a number that all classes of a row share.
#[derive(Debug)]
pub(super) struct Logistic;

impl Classifier for Logistic {
    fn name(&self) -> &'static str {
        "logistic"
    }

    fn about(&self) -> &'static str {
        "logistic regression"
    }

    fn classify(&self, task: &ClassificationTask) -> Result<ClassPredictions> {
        let ClassificationTask { activations, train, classes, n_classes, test } = task;
        let scale = Scale::of(*activations, train);
        // The classes that occur, in ascending order; with two, the weights are those of the second.
        let mut occurring = classes.to_vec();
        occurring.sort_unstable();
        occurring.dedup();
        let number = |class: &usize| occurring.binary_search(class).unwrap_or_default();
        let logits = {
            let fit = Fit::of(scale.apply(*activations, train), classes.iter().map(number).collect())?;
            let stop = Stop { gradient: TOLERANCE * train.len() as f64, max_steps: MAX_STEPS };
            let start = Array2::zeros((scale.mean.len() + 1, fit.n_sets));
            let weights = minimise(&fit, start, stop);
            logits(scale.apply(*activations, test).view(), weights.view())
        };
        let mut scores = Array2::from_elem((test.len(), *n_classes), f64::NEG_INFINITY);
        for (number, &class) in occurring.iter().enumerate() {
            let mut of_class = scores.column_mut(class);
            match (logits.ncols(), number) {
                (1, 0) => of_class.fill(0.0),
                (1, _) => of_class.assign(&logits.column(0)),
                _ => of_class.assign(&logits.column(number)),
            }
        }
        Ok(ClassPredictions::of_scores(scores))
    }
}

/// The penalised negative log-likelihood of the training rows' classes.
struct Fit {
    /// The standardised rows, `[n, d]`.
    rows: Array2<f64>,
    /// The class of each row, from 0.
    classes: Vec<usize>,
    /// The number of sets of weights: 1 for two classes, otherwise one for each class.
    n_sets: usize,
    /// The Cholesky factor of an approximate Hessian matrix of one set of weights, without the intercept.
    factor: Option<Mat<f64>>,
    /// The mean curvature of a row: the mean variance of a class.
    curvature: f64,
}

impl Fit {
    fn of(rows: Array2<f64>, classes: Vec<usize>) -> Result<Fit> {
        let n_classes = classes.iter().max().map_or(0, |last| last + 1);
        let n_sets = if n_classes == 2 { 1 } else { n_classes };
        let mut sizes = vec![0.0; n_classes];
        classes.iter().for_each(|&class| sizes[class] += 1.0 / classes.len() as f64);
        let curvature = sizes.iter().map(|share| share * (1.0 - share)).sum::<f64>() / n_classes as f64;
        let mut fit = Fit { rows, classes, n_sets, factor: None, curvature };
        if fit.rows.ncols() <= COLUMNS_PER_CLASS * n_sets {
            fit.factor = Some(fit.factorised()?);
        }
        Ok(fit)
    }

    /// The factor of the products of columns times the mean curvature, plus the penalty.
    fn factorised(&self) -> Result<Mat<f64>> {
        let gram: Array2<f64> = self
            .blocks()
            .into_par_iter()
            .map(|block| {
                let rows = self.rows.slice(s![block, ..]);
                rows.t().dot(&rows)
            })
            .collect::<Vec<_>>()
            .into_iter()
            .fold(Array2::zeros((self.rows.ncols(), self.rows.ncols())), |sum, gram| sum + gram);
        let d = gram.ncols();
        let entry = |i: usize, j: usize| self.curvature * gram[[i, j]] + if i == j { PENALTY } else { 0.0 };
        let mut factor = Mat::from_fn(d, d, entry);
        let scratch = cholesky_in_place_scratch::<f64>(d, Par::Seq, Default::default());
        let mut memory = MemBuffer::new(scratch);
        let stack = MemStack::new(&mut memory);
        cholesky_in_place(factor.as_mut(), Default::default(), Par::Seq, stack, Default::default())
            .map_err(|e| Error::Internal(format!("logistic regression: {e:?}")))?;
        Ok(factor)
    }

    /// The row ranges of the blocks.
    fn blocks(&self) -> Vec<std::ops::Range<usize>> {
        let (n, size) = (self.rows.nrows(), self.rows.nrows().div_ceil(N_BLOCKS).max(1));
        (0..n).step_by(size).map(|start| start..(start + size).min(n)).collect()
    }

    /// The loss of a block, and its gradient, `[d + 1, n_sets]`.
    fn of_block(&self, block: std::ops::Range<usize>, weights: ArrayView2<f64>) -> (f64, Array2<f64>) {
        let (rows, classes) = (self.rows.slice(s![block.clone(), ..]), &self.classes[block]);
        let mut residuals = logits(rows, weights);
        let mut loss = 0.0;
        for (mut row, &class) in residuals.rows_mut().into_iter().zip(classes) {
            loss += if self.n_sets == 1 {
                let logit = row[0];
                let is_second = f64::from(u8::from(class == 1));
                row[0] = 1.0 / (1.0 + (-logit).exp()) - is_second;
                logit.max(0.0) + (-logit.abs()).exp().ln_1p() - is_second * logit
            } else {
                let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let own = row[class] - largest;
                row.mapv_inplace(|logit| (logit - largest).exp());
                let sum = row.sum();
                row /= sum;
                row[class] -= 1.0;
                sum.ln() - own
            };
        }
        let mut gradient = Array2::zeros(weights.dim());
        let last = gradient.nrows() - 1;
        gradient.slice_mut(s![..last, ..]).assign(&rows.t().dot(&residuals));
        gradient.row_mut(last).assign(&residuals.sum_axis(Axis(0)));
        (loss, gradient)
    }
}

/// The logits of rows, `[n, n_sets]`.
fn logits(rows: ArrayView2<f64>, weights: ArrayView2<f64>) -> Array2<f64> {
    let last = weights.nrows() - 1;
    rows.dot(&weights.slice(s![..last, ..])) + weights.row(last)
}

impl Convex for Fit {
    /// The weights are `[d + 1, n_sets]`; the last row has the intercepts.
    fn value_and_gradient(&self, at: &Array2<f64>) -> (f64, Array2<f64>) {
        let of_blocks: Vec<(f64, Array2<f64>)> =
            self.blocks().into_par_iter().map(|block| self.of_block(block, at.view())).collect();
        let mut gradient = at * PENALTY;
        let last = gradient.nrows() - 1;
        gradient.row_mut(last).fill(0.0);
        let of_weights = at.slice(s![..last, ..]);
        let mut loss = PENALTY / 2.0 * of_weights.iter().map(|w| w * w).sum::<f64>();
        for (of_block, slopes) in of_blocks {
            loss += of_block;
            gradient += &slopes;
        }
        (loss, gradient)
    }

    fn precondition(&self, gradient: Array2<f64>) -> Array2<f64> {
        let Some(factor) = &self.factor else { return gradient };
        let (d, n) = (gradient.nrows() - 1, self.rows.nrows() as f64);
        let mut solved = Mat::from_fn(d, self.n_sets, |i, set| gradient[[i, set]]);
        let mut memory = MemBuffer::new(StackReq::EMPTY);
        solve_in_place(factor.as_ref(), solved.as_mut(), Par::Seq, MemStack::new(&mut memory));
        Array2::from_shape_fn(gradient.dim(), |(i, set)| match i < d {
            true => solved[(i, set)],
            false => gradient[[i, set]] / (n * self.curvature),
        })
    }
}
