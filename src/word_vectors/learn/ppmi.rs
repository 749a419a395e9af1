//! The matrix of positive pointwise mutual information of pairs of words, stored by its rows.
//!
//! Row `w` and column `c` have `max(0, log(n_wc) + r_w + k_c)`, where `n_wc` is the weighted count of the pair,
//! `r_w = −log n_w` and `k_c = log Σ n^cds − cds · log n_c − log neg`, with the sums `n_w` of the rows of counts. The
//! counts are symmetric, so that one copy of their logarithms serves the matrix and its transpose, which differ where
//! `cds` is not 1.

use super::pairs::Pair;
use super::settings::LearnSettings;
use crate::error::Result;
use crate::limits::{check_memory, product};
use faer::{Mat, MatRef};
use rayon::prelude::*;

/// The matrix, or its transpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The matrix: each row is a word, each column a context.
    Rows,
    /// Its transpose.
    Columns,
}

/// The matrix of PPMI, in compressed rows.
#[derive(Debug)]
pub(super) struct Ppmi {
    /// The begin of each row in `columns` and `logs`, and the end of the last.
    starts: Vec<usize>,
    columns: Vec<u32>,
    /// The logarithm of each count.
    logs: Vec<f32>,
    of_rows: Vec<f64>,
    of_columns: Vec<f64>,
}

impl Ppmi {
    /// The matrix of sorted pairs of `n_words` words; pairs that are 0 on both sides of the diagonal are dropped.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] if it may not fit into the free memory.
    pub(super) fn of(mut pairs: Vec<Pair>, n_words: usize, settings: &LearnSettings) -> Result<Ppmi> {
        let mut sums = vec![0.0; n_words];
        for pair in &pairs {
            // A pair of equal words is near itself in both directions.
            sums[pair.first()] += pair.weight;
            sums[pair.second()] += pair.weight;
        }
        let total: f64 = sums.iter().filter(|sum| **sum > 0.0).map(|sum: &f64| sum.powf(settings.cds)).sum();
        let shift = total.ln() - settings.neg.ln();
        // A word without any pair has neither a row nor a column.
        let log = |sum: &f64| if *sum > 0.0 { sum.ln() } else { 0.0 };
        let of_rows: Vec<f64> = sums.iter().map(|sum| -log(sum)).collect();
        let of_columns: Vec<f64> = sums.iter().map(|sum| shift - settings.cds * log(sum)).collect();
        let log_of = |pair: &Pair| {
            let is_diagonal = pair.first() == pair.second();
            (if is_diagonal { 2.0 * pair.weight } else { pair.weight }).ln() as f32
        };
        let is_kept = |pair: &Pair| {
            let (log, first, second) = (f64::from(log_of(pair)), pair.first(), pair.second());
            log + of_rows[first] + of_columns[second] > 0.0 || log + of_rows[second] + of_columns[first] > 0.0
        };
        pairs.retain(is_kept);
        let bytes = product([pairs.len(), 2, size_of::<u32>() + size_of::<f32>()]);
        check_memory(
            "the matrix of pairs",
            bytes,
            "a larger --min-count, or a smaller --max-words or --window",
        )?;
        let mut starts = vec![0; n_words + 1];
        for pair in &pairs {
            starts[pair.first() + 1] += 1;
            starts[pair.second() + 1] += usize::from(pair.first() != pair.second());
        }
        (0..n_words).for_each(|row| starts[row + 1] += starts[row]);
        let n = starts[n_words];
        let (mut columns, mut logs, mut next) = (vec![0; n], vec![0.0; n], starts.clone());
        let mut put = |row: usize, column: usize, log: f32| {
            (columns[next[row]], logs[next[row]]) = (column as u32, log);
            next[row] += 1;
        };
        // In this order, the columns of each row ascend.
        for pair in &pairs {
            put(pair.first(), pair.second(), log_of(pair));
            if pair.first() != pair.second() {
                put(pair.second(), pair.first(), log_of(pair));
            }
        }
        Ok(Ppmi { starts, columns, logs, of_rows, of_columns })
    }

    /// The number of rows, and of columns.
    pub(super) fn n(&self) -> usize {
        self.of_rows.len()
    }

    /// The number of stored pairs, in both directions.
    pub(super) fn n_stored(&self) -> usize {
        self.logs.len()
    }

    /// The matrix times the columns of `x`; times its transpose for [`Side::Columns`].
    ///
    /// The sum of a row has a fixed order, so that it does not depend on the number of threads.
    ///
    /// # Shapes
    /// `x` and the result are `[n, width]`.
    pub(super) fn times(&self, side: Side, x: MatRef<f64>) -> Mat<f64> {
        let (n, width) = (self.n(), x.ncols());
        let (own, other) = match side {
            Side::Rows => (&self.of_rows, &self.of_columns),
            Side::Columns => (&self.of_columns, &self.of_rows),
        };
        // Row by row, so that a pair of words needs one row of each.
        let mut rows = vec![0.0; n * width];
        for (at, column) in x.col_iter().enumerate() {
            column.iter().enumerate().for_each(|(row, value)| rows[row * width + at] = *value);
        }
        let mut product = vec![0.0; n * width];
        product.par_chunks_mut(width.max(1)).enumerate().for_each(|(row, sums)| {
            let stored = self.starts[row]..self.starts[row + 1];
            for (column, log) in self.columns[stored.clone()].iter().zip(&self.logs[stored]) {
                let column = *column as usize;
                let value = f64::from(*log) + own[row] + other[column];
                if value > 0.0 {
                    let from = &rows[column * width..(column + 1) * width];
                    sums.iter_mut().zip(from).for_each(|(sum, from)| *sum += value * from);
                }
            }
        });
        Mat::from_fn(n, width, |row, column| product[row * width + column])
    }
}
