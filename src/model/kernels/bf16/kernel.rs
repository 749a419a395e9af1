//! The product of a few rows with a panel of a matrix, in AVX-512 BF16; this file uses `unsafe`.
//!
//! One instruction multiplies 32 pairs and adds them to 16 sums in f32, twice the rate of the same unit in f32; no
//! Rust library for dense matrix products uses it. Sums for 8 rows and 48 columns stay in registers; weights are read
//! once for 8 rows, and a pair of a row's values once for 48 columns.
#![allow(unsafe_code, reason = "uses the processor's instructions, as the module says above")]

/// Sixteen pairs of bf16, which fill a register; the first of a pair is in the lower half.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
pub(super) struct Line(pub [u32; 16]);

/// Rows whose sums stay in registers.
pub(super) const ROWS: usize = 8;
/// Registers of columns per row.
pub(super) const LINES: usize = 3;

/// True if the processor has the instructions.
pub(super) fn is_supported() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        let needed = [
            std::arch::is_x86_feature_detected!("avx512f"),
            std::arch::is_x86_feature_detected!("avx512bf16"),
        ];
        needed.into_iter().all(|has| has)
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Rounds a row to pairs of bf16, to the nearest, and subnormal values to zero; an odd last value is paired with zero.
///
/// # Shapes
/// `[in]` to at least `[in / 2]`, rounded up.
pub(super) fn round(row: &[f32], pairs: &mut [u32]) {
    #[cfg(target_arch = "x86_64")]
    if is_supported() {
        // SAFETY: the instructions are supported, as checked above.
        return unsafe { x86::round(row, pairs) };
    }
    let _ = (row, pairs);
    unreachable!("a model in bf16 is refused on processors without AVX-512 BF16");
}

/// The products of at most `ROWS` rows with a panel.
///
/// # Shapes
/// `rows` `[n, stride]`, of which the first `pairs` of each row are used; `panel` `[pairs, lines]`.
pub(super) fn multiply(rows: Pairs, panel: &[Line], columns: Columns) {
    let lines = columns.width.div_ceil(16);
    assert!(rows.n <= ROWS && (1..=LINES).contains(&lines));
    let n_pairs = panel.len() / lines;
    assert!(rows.n == 0 || (rows.n - 1) * rows.stride + n_pairs <= rows.all.len());
    #[cfg(target_arch = "x86_64")]
    if is_supported() {
        // SAFETY: the instructions are supported and all sizes fit, as checked above.
        return unsafe { x86::multiply(rows, panel, columns) };
    }
    unreachable!("a model in bf16 is refused on processors without AVX-512 BF16");
}

/// Rows as pairs of bf16.
#[derive(Clone, Copy)]
pub(super) struct Pairs<'a> {
    pub(super) all: &'a [u32],
    pub(super) n: usize,
    /// Distance from one row to the next.
    pub(super) stride: usize,
}

/// Consecutive columns of the output.
pub(super) struct Columns<'a> {
    pub(super) out: &'a mut [f32],
    pub(super) first: usize,
    pub(super) width: usize,
    /// Distance from one row to the next.
    pub(super) stride: usize,
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Columns, Line, Pairs};
    use std::arch::x86_64::*;
    use std::mem::transmute;

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) fn round(row: &[f32], pairs: &mut [u32]) {
        let (numbers, rest) = row.as_chunks::<16>();
        let (whole, last) = pairs.split_at_mut(8 * numbers.len());
        for (numbers, pairs) in numbers.iter().zip(whole.as_chunks_mut::<8>().0) {
            *pairs = round_sixteen(*numbers);
        }
        let mut numbers = [0f32; 16];
        numbers[..rest.len()].copy_from_slice(rest);
        let n = rest.len().div_ceil(2);
        last[..n].copy_from_slice(&round_sixteen(numbers)[..n]);
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn round_sixteen(numbers: [f32; 16]) -> [u32; 8] {
        // SAFETY: arrays and registers have the same size, and all bit patterns are valid.
        unsafe { transmute(_mm512_cvtneps_pbh(transmute::<[f32; 16], __m512>(numbers))) }
    }

    /// Calls the tile for this number of rows and columns.
    ///
    /// # Safety
    /// The sizes must fit, as [`super::multiply`] checks.
    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) unsafe fn multiply(rows: Pairs, panel: &[Line], columns: Columns) {
        macro_rules! of {
            ($($n:literal)*) => {
                match (rows.n, columns.width) {
                    // SAFETY: the caller has checked that all sizes fit.
                    $(($n, ..=16) => unsafe { tile::<$n, 1>(rows, panel, columns) },
                    // SAFETY: as above.
                    ($n, ..=32) => unsafe { tile::<$n, 2>(rows, panel, columns) },
                    // SAFETY: as above.
                    ($n, _) => unsafe { tile::<$n, 3>(rows, panel, columns) },)*
                    _ => {}
                }
            };
        }
        of!(1 2 3 4 5 6 7 8);
    }

    /// The product of `N` rows with `L` registers of columns.
    ///
    /// # Safety
    /// The sizes must fit, as [`super::multiply`] checks.
    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn tile<const N: usize, const L: usize>(rows: Pairs, panel: &[Line], columns: Columns) {
        let mut totals = [[_mm512_setzero_ps(); L]; N];
        let from: [*const u32; N] = std::array::from_fn(|row| rows.all[row * rows.stride..].as_ptr());
        for (pair, lines) in panel.as_chunks::<L>().0.iter().enumerate() {
            // SAFETY: lines and registers have the same size, and lines are aligned.
            let w: [__m512bh; L] =
                unsafe { std::array::from_fn(|l| transmute(_mm512_load_si512(lines[l].0.as_ptr().cast()))) };
            for row in 0..N {
                // SAFETY: a row has as many pairs as the panel.
                let x: __m512bh = unsafe { transmute(_mm512_set1_epi32(*from[row].add(pair) as i32)) };
                for l in 0..L {
                    totals[row][l] = _mm512_dpbf16_ps(totals[row][l], x, w[l]);
                }
            }
        }
        let Columns { out, first, width, stride } = columns;
        for (row, out) in totals.iter().zip(out.chunks_mut(stride)) {
            for (total, out) in row.iter().zip(out[first..first + width].chunks_mut(16)) {
                // SAFETY: a register has sixteen values.
                let sums = unsafe { transmute::<__m512, [f32; 16]>(*total) };
                match out.first_chunk_mut::<16>() {
                    Some(out) => *out = sums,
                    None => out.copy_from_slice(&sums[..out.len()]),
                }
            }
        }
    }
}
