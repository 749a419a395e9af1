//! Rows of activations in their stored f32, and their first two moments, which can be updated when rows are removed.
//!
//! With `n` rows of mean `m` and centred Gram matrix `G`, removing `k` rows of mean `m'` and Gram matrix `G'` leaves
//! `G − G' − (n k / (n − k)) (m − m')ᵀ(m − m')`.

use super::symmetric::{add_gram, check_finite, product, view};
use crate::error::{Error, Result};
use faer::{Mat, MatRef, Par};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Number of rows converted to f64 for one product with a few columns: as many as the cache holds.
const BLOCK_ROWS: usize = 64;
/// Number of blocks computed at once.
const BLOCKS_AT_ONCE: usize = 64;
/// Number of rows converted to f64 for one Gram product.
const GRAM_ROWS: usize = 512;
/// Number of columns that one thread converts at a time for a Gram product.
const CENTRE_COLUMNS: usize = 32;
/// Number of rows transposed together from row-major to column-major order.
const TRANSPOSED_ROWS: usize = 32;
/// Minimum share of the variance that must remain when rows are removed; a smaller remainder would lose too many
/// digits.
const MIN_VARIANCE_SHARE: f64 = 0.1;

/// A selection of rows of activations in their stored f32: all values in row-major order, the width, and the selected
/// indices.
#[derive(Debug, Clone, Copy)]
pub(in crate::probes) struct ActivationRows<'a> {
    values: &'a [f32],
    width: usize,
    rows: &'a [usize],
}

