//! The loss of a batch and its hand-written gradient: one dense product for all pre-activations; everything else is
//! computed for the active latents only.
//!
//! With `r = x̂ − x` the loss is `Σ r² / (n d)`. The dead latents with the highest pre-activations reconstruct the
//! residual `e = x − x̂`, through which no gradient flows: `weight · Σ (ê − e)² / (n d)`.

use super::parameters::Parameters;
use super::topk::{LatentValue, top_k};
use crate::model::simd::{add_scaled, dot, squares};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Rows of one product: few enough that their pre-activations stay in the CPU cache until the greatest are found.
const BLOCK: usize = 64;
/// The number of latents in one parallel task of the gradient.
const LATENTS: usize = 16;

/// The settings of the loss.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loss<'a> {
    /// Maximum number of active latents per row.
    pub k: usize,
    /// The dead latents, in order.
    pub dead: &'a [u32],
    /// Maximum number of dead latents that reconstruct a row's residual.
    pub k_aux: usize,
    /// The weight of the auxiliary loss.
    pub aux_weight: f32,
}

/// A batch's loss, its gradient, and the active latents.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub gradient: Parameters,
    /// `Σ r² / (n d)`.
    pub loss: f64,
    /// The auxiliary loss, its weight included.
    pub aux: f64,
    /// The number of rows on which each latent was active, without the auxiliary loss.
    pub n_active: Vec<u32>,
}

/// A latent's activation on a row, and the derivative of the loss with respect to it.
///
/// `target` is the index, in the list of slopes, of the reconstruction that the latent contributes to. For each row the
/// list has the slopes of `x̂`; if there are dead latents, those of `ê` follow.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    latent: u32,
    target: u32,
    value: f32,
    slope: f32,
}

/// The active latents and the losses of a block of rows.
struct Rows {
    entries: Vec<Entry>,
    loss: f64,
    aux: f64,
}

impl Loss<'_> {
    /// The loss of rows and its gradient, the same for any number of threads.
    ///
    /// # Shapes
    /// `x` is `[n, d_in]`.
    pub(super) fn gradient(&self, params: &Parameters, x: &[f32]) -> Outcome {
        let d = params.d_in;
        let mut centred = x.to_vec(); // [n, d_in]
        let less = |row: &mut [f32]| row.iter_mut().zip(&params.b_dec).for_each(|(x, b)| *x -= b);
        centred.par_chunks_exact_mut(d).with_min_len(BLOCK).for_each(less);
        let kinds = if self.dead.is_empty() { 1 } else { 2 };
        let n = x.len() / d;
        let mut slopes = vec![0f32; n * kinds * d]; // [n, kinds, d_in]
        let arch = Arch::new();
        let blocks = centred.par_chunks(BLOCK * d).zip(slopes.par_chunks_mut(BLOCK * kinds * d)).enumerate();
        let rows: Vec<Rows> = blocks
            .map(|(block, (x, slopes))| {
                let first = block * BLOCK * kinds;
                arch.dispatch(Pass { loss: self, params, n, x, slopes, first })
            })
            .collect();
        let (sum, divisor) = (|of: fn(&Rows) -> f64| rows.iter().map(of).sum::<f64>(), (n * d) as f64);
        let (loss, aux) =
            (sum(|rows| rows.loss) / divisor, sum(|rows| rows.aux) / divisor * f64::from(self.aux_weight));
        let (entries, starts) = by_latent(&rows, params.d_sae);
        let of = |latent: usize| &entries[starts[latent]..starts[latent + 1]];
        let is_main = |entry: &&Entry| (entry.target as usize).is_multiple_of(kinds);
        let n_active =
            (0..params.d_sae).map(|latent| of(latent).iter().filter(is_main).count() as u32).collect();
        let mut gradient = Parameters::zeros(d, params.d_sae);
        let Parameters { w_enc, b_enc, w_dec, .. } = &mut gradient;
        let latents = w_enc.par_chunks_mut(LATENTS * d).zip(w_dec.par_chunks_mut(LATENTS * d));
        latents.zip(b_enc.par_chunks_mut(LATENTS)).enumerate().for_each(|(task, ((w_enc, w_dec), b_enc))| {
            let entries = (0..b_enc.len()).map(|i| of(task * LATENTS + i)).collect();
            arch.dispatch(LatentGradients {
                entries,
                kinds,
                x: &centred,
                slopes: &slopes,
                w_enc,
                b_enc,
                w_dec,
            });
        });
        gradient.b_dec = of_b_dec(params, &gradient.b_enc, slopes.chunks_exact(d).step_by(kinds));
        Outcome { gradient, loss, aux, n_active }
    }
}

/// The entries of all rows sorted by latent, then by row, and the index at which each latent's entries begin.
fn by_latent(rows: &[Rows], d_sae: usize) -> (Vec<Entry>, Vec<usize>) {
    let all = || rows.iter().flat_map(|rows| &rows.entries);
    let mut starts = vec![0; d_sae + 1];
    all().for_each(|entry| starts[entry.latent as usize + 1] += 1);
    (0..d_sae).for_each(|latent| starts[latent + 1] += starts[latent]);
    let (mut next, mut sorted) = (starts.clone(), vec![Entry::default(); starts[d_sae]]);
    for entry in all() {
        let at = &mut next[entry.latent as usize];
        sorted[*at] = *entry;
        *at += 1;
    }
    (sorted, starts)
}

