//! Rows of activations as they are stored, and their first two moments, off which rows can be taken again.

use super::decomposition::check_finite;
use super::symmetric::{add_gram, product, view};
use crate::error::{Error, Result};
use faer::{Mat, MatRef, Par};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Rows that are widened to f64 for one product with a few columns: what a cache holds of them.
const BLOCK_ROWS: usize = 64;
/// Blocks of them at a time.
const AT_A_TIME: usize = 64;
/// Rows that are widened to f64 for one product with themselves, the columns of them that one thread widens at a time, and
/// how many of their values are turned together from row to column order.
const GRAM_ROWS: usize = 512;
const WIDEN_COLUMNS: usize = 32;
const TURNED: usize = 32;
/// The least share of the rows' variance that must be left when some are taken away: what is left has that share of
/// the digits of the whole.
const LEAST_LEFT: f64 = 0.1;

/// Some rows of activations as they are stored: all values, row after row, the width, and the rows that are meant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored<'a> {
    values: &'a [f32],
    width: usize,
    rows: &'a [usize],
}

impl<'a> Stored<'a> {
    /// Nothing where the values do not lie row after row.
    pub fn of(activations: ArrayView2<'a, f32>, rows: &'a [usize]) -> Option<Stored<'a>> {
        let width = activations.ncols();
        activations.to_slice().map(|values| Stored { values, width, rows })
    }

    pub fn n_rows(&self) -> usize {
        self.rows.len()
    }

    /// The same values with other rows meant.
    fn with<'b>(&self, rows: &'b [usize]) -> Stored<'b>
    where
        'a: 'b,
    {
        Stored { values: self.values, width: self.width, rows }
    }

    /// Some of the rows in f64 less a mean, by their places among those that are meant, in a room.
    ///
    /// # Shapes
    /// `[n_block, d_model]`.
    pub fn widened<'r>(
        &self,
        block: Range<usize>,
        mean: &Array1<f64>,
        room: &'r mut Vec<f64>,
    ) -> Result<ArrayView2<'r, f64>> {
        let shape = (block.len(), self.width);
        room.resize(shape.0 * shape.1, 0.0);
        self.widen(block, mean, room);
        ArrayView2::from_shape(shape, room).map_err(|e| Error::Internal(e.to_string()))
    }

    fn widen(&self, block: Range<usize>, mean: &Array1<f64>, wide: &mut [f64]) {
        let arch = Arch::new();
        let mean = mean.as_slice().unwrap_or_default();
        for (to, &row) in wide.chunks_exact_mut(self.width).zip(&self.rows[block]) {
            arch.dispatch(Widen { from: self.row(row), mean, to });
        }
    }

    fn row(&self, row: usize) -> &'a [f32] {
        &self.values[row * self.width..(row + 1) * self.width]
    }

    /// What is found of each block of so many rows, in order; they are looked at side by side.
    fn each_block<T: Send>(
        &self,
        n_rows: usize,
        find: impl Fn(Range<usize>, &mut Vec<f64>) -> Result<T> + Sync,
        mut take: impl FnMut(Range<usize>, T),
    ) -> Result<()> {
        let n = self.rows.len();
        let blocks: Vec<_> = (0..n).step_by(n_rows).map(|start| start..(start + n_rows).min(n)).collect();
        // So many at a time: what they found does not grow with the number of rows.
        for blocks in blocks.chunks(AT_A_TIME) {
            let found = blocks.par_iter().map_init(Vec::new, |room, block| find(block.clone(), room));
            for (block, found) in blocks.iter().zip(found.collect::<Vec<_>>()) {
                take(block.clone(), found?);
            }
        }
        Ok(())
    }

    /// The mean row; refuses what is no number, naming its row.
    fn mean(&self) -> Result<Array1<f64>> {
        let mut sum = Array1::<f64>::zeros(self.width);
        let arch = Arch::new();
        let of_block = |block: Range<usize>, _: &mut Vec<f64>| {
            let mut sum = vec![0.0; self.width];
            self.rows[block.clone()]
                .iter()
                .for_each(|&row| arch.dispatch(Sum { of: self.row(row), to: &mut sum }));
            // Numbers of f32 cannot overflow it: what is not finite came so.
            match sum.iter().all(|sum| sum.is_finite()) {
                true => Ok(sum),
                false => Err(self.not_finite(block)),
            }
        };
        self.each_block(BLOCK_ROWS, of_block, |_, of_block| sum += &ArrayView1::from(&of_block))?;
        Ok(sum / self.rows.len() as f64)
    }

    fn not_finite(&self, block: Range<usize>) -> Error {
        let wide = Array2::from_shape_fn((block.len(), self.width), |(i, j)| {
            f64::from(self.row(self.rows[block.start + i])[j])
        });
        let after = format!("activations, after {} others", block.start);
        check_finite(wide.view(), &after)
            .err()
            .unwrap_or_else(|| Error::Internal("a sum of numbers is none".into()))
    }

    /// The product of the rows, less their mean, with some columns.
    ///
    /// # Shapes
    /// `y` is `[n_rows, n]`; `[d_model, n]`.
    pub fn along(&self, mean: &Array1<f64>, y: &Array2<f64>) -> Result<Array2<f64>> {
        let mut moments = Array2::zeros((self.width, y.ncols()));
        let of_block = |block: Range<usize>, room: &mut Vec<f64>| {
            let wide = self.widened(block.clone(), mean, room)?;
            product(wide.t(), y.slice(s![block, ..]), Par::Seq)
        };
        self.each_block(BLOCK_ROWS, of_block, |_, of_block| moments += &of_block)?;
        Ok(moments)
    }

    /// The product of the rows, less their mean, with some weights.
    ///
    /// # Shapes
    /// `weights` is `[n, d_model]`; `[n_rows, n]`.
    pub fn read(&self, mean: &Array1<f64>, weights: &Array2<f64>) -> Result<Array2<f64>> {
        let mut read = Array2::zeros((self.rows.len(), weights.nrows()));
        let of_block = |block: Range<usize>, room: &mut Vec<f64>| {
            product(self.widened(block, mean, room)?, weights.t(), Par::Seq)
        };
        self.each_block(BLOCK_ROWS, of_block, |block, of_block| {
            read.slice_mut(s![block, ..]).assign(&of_block);
        })?;
        Ok(read)
    }

    /// Adds so many times the products of the rows' columns about a mean.
    fn add_gram(&self, gram: &mut Mat<f64>, mean: &Array1<f64>, times: f64) {
        let n = self.rows.len();
        let mean = mean.as_slice().unwrap_or_default();
        let mut wide = vec![0.0; GRAM_ROWS.min(n) * self.width];
        for start in (0..n).step_by(GRAM_ROWS) {
            let block = start..n.min(start + GRAM_ROWS);
            let n_block = block.len();
            let wide = &mut wide[..n_block * self.width];
            let parts = wide.par_chunks_mut(n_block * WIDEN_COLUMNS).zip(mean.par_chunks(WIDEN_COLUMNS));
            parts.enumerate().for_each(|(at, (part, mean))| {
                self.widen_columns(block.clone(), at * WIDEN_COLUMNS, mean, part);
            });
            // In column order, in which the kernel of the product reads fastest.
            add_gram(gram.as_mut(), MatRef::from_column_major_slice(wide, n_block, self.width), times);
        }
    }

    /// Some columns of some rows in f64 less their mean, from column `first` on, column after column.
    fn widen_columns(&self, block: Range<usize>, first: usize, mean: &[f64], wide: &mut [f64]) {
        let (n_block, arch) = (block.len(), Arch::new());
        let mut held = [[0.0; WIDEN_COLUMNS + 8]; TURNED]; // columns apart by more than a power of two, for the cache
        for (at, some) in self.rows[block].chunks(TURNED).enumerate() {
            for (to, &row) in held.iter_mut().zip(some) {
                arch.dispatch(Widen { from: &self.row(row)[first..], mean, to });
            }
            for (j, column) in wide.chunks_exact_mut(n_block).enumerate() {
                let column = &mut column[at * TURNED..][..some.len()];
                column.iter_mut().zip(&held).for_each(|(to, held)| *to = held[j]);
            }
        }
    }
}

