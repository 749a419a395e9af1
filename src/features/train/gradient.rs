//! The loss of a batch and its gradient by hand: one dense product reads all units, the rest is paid for by active ones.
//!
//! With `r = x̂ − x` the loss is `Σ r² / (n d)`. The dead units that read a row highest explain what is left of it,
//! `e = x − x̂`, which counts as given: `weight · Σ (ê − e)² / (n d)`.

use super::parameters::Parameters;
use super::topk::{Read, top_k};
use crate::model::simd::{add_scaled, dot, squares};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Rows of one product: their readings stay in a cache until the greatest are found.
const BLOCK: usize = 64;
/// Units whose gradients are one task.
const UNITS: usize = 16;

/// What decides the loss beside the parameters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loss<'a> {
    /// Active units of a row, at most.
    pub k: usize,
    /// The dead units, in order.
    pub dead: &'a [u32],
    /// How many of them explain what is left of a row, at most.
    pub k_aux: usize,
    /// How much that counts.
    pub aux_weight: f32,
}

/// A batch's loss, its gradient, and what was active.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub gradient: Parameters,
    /// `Σ r² / (n d)`.
    pub loss: f64,
    /// The auxiliary loss, its weight included.
    pub aux: f64,
    /// On how many rows each unit was active, the auxiliary loss apart.
    pub n_active: Vec<u32>,
}

/// A unit's activation on a row, and the slope of the loss along it. `wrote` numbers the slopes of what it wrote to:
/// of each row those of `x̂`, then, where there are dead units, those of `ê`.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    unit: u32,
    wrote: u32,
    value: f32,
    slope: f32,
}

/// What some rows give.
struct Rows {
    entries: Vec<Entry>,
    loss: f64,
    aux: f64,
}

impl Loss<'_> {
    /// The loss of rows and its gradient, the same whatever the number of threads.
    ///
    /// # Shapes
    /// `x` is `[n, d_in]`.
    pub fn gradient(&self, params: &Parameters, x: &[f32]) -> Outcome {
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
        let (entries, starts) = by_unit(&rows, params.d_sae);
        let of = |unit: usize| &entries[starts[unit]..starts[unit + 1]];
        let is_main = |entry: &&Entry| (entry.wrote as usize).is_multiple_of(kinds);
        let n_active = (0..params.d_sae).map(|unit| of(unit).iter().filter(is_main).count() as u32).collect();
        let mut gradient = Parameters::zeros(d, params.d_sae);
        let Parameters { w_enc, b_enc, w_dec, .. } = &mut gradient;
        let units = w_enc.par_chunks_mut(UNITS * d).zip(w_dec.par_chunks_mut(UNITS * d));
        units.zip(b_enc.par_chunks_mut(UNITS)).enumerate().for_each(|(task, ((w_enc, w_dec), b_enc))| {
            let entries = (0..b_enc.len()).map(|i| of(task * UNITS + i)).collect();
            arch.dispatch(Units { entries, kinds, x: &centred, slopes: &slopes, w_enc, b_enc, w_dec });
        });
        gradient.b_dec = of_b_dec(params, &gradient.b_enc, slopes.chunks_exact(d).step_by(kinds));
        Outcome { gradient, loss, aux, n_active }
    }
}

/// The entries of all rows unit by unit, of each unit in the order of the rows, and where each unit's begin.
fn by_unit(rows: &[Rows], d_sae: usize) -> (Vec<Entry>, Vec<usize>) {
    let all = || rows.iter().flat_map(|rows| &rows.entries);
    let mut starts = vec![0; d_sae + 1];
    all().for_each(|entry| starts[entry.unit as usize + 1] += 1);
    (0..d_sae).for_each(|unit| starts[unit + 1] += starts[unit]);
    let (mut next, mut sorted) = (starts.clone(), vec![Entry::default(); starts[d_sae]]);
    for entry in all() {
        let at = &mut next[entry.unit as usize];
        sorted[*at] = *entry;
        *at += 1;
    }
    (sorted, starts)
}

/// The gradient of `b_dec`, which is added to what is written, and taken off what every unit reads.
fn of_b_dec<'a>(params: &Parameters, of_b_enc: &[f32], slopes: impl Iterator<Item = &'a [f32]>) -> Vec<f32> {
    let mut sums = vec![0f32; params.d_in];
    slopes.for_each(|row| add_scaled(&mut sums, 1.0, row));
    for (reads, slope) in params.w_enc.chunks_exact(params.d_in).zip(of_b_enc).filter(|(_, s)| **s != 0.0) {
        add_scaled(&mut sums, -slope, reads);
    }
    sums
}

/// Some rows, from what they are to what each of their units does to the loss.
struct Pass<'a> {
    loss: &'a Loss<'a>,
    params: &'a Parameters,
    /// The rows of the whole batch.
    n: usize,
    /// Less `b_dec`, `[rows, d_in]`.
    x: &'a [f32],
    /// `[rows, kinds, d_in]`.
    slopes: &'a mut [f32],
    /// The number of the first row's first slopes.
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
            let wrote = (self.first + row * kinds) as u32;
            if !aux.is_empty() {
                // ê − e is what the dead units write and r together.
                aux.copy_from_slice(main);
                of_dead.clear();
                of_dead.extend(loss.dead.iter().map(|unit| readings[*unit as usize]));
                let mut dead = Vec::new();
                top_k(&of_dead, loss.k_aux, &mut dead);
                dead.iter_mut().for_each(|(unit, _)| *unit = loss.dead[*unit as usize]);
                write(params, &dead, aux);
                found.aux += f64::from(squares(aux, 0.0));
                enter(params, (&dead, wrote + 1), (aux, scale * loss.aux_weight), &mut found.entries);
            }
            enter(params, (&best, wrote), (main, scale), &mut found.entries);
        }
        found
    }
}

/// Adds what units write.
#[inline(always)]
fn write(params: &Parameters, units: &[Read], to: &mut [f32]) {
    units.iter().for_each(|(unit, value)| add_scaled(to, *value, params.writes(*unit as usize)));
}

/// Turns what is left over into slopes, and notes each unit's own.
#[inline(always)]
fn enter(
    params: &Parameters,
    (units, wrote): (&[Read], u32),
    (left, scale): (&mut [f32], f32),
    entries: &mut Vec<Entry>,
) {
    left.iter_mut().for_each(|r| *r *= scale);
    for &(unit, value) in units {
        let slope = dot(left, params.writes(unit as usize));
        entries.push(Entry { unit, wrote, value, slope });
    }
}

/// The gradients of some units' weights.
struct Units<'a> {
    /// Each unit's.
    entries: Vec<&'a [Entry]>,
    kinds: usize,
    x: &'a [f32],
    slopes: &'a [f32],
    w_enc: &'a mut [f32],
    b_enc: &'a mut [f32],
    w_dec: &'a mut [f32],
}

impl WithSimd for Units<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let d = self.w_enc.len() / self.b_enc.len();
        let units = self.w_enc.chunks_exact_mut(d).zip(self.w_dec.chunks_exact_mut(d)).zip(self.b_enc);
        for (((w_enc, w_dec), b_enc), entries) in units.zip(self.entries) {
            for Entry { wrote, value, slope, .. } in entries {
                let (row, wrote) = (*wrote as usize / self.kinds, *wrote as usize);
                add_scaled(w_enc, *slope, &self.x[row * d..(row + 1) * d]);
                add_scaled(w_dec, *value, &self.slopes[wrote * d..(wrote + 1) * d]);
                *b_enc += slope;
            }
        }
    }
}

#[cfg(test)]
#[path = "gradient_tests.rs"]
mod tests;