impl<'a> ActivationRows<'a> {
    /// The rows at some indices, or `None` if the array is not row-major.
    pub(crate) fn of(activations: ArrayView2<'a, f32>, rows: &'a [usize]) -> Option<ActivationRows<'a>> {
        let width = activations.ncols();
        activations.to_slice().map(|values| ActivationRows { values, width, rows })
    }

    /// The number of rows.
    pub(crate) fn n_rows(&self) -> usize {
        self.rows.len()
    }

    /// Another selection of rows of the same activations.
    fn with_rows<'b>(&self, rows: &'b [usize]) -> ActivationRows<'b>
    where
        'a: 'b,
    {
        ActivationRows { values: self.values, width: self.width, rows }
    }

    /// A block of the rows in f64, minus `mean`, written to scratch memory.
    ///
    /// # Shapes
    /// `[n_block, d_model]`.
    pub(crate) fn centred<'r>(
        &self,
        block: Range<usize>,
        mean: &Array1<f64>,
        scratch: &'r mut Vec<f64>,
    ) -> Result<ArrayView2<'r, f64>> {
        let shape = (block.len(), self.width);
        scratch.resize(shape.0 * shape.1, 0.0);
        self.centre(block, mean, scratch);
        ArrayView2::from_shape(shape, scratch).map_err(|e| Error::Internal(e.to_string()))
    }

    fn centre(&self, block: Range<usize>, mean: &Array1<f64>, wide: &mut [f64]) {
        let arch = Arch::new();
        let mean = mean.as_slice().unwrap_or_default();
        for (to, &row) in wide.chunks_exact_mut(self.width).zip(&self.rows[block]) {
            arch.dispatch(CentreRow { from: self.row(row), mean, to });
        }
    }

    fn row(&self, row: usize) -> &'a [f32] {
        &self.values[row * self.width..(row + 1) * self.width]
    }

    /// Calls a function on each block of `n_rows` rows in parallel, and consumes the results in order.
    fn for_each_block<T: Send>(
        &self,
        n_rows: usize,
        compute: impl Fn(Range<usize>, &mut Vec<f64>) -> Result<T> + Sync,
        mut take: impl FnMut(Range<usize>, T),
    ) -> Result<()> {
        let n = self.rows.len();
        let blocks: Vec<_> = (0..n).step_by(n_rows).map(|start| start..(start + n_rows).min(n)).collect();
        // Chunked, so that the memory for results does not grow with the number of rows.
        for blocks in blocks.chunks(BLOCKS_AT_ONCE) {
            let found =
                blocks.par_iter().map_init(Vec::new, |scratch, block| compute(block.clone(), scratch));
            for (block, found) in blocks.iter().zip(found.collect::<Vec<_>>()) {
                take(block.clone(), found?);
            }
        }
        Ok(())
    }

    /// The mean row.
    ///
    /// # Errors
    /// [`Error::NonFinite`] naming the first value that is infinite or not a number.
    fn mean(&self) -> Result<Array1<f64>> {
        let mut sum = Array1::<f64>::zeros(self.width);
        let arch = Arch::new();
        let of_block = |block: Range<usize>, _: &mut Vec<f64>| {
            let mut sum = vec![0.0; self.width];
            self.rows[block.clone()]
                .iter()
                .for_each(|&row| arch.dispatch(AddRow { of: self.row(row), to: &mut sum }));
            // Sums of finite f32 values cannot overflow an f64.
            match sum.iter().all(|sum| sum.is_finite()) {
                true => Ok(sum),
                false => Err(self.not_finite(block)),
            }
        };
        self.for_each_block(BLOCK_ROWS, of_block, |_, of_block| sum += &ArrayView1::from(&of_block))?;
        Ok(sum / self.rows.len() as f64)
    }

    fn not_finite(&self, block: Range<usize>) -> Error {
        let wide = Array2::from_shape_fn((block.len(), self.width), |(i, j)| {
            f64::from(self.row(self.rows[block.start + i])[j])
        });
        let after = format!("activations, counted after the first {} rows", block.start);
        check_finite(wide.view(), &after)
            .err()
            .unwrap_or_else(|| Error::Internal("the sum of finite values is not finite".into()))
    }

    /// The product `(X − m)ᵀ y`.
    ///
    /// # Shapes
    /// `[n_rows, n]` to `[d_model, n]`.
    pub(crate) fn transposed_times(&self, mean: &Array1<f64>, y: &Array2<f64>) -> Result<Array2<f64>> {
        let mut moments = Array2::zeros((self.width, y.ncols()));
        let of_block = |block: Range<usize>, scratch: &mut Vec<f64>| {
            let wide = self.centred(block.clone(), mean, scratch)?;
            product(wide.t(), y.slice(s![block, ..]), Par::Seq)
        };
        self.for_each_block(BLOCK_ROWS, of_block, |_, of_block| moments += &of_block)?;
        Ok(moments)
    }

    /// The product `(X − m) weightsᵀ`: the predictions without bias.
    ///
    /// # Shapes
    /// `[n, d_model]` to `[n_rows, n]`.
    pub(crate) fn times_weights(&self, mean: &Array1<f64>, weights: &Array2<f64>) -> Result<Array2<f64>> {
        let mut predicted = Array2::zeros((self.rows.len(), weights.nrows()));
        let of_block = |block: Range<usize>, scratch: &mut Vec<f64>| {
            product(self.centred(block, mean, scratch)?, weights.t(), Par::Seq)
        };
        self.for_each_block(BLOCK_ROWS, of_block, |block, of_block| {
            predicted.slice_mut(s![block, ..]).assign(&of_block);
        })?;
        Ok(predicted)
    }

    /// Adds `factor · (X − m)ᵀ(X − m)` to the lower triangle of `gram`.
    fn add_gram(&self, gram: &mut Mat<f64>, mean: &Array1<f64>, factor: f64) {
        let n = self.rows.len();
        let mean = mean.as_slice().unwrap_or_default();
        let mut wide = vec![0.0; GRAM_ROWS.min(n) * self.width];
        for start in (0..n).step_by(GRAM_ROWS) {
            let block = start..n.min(start + GRAM_ROWS);
            let n_block = block.len();
            let wide = &mut wide[..n_block * self.width];
            let parts = wide.par_chunks_mut(n_block * CENTRE_COLUMNS).zip(mean.par_chunks(CENTRE_COLUMNS));
            parts.enumerate().for_each(|(at, (part, mean))| {
                self.centre_columns(block.clone(), at * CENTRE_COLUMNS, mean, part);
            });
            // In column order, because the product kernel reads it fastest.
            add_gram(gram.as_mut(), MatRef::from_column_major_slice(wide, n_block, self.width), factor);
        }
    }

    /// Writes the columns from `first` on of a block of rows in f64, minus their mean, in column-major order.
    fn centre_columns(&self, block: Range<usize>, first: usize, mean: &[f64], wide: &mut [f64]) {
        let (n_block, arch) = (block.len(), Arch::new());
        // Padded: rows at a distance of a power of two would share cache sets.
        let mut tile = [[0.0; CENTRE_COLUMNS + 8]; TRANSPOSED_ROWS];
        for (at, some) in self.rows[block].chunks(TRANSPOSED_ROWS).enumerate() {
            for (to, &row) in tile.iter_mut().zip(some) {
                arch.dispatch(CentreRow { from: &self.row(row)[first..], mean, to });
            }
            for (j, column) in wide.chunks_exact_mut(n_block).enumerate() {
                let column = &mut column[at * TRANSPOSED_ROWS..][..some.len()];
                column.iter_mut().zip(&tile).for_each(|(to, row)| *to = row[j]);
            }
        }
    }
}

/// Converts a row of f32 to f64 and subtracts a mean.
struct CentreRow<'a> {
    from: &'a [f32],
    mean: &'a [f64],
    to: &'a mut [f64],
}

impl WithSimd for CentreRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let from = self.from.iter().zip(self.mean);
        self.to.iter_mut().zip(from).for_each(|(to, (x, mean))| *to = f64::from(*x) - mean);
    }
}

/// Adds a row of f32 to sums in f64.
struct AddRow<'a> {
    of: &'a [f32],
    to: &'a mut [f64],
}

impl WithSimd for AddRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.to.iter_mut().zip(self.of).for_each(|(to, x)| *to += f64::from(*x));
    }
}

/// The number of rows, their mean, and the lower triangle of their centred Gram matrix.
#[derive(Debug, Clone)]
pub(in crate::probes) struct Moments {
    pub n: usize,
    pub mean: Array1<f64>,
    pub gram: Mat<f64>,
}