/// A row of f32 in f64 less a mean.
struct Widen<'a> {
    from: &'a [f32],
    mean: &'a [f64],
    to: &'a mut [f64],
}

impl WithSimd for Widen<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let from = self.from.iter().zip(self.mean);
        self.to.iter_mut().zip(from).for_each(|(to, (x, mean))| *to = f64::from(*x) - mean);
    }
}

/// A row of f32 added to sums in f64.
struct Sum<'a> {
    of: &'a [f32],
    to: &'a mut [f64],
}

impl WithSimd for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.to.iter_mut().zip(self.of).for_each(|(to, x)| *to += f64::from(*x));
    }
}

/// How many rows there are, their mean, and the products of their columns about it.
///
/// Only what lies on and below the diagonal of the products is filled.
#[derive(Debug, Clone)]
pub(super) struct Moments {
    pub n: usize,
    pub mean: Array1<f64>,
    pub gram: Mat<f64>,
}

impl Moments {
    /// The moments of some rows.
    ///
    /// # Errors
    /// [`crate::Error::NonFinite`] naming the first value that is infinite or not a number.
    pub fn of(stored: &Stored) -> Result<Moments> {
        let mean = stored.mean()?;
        let mut gram = Mat::zeros(stored.width, stored.width);
        stored.add_gram(&mut gram, &mean, 1.0);
        Ok(Moments { n: stored.rows.len(), mean, gram })
    }

