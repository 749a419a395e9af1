//! A matrix in bf16, in the kernel's order.

use super::kernel::{Columns, LINES, Line, Pairs, ROWS, is_supported, multiply, round};
use candle_core::{DType, Device, Result, Tensor, bail};
use rayon::prelude::*;
use std::fmt;
use std::sync::Arc;

/// Columns of the product per panel: rows of the matrix.
const PANEL: usize = 16 * LINES;
/// Unused pairs between two rows: rows at a distance of a power of two would compete for the same cache lines.
const GAP: usize = 16;

/// A matrix `[out, in]` in bf16: panels of 48 rows, in which the pairs of all rows at one position are neighbours.
#[derive(Clone)]
pub struct PackedBf16 {
    panels: Arc<Vec<Vec<Line>>>,
    d_out: usize,
    d_in: usize,
}

impl PackedBf16 {
    /// True if this machine's processor multiplies in bf16.
    pub fn is_supported() -> bool {
        is_supported()
    }

    /// The matrix rounded to bf16.
    ///
    /// # Shapes
    /// `[out, in]`.
    ///
    /// # Errors
    /// If it is not a matrix, or cannot be converted to f32.
    pub(crate) fn new(weight: &Tensor) -> Result<PackedBf16> {
        let (d_out, d_in) = weight.dims2()?;
        let n_pairs = d_in.div_ceil(2);
        let panel = |first: usize| {
            let n = PANEL.min(d_out - first);
            let values = weight.narrow(0, first, n)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
            let (lines, mut pairs) = (n.div_ceil(16), vec![0; n_pairs]);
            let mut packed = vec![Line::default(); n_pairs * lines];
            for (row, values) in values.chunks_exact(d_in.max(1)).enumerate() {
                round(values, &mut pairs);
                for (at, pair) in pairs.iter().enumerate() {
                    packed[at * lines + row / 16].0[row % 16] = *pair;
                }
            }
            Ok(packed)
        };
        let firsts: Vec<usize> = (0..d_out).step_by(PANEL).collect();
        let panels = firsts.into_par_iter().map(panel).collect::<Result<_>>()?;
        Ok(PackedBf16 { panels: Arc::new(panels), d_out, d_in })
    }

    /// `[out, in]`.
    pub fn dims(&self) -> [usize; 2] {
        [self.d_out, self.d_in]
    }

    /// The whole matrix in f32.
    ///
    /// # Shapes
    /// `[out, in]`.
    pub(crate) fn dense(&self) -> Result<Tensor> {
        let mut all = vec![0f32; self.d_out * self.d_in];
        for (row, out) in all.chunks_exact_mut(self.d_in.max(1)).enumerate() {
            let (panel, lines) = (&self.panels[row / PANEL], self.width(row / PANEL).div_ceil(16));
            let within = row % PANEL;
            for (at, out) in out.iter_mut().enumerate() {
                let pair = panel[at / 2 * lines + within / 16].0[within % 16];
                *out = f32::from_bits(if at % 2 == 0 { pair << 16 } else { pair & 0xffff_0000 });
            }
        }
        Tensor::from_vec(all, (self.d_out, self.d_in), &Device::Cpu)
    }

    /// The number of the product's columns in a panel.
    fn width(&self, panel: usize) -> usize {
        PANEL.min(self.d_out - panel * PANEL)
    }

