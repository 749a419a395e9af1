//! The rows of a matrix as they lie in memory, and their products with few rows of a stream.

use super::lanes::dot;
use super::quantised::{Blocks, MOST_ROWS};
use candle_core::{CpuStorage, Layout, Result, bail};
use half::slice::HalfFloatSliceExt;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// So few rows of `x` that the weights are read once and each of them is used at once: reading them from memory
/// is then all the time there is, and a kernel made for many rows would only copy them about.
pub(super) const FEW: usize = 4;

const _: () = assert!(FEW <= MOST_ROWS);

/// A matrix `[d_out, d_in]` row by row.
pub(super) struct Rows<'a> {
    pub numbers: Numbers<'a>,
    pub d_out: usize,
    pub d_in: usize,
}

/// A matrix's numbers as they lie in memory.
pub(super) enum Numbers<'a> {
    F32(&'a [f32]),
    F16(&'a [half::f16]),
    Bf16(&'a [half::bf16]),
    Blocks(&'a Blocks),
}

impl<'a> Rows<'a> {
    /// The rows of a tensor.
    pub fn of(storage: &'a CpuStorage, layout: &Layout) -> Result<Rows<'a>> {
        let Some((from, to)) = layout.contiguous_offsets() else { bail!("weights are not contiguous") };
        let (d_out, d_in) = layout.shape().dims2()?;
        let numbers = match storage {
            CpuStorage::F32(all) => Numbers::F32(&all[from..to]),
            CpuStorage::F16(all) => Numbers::F16(&all[from..to]),
            CpuStorage::BF16(all) => Numbers::Bf16(&all[from..to]),
            _ => bail!("weights are f32, f16 or bf16"),
        };
        Ok(Rows { numbers, d_out, d_in })
    }

    /// Some rows in f32: as they lie, or unpacked into `wide`.
    pub fn f32<'b>(&'b self, rows: Range<usize>, wide: &'b mut Vec<f32>) -> &'b [f32] {
        const AT_ONCE: usize = 1 << 14;
        let all = rows.start * self.d_in..rows.end * self.d_in;
        if let Numbers::F32(numbers) = self.numbers {
            return &numbers[all];
        }
        wide.resize(all.len(), 0.0);
        match self.numbers {
            Numbers::F32(_) => {}
            Numbers::F16(narrow) => (wide.par_chunks_mut(AT_ONCE).zip(narrow[all].par_chunks(AT_ONCE)))
                .for_each(|(wide, narrow)| narrow.convert_to_f32_slice(wide)),
            Numbers::Bf16(narrow) => (wide.par_chunks_mut(AT_ONCE).zip(narrow[all].par_chunks(AT_ONCE)))
                .for_each(|(wide, narrow)| narrow.convert_to_f32_slice(wide)),
            Numbers::Blocks(blocks) => blocks.unpack(rows, wide),
        }
        wide
    }
}

/// Some rows of weights against each of a few rows of `x`.
struct Dots<'a> {
    x: &'a [f32],
    w: &'a Rows<'a>,
    /// The first of the rows of weights.
    first: usize,
    /// `[rows of weights, rows of x]`.
    out: &'a mut [f32],
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (d_in, n) = (self.w.d_in, self.x.len() / self.w.d_in);
        let mut wide = vec![0f32; if matches!(self.w.numbers, Numbers::F32(_)) { 0 } else { d_in }];
        for (i, out) in self.out.chunks_exact_mut(n).enumerate() {
            let at = self.first + i;
            let all = at * d_in..(at + 1) * d_in;
            let row = match self.w.numbers {
                Numbers::F32(numbers) => &numbers[all],
                Numbers::F16(numbers) => {
                    numbers[all].convert_to_f32_slice(&mut wide);
                    &wide
                }
                Numbers::Bf16(numbers) => {
                    wide.iter_mut().zip(&numbers[all]).for_each(|(wide, x)| *wide = x.to_f32());
                    &wide
                }
                // They are multiplied as they are unpacked, and never come here.
                Numbers::Blocks(_) => continue,
            };
            out.iter_mut().zip(self.x.chunks_exact(d_in)).for_each(|(y, x)| *y = dot(x, row));
        }
    }
}

/// The products of a few rows of `x`, `[n, d_in]`, with several matrices, which are handed out to the threads together.
///
/// # Shapes
/// `[n, d_out]` of each matrix.
pub(super) fn few(x: &[f32], matrices: &[Rows]) -> Vec<Vec<f32>> {
    // Some microseconds' work: long against handing it out, and short, so that as much is left for each thread.
    const AT_ONCE: usize = 32_000;
    let n = matrices.first().map_or(1, |w| x.len() / w.d_in.max(1)).max(1);
    let mut turned: Vec<Vec<f32>> = matrices.iter().map(|w| vec![0f32; w.d_out * n]).collect(); // [d_out, n]
    let mut tasks = vec![];
    for (w, out) in matrices.iter().zip(&mut turned) {
        let at_once = (AT_ONCE / w.d_in.max(1)).clamp(1, w.d_out.max(1));
        let parts = out.chunks_mut(at_once * n).enumerate();
        tasks.extend(parts.map(|(task, out)| (w, task * at_once, out)));
    }
    let arch = Arch::new();
    tasks.into_par_iter().for_each(|(w, first, out)| match w.numbers {
        Numbers::Blocks(blocks) => blocks.products(first..first + out.len() / n, x, out),
        _ => arch.dispatch(Dots { x, w, first, out }),
    });
    if n == 1 {
        return turned;
    }
    let in_rows = |all: &Vec<f32>| (0..n).flat_map(|row| all[row..].iter().step_by(n).copied()).collect();
    turned.iter().map(in_rows).collect()
}