    /// The moments of what is left of the rows when some are taken away; nothing if that is so little that too many
    /// digits would go with them.
    pub fn without(&self, stored: &Stored, rows: &[usize]) -> Result<Option<Moments>> {
        let less = stored.with(rows);
        let (n, n_less) = (self.n as f64, rows.len() as f64);
        if rows.is_empty() || rows.len() >= self.n {
            return Ok((rows.is_empty()).then(|| self.clone()));
        }
        let mean_less = less.mean()?;
        let mut gram = self.gram.clone();
        less.add_gram(&mut gram, &mean_less, -1.0);
        // What stands between the two means goes as well.
        let between = (&self.mean - &mean_less) * (n * n_less / (n - n_less)).sqrt(); // [d_model]
        add_gram(gram.as_mut(), view(between.view().insert_axis(Axis(0)))?, -1.0);
        let enough = trace(&gram) > LEAST_LEFT * trace(&self.gram);
        let mean = (&self.mean * n - &(&mean_less * n_less)) / (n - n_less);
        Ok(enough.then_some(Moments { n: self.n - rows.len(), mean, gram }))
    }
}

fn trace(gram: &Mat<f64>) -> f64 {
    (0..gram.nrows()).map(|i| gram[(i, i)]).sum()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::noise;
    use super::*;

    fn near(a: &Moments, b: &Moments, digits: f64) -> bool {
        let d = a.mean.len();
        let scale = trace(&b.gram);
        let below = (0..d).flat_map(|i| (0..=i).map(move |j| (i, j)));
        a.n == b.n
            && (&a.mean - &b.mean).iter().all(|e| e.abs() < digits)
            && below.into_iter().all(|at| (a.gram[at] - b.gram[at]).abs() < digits * scale)
    }

    #[test]
    fn the_moments_are_those_of_the_rows_written_out() {
        // In one tile and in several, with rows and columns that fill no whole block.
        for (n, d) in [(3, 2), (700, 9), (1063, 301)] {
            let x = (noise((n, d), 4) + 1.0).mapv(|v| v as f32);
            let rows: Vec<usize> = (0..n).rev().collect();
            let found = Moments::of(&Stored::of(x.view(), &rows).unwrap()).unwrap();
            let x = x.mapv(f64::from);
            let mean = x.mean_axis(Axis(0)).unwrap();
            let centred = &x - &mean;
            let products = centred.t().dot(&centred);
            let gram = Mat::from_fn(d, d, |i, j| products[[i, j]]);
            assert!(near(&found, &Moments { n, mean, gram }, 1e-14), "{n}, {d}");
        }
    }

    #[test]
    fn what_is_left_has_the_moments_of_its_rows() {
        let x = (noise((1300, 6), 1) + 5.0).mapv(|v| v as f32);
        let all: Vec<usize> = (0..1300).collect();
        let stored = Stored::of(x.view(), &all).unwrap();
        let moments = Moments::of(&stored).unwrap();
        for n_less in [0, 1, 600, 1000] {
            let (less, rest) = all.split_at(n_less);
            let found = moments.without(&stored, less).unwrap().unwrap();
            let expected = Moments::of(&stored.with(rest)).unwrap();
            assert!(near(&found, &expected, 1e-13), "{n_less}");
        }
        let too_much = moments.without(&stored, &all[..1290]).unwrap();
        assert!(too_much.is_none() && moments.without(&stored, &all).unwrap().is_none());
    }

    #[test]
    fn products_are_those_of_centred_rows() {
        let x = noise((700, 4), 2).mapv(|v| v as f32);
        let rows: Vec<usize> = (0..700).filter(|i| i % 3 > 0).collect();
        let stored = Stored::of(x.view(), &rows).unwrap();
        let mean = stored.mean().unwrap();
        let centred = x.select(Axis(0), &rows).mapv(f64::from) - &mean;
        assert!(centred.sum_axis(Axis(0)).iter().all(|e| e.abs() < 1e-11));
        let (y, weights) = (noise((rows.len(), 2), 3), noise((2, 4), 4));
        assert!((stored.along(&mean, &y).unwrap() - centred.t().dot(&y)).iter().all(|e| e.abs() < 1e-11));
        let read = stored.read(&mean, &weights).unwrap();
        assert!((read - centred.dot(&weights.t())).iter().all(|e| e.abs() < 1e-12));
    }
}