    /// The product of rows, each rounded to bf16, with the matrix; the order of a sum does not depend on the number
    /// of rows.
    ///
    /// # Shapes
    /// `[n, in]` to `[n, out]`.
    pub(crate) fn product(&self, x: &[f32], n: usize) -> Result<Vec<f32>> {
        if x.len() != n * self.d_in {
            bail!("the stream has {} values; the weights need {n} rows of {}", x.len(), self.d_in)
        }
        let stride = self.d_in.div_ceil(2) + GAP;
        let mut pairs = vec![0u32; n * stride];
        let rows = pairs.par_chunks_mut(stride).zip(x.par_chunks(self.d_in.max(1)));
        rows.for_each(|(pairs, row)| round(row, &mut pairs[..self.d_in.div_ceil(2)]));
        let mut out = vec![0f32; n * self.d_out];
        if n >= ROWS * rayon::current_num_threads() {
            let chunk = n.div_ceil(rayon::current_num_threads()).next_multiple_of(ROWS);
            let parts = out.par_chunks_mut(chunk * self.d_out).zip(pairs.par_chunks(chunk * stride));
            parts.for_each(|(out, pairs)| {
                self.some_rows(Pairs { all: pairs, n: pairs.len() / stride, stride }, out);
            });
            return Ok(out);
        }
        // Few rows: each task computes a panel, and the results are assembled.
        let one = |panel: usize| {
            let (first, width) = (panel * PANEL, self.width(panel));
            let mut part = vec![0f32; n * width];
            let columns = Columns { out: &mut part, first: 0, width, stride: width };
            self.one_panel(panel, Pairs { all: &pairs, n, stride }, columns);
            (first, width, part)
        };
        let parts: Vec<_> = (0..self.panels.len()).into_par_iter().map(one).collect();
        for (first, width, part) in parts {
            for (out, part) in out.chunks_exact_mut(self.d_out).zip(part.chunks_exact(width)) {
                out[first..first + width].copy_from_slice(part);
            }
        }
        Ok(out)
    }

    /// The products of the given rows with all panels.
    fn some_rows(&self, rows: Pairs, out: &mut [f32]) {
        for panel in 0..self.panels.len() {
            let width = self.width(panel);
            let columns = Columns { out: &mut *out, first: panel * PANEL, width, stride: self.d_out };
            self.one_panel(panel, rows, columns);
        }
    }

    /// The products of the given rows with one panel.
    fn one_panel(&self, panel: usize, rows: Pairs, columns: Columns) {
        let Pairs { all, stride, .. } = rows;
        let Columns { out, first, width, stride: of_out } = columns;
        for (pairs, out) in all.chunks(ROWS * stride).zip(out.chunks_mut(ROWS * of_out)) {
            let rows = Pairs { all: pairs, n: pairs.len() / stride, stride };
            multiply(rows, &self.panels[panel], Columns { out, first, width, stride: of_out });
        }
    }
}

impl fmt::Debug for PackedBf16 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackedBf16([{}, {}])", self.d_out, self.d_in)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(shape: (usize, usize)) -> Tensor {
        Tensor::randn(0f32, 1f32, shape, &Device::Cpu).unwrap()
    }

    fn rounded(x: &Tensor) -> Tensor {
        x.to_dtype(DType::BF16).unwrap().to_dtype(DType::F32).unwrap()
    }

    fn values(x: &Tensor) -> Vec<f32> {
        x.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// Widths that fill registers and panels, and widths that do not, also odd ones.
    const SHAPES: [(usize, usize); 6] = [(96, 64), (50, 33), (1, 1), (49, 2), (160, 300), (33, 17)];

    #[test]
    fn products_equal_those_of_the_rounded_values_for_any_number_of_rows() {
        if !PackedBf16::is_supported() {
            println!("skipped: this processor has no AVX-512 BF16");
            return;
        }
        for (d_out, d_in) in SHAPES {
            let (w, x) = (normal((d_out, d_in)), normal((37, d_in)));
            let packed = PackedBf16::new(&w).unwrap();
            assert_eq!(values(&packed.dense().unwrap()), values(&rounded(&w)));
            let ours = packed.product(&values(&x), 37).unwrap();
            let theirs = values(&rounded(&x).matmul(&rounded(&w).t().unwrap()).unwrap());
            let largest = theirs.iter().fold(0f32, |most, x| most.max(x.abs()));
            let worst = ours.iter().zip(&theirs).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(worst < 1e-5 * largest, "{d_out} by {d_in}: {worst} of {largest}");
            for n in 1..=10 {
                let some = packed.product(&values(&x)[..n * d_in], n).unwrap();
                assert_eq!(some, ours[..n * d_out], "{n} rows of {d_out} by {d_in}");
            }
        }
        let (w, x) = (normal((100, 70)), normal((133, 70)));
        let packed = PackedBf16::new(&w).unwrap();
        let with = |n_threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| packed.product(&values(&x), 133).unwrap())
        };
        assert!(with(1) == with(2) && with(2) == with(8) && with(8) == with(40));
        assert!(PackedBf16::new(&normal((4, 4))).unwrap().product(&[0.0; 7], 2).is_err());
    }
}
