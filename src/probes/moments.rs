//! Rows of activations as they are stored, and their first two moments, off which rows can be taken again.

use super::decomposition::check_finite;
use super::symmetric::{add_gram, view};
use crate::error::Result;
use faer::Mat;
use ndarray::{Array1, Array2, ArrayView2, Axis};
use rayon::prelude::*;
use std::ops::Range;

/// Rows that are widened to f64 at a time.
const BLOCK_ROWS: usize = 512;
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

    /// Some of the rows in f64 less a mean, by their places among those that are meant.
    pub fn block(&self, block: Range<usize>, mean: &Array1<f64>) -> Array2<f64> {
        let mut wide = Array2::zeros((block.len(), self.width));
        let places = &self.rows[block];
        // New arrays lie in row order: both have a slice.
        if let (Some(values), Some(mean)) = (wide.as_slice_mut(), mean.as_slice()) {
            values.par_chunks_mut(self.width).zip(places).with_min_len(32).for_each(|(to, &row)| {
                let from = &self.values[row * self.width..(row + 1) * self.width];
                to.iter_mut()
                    .zip(from.iter().zip(mean))
                    .for_each(|(to, (x, mean))| *to = f64::from(*x) - mean);
            });
        }
        wide
    }

    /// The places of the rows, a block at a time.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let n = self.rows.len();
        (0..n).step_by(BLOCK_ROWS).map(move |start| start..(start + BLOCK_ROWS).min(n))
    }

    /// The mean row; refuses what is no number, naming how many of the rows come before it.
    fn mean(&self) -> Result<Array1<f64>> {
        let mut sum = Array1::<f64>::zeros(self.width);
        let nothing = sum.clone();
        for block in self.blocks() {
            let after = format!("activations, after {} others", block.start);
            let block = self.block(block, &nothing);
            check_finite(block.view(), &after)?;
            sum += &block.sum_axis(Axis(0));
        }
        Ok(sum / self.rows.len() as f64)
    }

    /// The product of the rows, less their mean, with some columns.
    ///
    /// # Shapes
    /// `y` is `[n_rows, n]`; `[d_model, n]`.
    pub fn along(&self, mean: &Array1<f64>, y: &Array2<f64>) -> Array2<f64> {
        let mut moments = Array2::zeros((self.width, y.ncols()));
        for (block, y) in self.blocks().zip(y.axis_chunks_iter(Axis(0), BLOCK_ROWS)) {
            moments += &self.block(block, mean).t().dot(&y);
        }
        moments
    }

    /// The product of the rows, less their mean, with some weights.
    ///
    /// # Shapes
    /// `weights` is `[n, d_model]`; `[n_rows, n]`.
    pub fn read(&self, mean: &Array1<f64>, weights: &Array2<f64>) -> Array2<f64> {
        let mut read = Array2::zeros((self.rows.len(), weights.nrows()));
        for (block, mut out) in self.blocks().zip(read.axis_chunks_iter_mut(Axis(0), BLOCK_ROWS)) {
            out.assign(&self.block(block, mean).dot(&weights.t()));
        }
        read
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
        for block in stored.blocks() {
            let block = stored.block(block, &mean);
            add_gram(&mut gram, view(block.view())?, 1.0);
        }
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
        for block in less.blocks() {
            let block = less.block(block, &mean_less);
            add_gram(&mut gram, view(block.view())?, -1.0);
        }
        // What stands between the two means goes as well.
        let between = (&self.mean - &mean_less) * (n * n_less / (n - n_less)).sqrt(); // [d_model]
        add_gram(&mut gram, view(between.view().insert_axis(Axis(0)))?, -1.0);
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
        assert!((stored.along(&mean, &y) - centred.t().dot(&y)).iter().all(|e| e.abs() < 1e-11));
        assert!((stored.read(&mean, &weights) - centred.dot(&weights.t())).iter().all(|e| e.abs() < 1e-12));
    }
}
