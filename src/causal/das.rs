//! Distributed alignment search: the subspace whose interchange makes the model give the source's answer, found by
//! gradient.
//!
//! With orthonormal rows `Q`, an exchange adds `QᵀQ d` to the base, `d` being the difference of source and base. With `g`
//! the gradient of the loss at the changed stream, the gradient for the subspace is `Σ (Q d) gᵀ + (Q g) dᵀ` less its
//! part within the subspace, since a rotation within it changes nothing. Adam takes a step against it, and the rows are
//! made orthonormal again.
//!
//! Source: Geiger et al. 2024, "Finding alignments between interpretable causal variables and distributed neural
//! representations".

use super::interchange::{Interchange, tensor_of};
use super::pair_batch::{LayerChange, PairBatch};
use super::streams::{array_of, values};
use super::subspace::Subspace;
use crate::error::{Error, Result};
use candle_core::Var;
use ndarray::{Array2, ArrayView2, Zip};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.98;
const EPS: f64 = 1e-12;

/// The settings of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DasSettings {
    /// The number of dimensions.
    pub rank: usize,
    /// The passes over the training pairs.
    pub epochs: usize,
    /// The first step of Adam, in multiples of `1/√d_model`, the size of a random unit vector's values; it falls to 0
    /// by half a cosine.
    pub rate: f64,
    /// Batches of 16 pairs in a step.
    pub batches: usize,
    /// The seed of the first subspace and of the order of the batches.
    pub seed: u64,
}

impl Default for DasSettings {
    fn default() -> DasSettings {
        DasSettings { rank: 1, epochs: 5, rate: 0.5, batches: 2, seed: 0 }
    }
}

/// A subspace that was found by gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct Das {
    /// The subspace.
    pub subspace: Subspace,
    /// Mean cross-entropy of the last epoch, in nats.
    pub loss: f64,
    /// The share of training pairs with the wanted answer in the last epoch, each counted before its step.
    pub accuracy: f64,
}

/// The sums of one batch.
struct Gradient {
    /// `[rank, d_model]`.
    of_basis: Array2<f64>,
    loss: f64,
    n_right: usize,
    n: usize,
}

/// The running means of the gradient and of its square.
struct Moments {
    first: Array2<f64>,
    second: Array2<f64>,
    step: i32,
}

impl Das {
    /// Searches for the subspace whose exchange after a block gives the wanted answer of each source text; `report`
    /// receives the steps done and their number, and may stop the search by an error.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a rank above the width; those of `report` and of [`crate::model::Transformer::forward`].
    pub fn find(
        pairs: &Interchange,
        layer: usize,
        search: Search,
        report: &mut dyn FnMut(usize, usize) -> Result<()>,
    ) -> Result<Das> {
        let Search { settings, wanted } = search;
        let mut subspace = Subspace::random(settings.rank, pairs.model.spec.d_model, settings.seed)?;
        let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
        let mut order: Vec<usize> = (0..pairs.batches.len()).collect();
        let of_epoch = order.len().div_ceil(settings.batches.max(1));
        let n_steps = of_epoch * settings.epochs;
        let zeros = Array2::zeros(subspace.basis().dim());
        let mut moments = Moments { first: zeros.clone(), second: zeros, step: 0 };
        let mut last = (0.0, 0, 0);
        for _ in 0..settings.epochs {
            order.shuffle(&mut rng);
            last = (0.0, 0, 0);
            for some in order.chunks(settings.batches.max(1)) {
                let of_batch = |batch: &usize| {
                    gradient(pairs, &pairs.batches[*batch], &subspace, Wanted { layer, wanted })
                };
                let all = some.par_iter().map(of_batch).collect::<Result<Vec<Gradient>>>()?;
                let mut sum = Array2::zeros(subspace.basis().dim());
                let n: usize = all.iter().map(|one| one.n).sum();
                for one in &all {
                    sum += &(&one.of_basis / n as f64);
                    last = (last.0 + one.loss, last.1 + one.n_right, last.2 + one.n);
                }
                let done = f64::from(moments.step) / n_steps as f64;
                let rate = settings.rate * 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
                subspace = moments.step(&subspace, sum, rate)?;
                report(moments.step as usize, n_steps)?;
            }
        }
        let n = last.2.max(1) as f64;
        Ok(Das { subspace, loss: last.0 / n, accuracy: last.1 as f64 / n })
    }
}

/// The goal of a search.
#[derive(Clone, Copy)]
pub struct Search<'a> {
    /// The settings.
    pub settings: DasSettings,
    /// The wanted answer for each text as a source: its true answer, or an arbitrary one as a control.
    pub wanted: &'a [usize],
}

