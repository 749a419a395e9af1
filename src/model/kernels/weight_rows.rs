//! The rows of a matrix as they are stored in memory, and their products with few rows of a stream.

use super::quantised::{MAX_ROWS, QuantisedMatrix};
use super::simd::dot;
use candle_core::{CpuStorage, Layout, Result, bail};
use half::slice::HalfFloatSliceExt;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Maximum number of rows of `x` for the kernel that uses each weight as it is read: with so few rows, nearly all the
/// time is spent on reading the weights, and a kernel for many rows would copy them first.
pub(crate) const FEW_ROWS: usize = 4;

const _: () = assert!(FEW_ROWS <= MAX_ROWS);

/// A matrix `[d_out, d_in]`, row by row.
pub(super) struct WeightRows<'a> {
    pub(super) values: Values<'a>,
    pub(super) d_out: usize,
    pub(super) d_in: usize,
}

/// A matrix's values as they are stored in memory.
pub(super) enum Values<'a> {
    F32(&'a [f32]),
    F16(&'a [half::f16]),
    Bf16(&'a [half::bf16]),
    Quantised(&'a QuantisedMatrix),
}

impl<'a> WeightRows<'a> {
    /// The rows of a tensor.
    pub(super) fn new(storage: &'a CpuStorage, layout: &Layout) -> Result<WeightRows<'a>> {
        let Some((from, to)) = layout.contiguous_offsets() else { bail!("weights are not contiguous") };
        let (d_out, d_in) = layout.shape().dims2()?;
        let values = match storage {
            CpuStorage::F32(all) => Values::F32(&all[from..to]),
            CpuStorage::F16(all) => Values::F16(&all[from..to]),
            CpuStorage::BF16(all) => Values::Bf16(&all[from..to]),
            _ => bail!("weights are f32, f16 or bf16"),
        };
        Ok(WeightRows { values, d_out, d_in })
    }

    /// A range of rows in f32: as they are stored, or converted into `buffer`.
    pub(super) fn f32<'b>(&'b self, rows: Range<usize>, buffer: &'b mut Vec<f32>) -> &'b [f32] {
        const CHUNK: usize = 1 << 14;
        let all = rows.start * self.d_in..rows.end * self.d_in;
        if let Values::F32(values) = self.values {
            return &values[all];
        }
        buffer.resize(all.len(), 0.0);
        match self.values {
            Values::F32(_) => {}
            Values::F16(narrow) => (buffer.par_chunks_mut(CHUNK).zip(narrow[all].par_chunks(CHUNK)))
                .for_each(|(wide, narrow)| narrow.convert_to_f32_slice(wide)),
            Values::Bf16(narrow) => (buffer.par_chunks_mut(CHUNK).zip(narrow[all].par_chunks(CHUNK)))
                .for_each(|(wide, narrow)| narrow.convert_to_f32_slice(wide)),
            Values::Quantised(blocks) => blocks.unpack(rows, buffer),
        }
        buffer
    }
}

/// Dot products of a range of rows of weights with each of a few rows of `x`.
struct Dots<'a> {
    x: &'a [f32],
    w: &'a WeightRows<'a>,
    /// The index of the first row of weights.
    first: usize,
    /// `[rows of weights, rows of x]`.
    out: &'a mut [f32],
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (d_in, n) = (self.w.d_in, self.x.len() / self.w.d_in);
        let mut buffer = vec![0f32; if matches!(self.w.values, Values::F32(_)) { 0 } else { d_in }];
        for (i, out) in self.out.chunks_exact_mut(n).enumerate() {
            let at = self.first + i;
            let all = at * d_in..(at + 1) * d_in;
            let row = match self.w.values {
                Values::F32(values) => &values[all],
                Values::F16(values) => {
                    values[all].convert_to_f32_slice(&mut buffer);
                    &buffer
                }
                Values::Bf16(values) => {
                    buffer.iter_mut().zip(&values[all]).for_each(|(wide, x)| *wide = x.to_f32());
                    &buffer
                }
                // Blocks are multiplied as they are unpacked, by `QuantisedMatrix::products`.
                Values::Quantised(_) => continue,
            };
            out.iter_mut().zip(self.x.chunks_exact(d_in)).for_each(|(y, x)| *y = dot(x, row));
        }
    }
}

/// The products of a few rows of `x`, `[n, in]`, with several matrices; the rows of all matrices are distributed over
/// the threads in one step.
///
/// # Shapes
/// One `[n, d_out]` per matrix.
pub(super) fn products_of_few(x: &[f32], matrices: &[WeightRows]) -> Vec<Vec<f32>> {
    // A few microseconds of work: long compared with the cost of a task, and short enough for an even load on all
    // threads.
    const TASK_WEIGHTS: usize = 32_000;
    let n = matrices.first().map_or(1, |w| x.len() / w.d_in.max(1)).max(1);
    let mut transposed: Vec<Vec<f32>> = matrices.iter().map(|w| vec![0f32; w.d_out * n]).collect(); // [d_out, n]
    let mut tasks = vec![];
    for (w, out) in matrices.iter().zip(&mut transposed) {
        let n_rows = (TASK_WEIGHTS / w.d_in.max(1)).clamp(1, w.d_out.max(1));
        let parts = out.chunks_mut(n_rows * n).enumerate();
        tasks.extend(parts.map(|(task, out)| (w, task * n_rows, out)));
    }
    let arch = Arch::new();
    tasks.into_par_iter().for_each(|(w, first, out)| match w.values {
        Values::Quantised(blocks) => blocks.products(first..first + out.len() / n, x, out),
        _ => arch.dispatch(Dots { x, w, first, out }),
    });
    if n == 1 {
        return transposed;
    }
    let by_row = |all: &Vec<f32>| (0..n).flat_map(|row| all[row..].iter().step_by(n).copied()).collect();
    transposed.iter().map(by_row).collect()
}