/// The gradient of `b_dec`, which is added to every reconstruction and subtracted before every encoding.
fn of_b_dec<'a>(params: &Parameters, of_b_enc: &[f32], slopes: impl Iterator<Item = &'a [f32]>) -> Vec<f32> {
    let mut sums = vec![0f32; params.d_in];
    slopes.for_each(|row| add_scaled(&mut sums, 1.0, row));
    for (reads, slope) in params.w_enc.chunks_exact(params.d_in).zip(of_b_enc).filter(|(_, s)| **s != 0.0) {
        add_scaled(&mut sums, -slope, reads);
    }
    sums
}

/// The forward pass of a block of rows, and the derivatives of the loss with respect to their active latents.
struct Pass<'a> {
    loss: &'a Loss<'a>,
    params: &'a Parameters,
    /// The number of rows of the whole batch.
    n: usize,
    /// The rows minus `b_dec`, `[rows, d_in]`.
    x: &'a [f32],
    /// `[rows, kinds, d_in]`.
    slopes: &'a mut [f32],
    /// The index of the first row's first slopes.
    first: usize,
}

impl WithSimd for Pass<'_> {
    type Output = Rows;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Rows {
        let Pass { loss, params, x, slopes, .. } = self;
        let Parameters { d_in: d, d_sae, .. } = *params;
        let (rows, kinds) = (x.len() / d, slopes.len() / x.len());
        let mut readings = vec![0f32; rows * d_sae];
        let into = MatMut::from_row_major_slice_mut(&mut readings, rows, d_sae);
        let weights = MatRef::from_row_major_slice(&params.w_enc, d_sae, d).transpose();
        // [rows, d_in] · [d_in, d_sae]
        matmul(into, Accum::Replace, MatRef::from_row_major_slice(x, rows, d), weights, 1.0, Par::Seq);
        let mut found = Rows { entries: Vec::with_capacity(rows * loss.k), loss: 0.0, aux: 0.0 };
        let (mut best, mut of_dead) = (Vec::new(), Vec::new());
        let scale = 2.0 / (self.n * d) as f32;
        let each =
            x.chunks_exact(d).zip(slopes.chunks_exact_mut(kinds * d)).zip(readings.chunks_exact_mut(d_sae));
        for (row, ((x, slopes), readings)) in each.enumerate() {
            add_scaled(readings, 1.0, &params.b_enc);
            top_k(readings, loss.k, &mut best);
            let (main, aux) = slopes.split_at_mut(d);
            main.iter_mut().zip(x).for_each(|(r, x)| *r = -x);
            write(params, &best, main);
            found.loss += f64::from(squares(main, 0.0));
            let target = (self.first + row * kinds) as u32;
            if !aux.is_empty() {
                // ê − e is the reconstruction of the dead latents plus r.
                aux.copy_from_slice(main);
                of_dead.clear();
                of_dead.extend(loss.dead.iter().map(|latent| readings[*latent as usize]));
                let mut dead = Vec::new();
                top_k(&of_dead, loss.k_aux, &mut dead);
                dead.iter_mut().for_each(|(latent, _)| *latent = loss.dead[*latent as usize]);
                write(params, &dead, aux);
                found.aux += f64::from(squares(aux, 0.0));
                let aux_scale = scale * loss.aux_weight;
                aux.iter_mut().for_each(|r| *r *= aux_scale);
                enter(
                    params,
                    Reconstruction { latents: &dead, target: target + 1, slopes: aux },
                    &mut found.entries,
                );
            }
            main.iter_mut().for_each(|r| *r *= scale);
            enter(params, Reconstruction { latents: &best, target, slopes: main }, &mut found.entries);
        }
        found
    }
}

/// Adds the directions of active latents, times their activations.
#[inline(always)]
fn write(params: &Parameters, latents: &[LatentValue], to: &mut [f32]) {
    latents.iter().for_each(|(latent, value)| add_scaled(to, *value, params.direction(*latent as usize)));
}

/// The latents that reconstruct a row, and the derivatives of the loss with respect to that reconstruction.
struct Reconstruction<'a> {
    latents: &'a [LatentValue],
    target: u32,
    slopes: &'a [f32],
}

/// Appends an entry for each latent of a reconstruction.
#[inline(always)]
fn enter(params: &Parameters, of: Reconstruction, entries: &mut Vec<Entry>) {
    for &(latent, value) in of.latents {
        let slope = dot(of.slopes, params.direction(latent as usize));
        entries.push(Entry { latent, target: of.target, value, slope });
    }
}

/// The gradients of a range of latents' weights.
struct LatentGradients<'a> {
    /// The entries of each latent.
    entries: Vec<&'a [Entry]>,
    kinds: usize,
    x: &'a [f32],
    slopes: &'a [f32],
    w_enc: &'a mut [f32],
    b_enc: &'a mut [f32],
    w_dec: &'a mut [f32],
}

impl WithSimd for LatentGradients<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let d = self.w_enc.len() / self.b_enc.len();
        let latents = self.w_enc.chunks_exact_mut(d).zip(self.w_dec.chunks_exact_mut(d)).zip(self.b_enc);
        for (((w_enc, w_dec), b_enc), entries) in latents.zip(self.entries) {
            for Entry { target, value, slope, .. } in entries {
                let (row, target) = (*target as usize / self.kinds, *target as usize);
                add_scaled(w_enc, *slope, &self.x[row * d..(row + 1) * d]);
                add_scaled(w_dec, *value, &self.slopes[target * d..(target + 1) * d]);
                *b_enc += slope;
            }
        }
    }
}

#[cfg(test)]
#[path = "gradient_tests.rs"]
mod tests;
