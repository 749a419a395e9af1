//! Symmetric matrices that are zero far from the diagonal: products, factors with a penalty on, eigenvectors.

use super::reduction::banded;
use super::symmetric::{eigenvectors, pieces, product};
use crate::error::Result;
use faer::Mat;
use ndarray::{Array1, Array2, ArrayViewMut1};

/// A symmetric matrix that is zero more than `width` places from its diagonal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Band {
    /// The entry so many places below each of the diagonal; 0 where the matrix ends, `[n, width + 1]`.
    entries: Array2<f64>,
}

impl Band {
    /// The band of a matrix of which the lower half is filled.
    pub fn of(matrix: &Mat<f64>, width: usize) -> Band {
        let n = matrix.nrows();
        let entry = |(j, below)| if j + below < n { matrix[(j + below, j)] } else { 0.0 };
        Band { entries: Array2::from_shape_fn((n, width + 1), entry) }
    }

    /// How many rows and columns there are.
    pub fn len(&self) -> usize {
        self.entries.nrows()
    }

    /// How far from the diagonal the last entries are that may not be 0.
    pub fn width(&self) -> usize {
        self.entries.ncols() - 1
    }

    /// The sum of the eigenvalues.
    pub fn trace(&self) -> f64 {
        self.entries.column(0).sum()
    }

    /// The sum of the squares of the eigenvalues.
    pub fn sum_of_squares(&self) -> f64 {
        let of_row = |row: ndarray::ArrayView1<f64>| 2.0 * row.dot(&row) - row[0] * row[0];
        self.entries.rows().into_iter().map(of_row).sum()
    }

    /// The product with rows from the left.
    ///
    /// # Shapes
    /// `[n_rows, n]` in and out.
    pub fn times(&self, rows: &Array2<f64>) -> Array2<f64> {
        let n = self.len();
        Array2::from_shape_fn(rows.dim(), |(i, j)| {
            let before = (1..=self.width().min(j)).map(|k| rows[[i, j - k]] * self.entries[[j - k, k]]);
            let after = (1..=self.width().min(n - 1 - j)).map(|k| rows[[i, j + k]] * self.entries[[j, k]]);
            rows[[i, j]] * self.entries[[j, 0]] + before.sum::<f64>() + after.sum::<f64>()
        })
    }

    /// Whether all eigenvalues are surely more than rounding.
    pub fn is_definite(&self) -> bool {
        let n = self.len();
        let mut sums = self.entries.column(0).mapv(f64::abs); // of the absolute values of each row
        for ((j, below), entry) in self.entries.indexed_iter().filter(|((_, below), _)| *below > 0) {
            if j + below < n {
                sums[j] += entry.abs();
                sums[j + below] += entry.abs();
            }
        }
        // No eigenvalue is larger than the largest of these sums.
        let rounding = sums.iter().copied().fold(0.0, f64::max) * f64::EPSILON * n as f64;
        Factors::of(self, -rounding).over_pivots.iter().all(|over| *over > 0.0 && over.is_finite())
    }

    /// The eigenvalues, ascending, those that are only rounding 0, and the eigenvectors as columns, `[n, n]`.
    pub fn eigenvectors(&self) -> Result<(Array1<f64>, Array2<f64>)> {
        if self.width() == 1 {
            return eigenvectors(&self.entries.column(0).to_vec(), &self.entries.column(1).to_vec());
        }
        let n = self.len();
        let mut whole = Mat::zeros(n, n);
        for ((j, below), entry) in self.entries.indexed_iter().filter(|((j, below), _)| j + below < n) {
            whole[(j + below, j)] = *entry;
        }
        let (narrow, basis) = banded(whole, 1)?;
        let (values, vectors) = narrow.eigenvectors()?;
        Ok((values, product(basis.view(), vectors.view(), pieces())?))
    }
}

/// `M + λ = L D Lᵀ` of a band `M`, with ones on the diagonal of `L`.
pub(super) struct Factors {
    /// One over each of `D`.
    pub over_pivots: Vec<f64>,
    /// What stands so many places, and one, before the diagonal in each row of `L`, `[n, width]`.
    pub before: Array2<f64>,
}

impl Factors {
    /// The matrix is positive definite, so that no pivot comes near 0.
    pub fn of(band: &Band, penalty: f64) -> Factors {
        let (n, width) = (band.len(), band.width());
        let mut before = Array2::<f64>::zeros((n, width));
        let mut over_pivots = Vec::with_capacity(n);
        let mut scaled = vec![0.0; width]; // a row of L D
        for j in 0..n {
            let mut pivot = band.entries[[j, 0]] + penalty;
            for back in (1..=width.min(j)).rev() {
                let i = j - back;
                let shared = (back + 1..=width.min(j)).map(|b| scaled[b - 1] * before[[i, b - back - 1]]);
                let value = band.entries[[i, back]] - shared.sum::<f64>();
                scaled[back - 1] = value;
                before[[j, back - 1]] = value * over_pivots[i];
                pivot -= value * before[[j, back - 1]];
            }
            over_pivots.push(1.0 / pivot);
        }
        Factors { over_pivots, before }
    }

    /// Turns a column into the inverse's product with it.
    pub fn solve(&self, mut column: ArrayViewMut1<f64>) {
        self.solve_lower(&mut column);
        for j in (0..column.len()).rev() {
            column[j] *= self.over_pivots[j];
            let after = (1..=self.width().min(column.len() - 1 - j))
                .map(|k| self.before[[j + k, k - 1]] * column[j + k])
                .sum::<f64>();
            column[j] -= after;
        }
    }

    /// Turns a column into `L⁻¹` times it.
    pub fn solve_lower(&self, column: &mut ArrayViewMut1<f64>) {
        for j in 1..column.len() {
            let taken =
                (1..=self.width().min(j)).map(|k| self.before[[j, k - 1]] * column[j - k]).sum::<f64>();
            column[j] -= taken;
        }
    }

    pub fn width(&self) -> usize {
        self.before.ncols()
    }
}