impl Moments {
    /// Computes the moments of the rows.
    ///
    /// # Errors
    /// [`crate::Error::NonFinite`] naming the first value that is infinite or not a number.
    pub(crate) fn of(stored: &ActivationRows) -> Result<Moments> {
        let mean = stored.mean()?;
        let mut gram = Mat::zeros(stored.width, stored.width);
        stored.add_gram(&mut gram, &mean, 1.0);
        Ok(Moments { n: stored.rows.len(), mean, gram })
    }

    /// The moments without the given rows, or `None` if no row would remain, or so little variance that too many
    /// digits would be lost.
    pub(crate) fn without(&self, all: &ActivationRows, rows: &[usize]) -> Result<Option<Moments>> {
        let removed = all.with_rows(rows);
        let (n, n_removed) = (self.n as f64, rows.len() as f64);
        if rows.is_empty() || rows.len() >= self.n {
            return Ok((rows.is_empty()).then(|| self.clone()));
        }
        let mean_removed = removed.mean()?;
        let mut gram = self.gram.clone();
        removed.add_gram(&mut gram, &mean_removed, -1.0);
        // Corrects for the mean of the remaining rows, which differs from the mean of all rows.
        let between = (&self.mean - &mean_removed) * (n * n_removed / (n - n_removed)).sqrt(); // [d_model]
        add_gram(gram.as_mut(), view(between.view().insert_axis(Axis(0)))?, -1.0);
        let is_enough = trace(&gram) > MIN_VARIANCE_SHARE * trace(&self.gram);
        let mean = (&self.mean * n - &(&mean_removed * n_removed)) / (n - n_removed);
        Ok(is_enough.then_some(Moments { n: self.n - rows.len(), mean, gram }))
    }
}

fn trace(gram: &Mat<f64>) -> f64 {
    (0..gram.nrows()).map(|i| gram[(i, i)]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::fixture::noise;

    fn near(a: &Moments, b: &Moments, digits: f64) -> bool {
        let d = a.mean.len();
        let scale = trace(&b.gram);
        let below = (0..d).flat_map(|i| (0..=i).map(move |j| (i, j)));
        a.n == b.n
            && (&a.mean - &b.mean).iter().all(|e| e.abs() < digits)
            && below.into_iter().all(|at| (a.gram[at] - b.gram[at]).abs() < digits * scale)
    }

    #[test]
    fn moments_equal_those_of_the_dense_rows() {
        // One tile and several tiles, where rows and columns do not fill the last block.
        for (n, d) in [(3, 2), (700, 9), (1063, 301)] {
            let x = (noise([n, d], 4) + 1.0).mapv(|v| v as f32);
            let rows: Vec<usize> = (0..n).rev().collect();
            let found = Moments::of(&ActivationRows::of(x.view(), &rows).unwrap()).unwrap();
            let x = x.mapv(f64::from);
            let mean = x.mean_axis(Axis(0)).unwrap();
            let centred = &x - &mean;
            let products = centred.t().dot(&centred);
            let gram = Mat::from_fn(d, d, |i, j| products[[i, j]]);
            assert!(near(&found, &Moments { n, mean, gram }, 1e-14), "{n}, {d}");
        }
    }

    #[test]
    fn moments_without_some_rows_equal_those_of_the_remaining_rows() {
        let x = (noise([1300, 6], 1) + 5.0).mapv(|v| v as f32);
        let all: Vec<usize> = (0..1300).collect();
        let stored = ActivationRows::of(x.view(), &all).unwrap();
        let moments = Moments::of(&stored).unwrap();
        for n_less in [0, 1, 600, 1000] {
            let (less, rest) = all.split_at(n_less);
            let found = moments.without(&stored, less).unwrap().unwrap();
            let expected = Moments::of(&stored.with_rows(rest)).unwrap();
            assert!(near(&found, &expected, 1e-13), "{n_less}");
        }
        let too_much = moments.without(&stored, &all[..1290]).unwrap();
        assert!(too_much.is_none() && moments.without(&stored, &all).unwrap().is_none());
    }

    #[test]
    fn products_equal_those_of_centred_rows() {
        let x = noise([700, 4], 2).mapv(|v| v as f32);
        let rows: Vec<usize> = (0..700).filter(|i| i % 3 > 0).collect();
        let stored = ActivationRows::of(x.view(), &rows).unwrap();
        let mean = stored.mean().unwrap();
        let centred = x.select(Axis(0), &rows).mapv(f64::from) - &mean;
        assert!(centred.sum_axis(Axis(0)).iter().all(|e| e.abs() < 1e-11));
        let (y, weights) = (noise([rows.len(), 2], 3), noise([2, 4], 4));
        assert!(
            (stored.transposed_times(&mean, &y).unwrap() - centred.t().dot(&y))
                .iter()
                .all(|e| e.abs() < 1e-11)
        );
        let predicted = stored.times_weights(&mean, &weights).unwrap();
        assert!((predicted - centred.dot(&weights.t())).iter().all(|e| e.abs() < 1e-12));
    }
}