/// The block, and the wanted answers.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    layer: usize,
    wanted: &'a [usize],
}

/// The gradient of the summed cross-entropy of a batch for the basis of the subspace.
fn gradient(pairs: &Interchange, batch: &PairBatch, subspace: &Subspace, goal: Wanted) -> Result<Gradient> {
    let layer = goal.layer;
    let differences = pairs.differences(layer, batch)?;
    let delta = Var::from_tensor(&tensor_of(&subspace.project(&differences), &pairs.model.device())?)?;
    let change = LayerChange { layer, delta: delta.as_tensor() };
    let logits = batch.logits(pairs.model, &pairs.question.answers, change)?;
    let mut slopes = array_of(values(&logits)?, pairs.question.answers.len())?;
    let (mut loss, mut n_right) = (0.0, 0);
    for (pair, mut row) in batch.pairs.iter().zip(slopes.rows_mut()) {
        let wanted = goal.wanted[pair.source];
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        n_right += usize::from(row[wanted] == most);
        let total: f32 = row.iter().map(|logit| (logit - most).exp()).sum();
        loss += f64::from(total.ln() - (row[wanted] - most));
        row.mapv_inplace(|logit| (logit - most).exp() / total);
        row[wanted] -= 1.0;
    }
    // The derivative of the loss at the logits is known, so that only the model has to be differentiated.
    let slopes = tensor_of(&slopes, logits.device())?;
    let grads = (logits * slopes)?.sum_all()?.backward()?;
    let of_stream = grads.get(delta.as_tensor()).ok_or_else(|| Error::Internal("no gradient".into()))?;
    let of_stream = array_of(values(of_stream)?, pairs.model.spec.d_model)?.mapv(f64::from);
    let of_basis = of_subspace(subspace.basis(), &differences.mapv(f64::from), &of_stream);
    Ok(Gradient { of_basis, loss, n_right, n: batch.pairs.len() })
}

/// The gradient for the basis, from differences `d` and gradients `g` at the changed stream.
fn of_subspace(basis: ArrayView2<f64>, d: &Array2<f64>, g: &Array2<f64>) -> Array2<f64> {
    let (along_d, along_g) = (d.dot(&basis.t()), g.dot(&basis.t())); // [n_pairs, rank]
    let whole = along_d.t().dot(g) + along_g.t().dot(d); // [rank, d_model]
    &whole - &whole.dot(&basis.t()).dot(&basis)
}

impl Moments {
    /// One step of Adam, after which the rows are made orthonormal again.
    fn step(&mut self, from: &Subspace, gradient: Array2<f64>, rate: f64) -> Result<Subspace> {
        self.step += 1;
        let mut basis = from.basis().to_owned();
        let rate = rate / (basis.ncols() as f64).sqrt();
        let (fix1, fix2) = (1.0 - BETA1.powi(self.step), 1.0 - BETA2.powi(self.step));
        let moments = Zip::from(&mut basis).and(&mut self.first).and(&mut self.second).and(&gradient);
        moments.for_each(|x, m, v, g| {
            *m = BETA1 * *m + (1.0 - BETA1) * g;
            *v = BETA2 * *v + (1.0 - BETA2) * g * g;
            *x -= rate * (*m / fix1) / ((*v / fix2).sqrt() + EPS);
        });
        Subspace::spanned_by(basis.view())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_for_the_basis_equals_difference_quotients() {
        let wave = |rows: usize, pace: f64| {
            Array2::from_shape_fn((rows, 7), |(i, j)| (pace * (i * 7 + j) as f64 + 0.3).sin())
        };
        let (d, g) = (wave(4, 0.9), wave(4, 1.7));
        // A loss whose gradient at the changed stream is g.
        let loss = |basis: ArrayView2<f64>| {
            let subspace = Subspace::spanned_by(basis).unwrap();
            (d.dot(&subspace.basis().t()).dot(&subspace.basis()) * &g).sum()
        };
        let basis = Subspace::random(2, 7, 5).unwrap().basis().to_owned();
        let found = of_subspace(basis.view(), &d, &g);
        for i in 0..2 {
            for j in 0..7 {
                let moved = |by: f64| {
                    let mut basis = basis.clone();
                    basis[[i, j]] += by;
                    loss(basis.view())
                };
                let quotient = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                assert!((found[[i, j]] - quotient).abs() < 1e-7, "{i} {j}: {} {quotient}", found[[i, j]]);
            }
        }
    }
}
