//! Symmetric band matrices: products, and the LDLᵀ factors of `M + λ`.
//!
//! A band matrix `M` of width `w` has `M_ij = 0` for `|i − j| > w`. With a penalty it factors as `M + λ = L D Lᵀ`,
//! where `L` has ones on its diagonal and the same width: `D_j = M_jj + λ − Σ_k L_jk² D_k` and
//! `L_jk = (M_jk − Σ_m L_jm D_m L_km) / D_k`, where the sums run over at most `w` earlier columns. So `(M + λ)⁻¹ a`
//! is one forward and one backward substitution, of `O(n w)` steps.

use faer::Mat;
use ndarray::{Array2, ArrayViewMut1};

/// A symmetric matrix whose entries are 0 at a distance of more than `width` from the diagonal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Band {
    /// `entries[[j, k]]` is `M[j + k, j]`, or 0 beyond the last row, `[n, width + 1]`.
    entries: Array2<f64>,
}

impl Band {
    /// The band of a matrix; only its lower triangle is read.
    pub(super) fn of(matrix: &Mat<f64>, width: usize) -> Band {
        let n = matrix.nrows();
        let entry = |(j, below)| if j + below < n { matrix[(j + below, j)] } else { 0.0 };
        Band { entries: Array2::from_shape_fn((n, width + 1), entry) }
    }

    /// The number of rows and of columns.
    pub(super) fn len(&self) -> usize {
        self.entries.nrows()
    }

    /// The greatest distance from the diagonal at which an entry may differ from 0.
    pub(super) fn width(&self) -> usize {
        self.entries.ncols() - 1
    }

    /// The sum of the eigenvalues.
    pub(super) fn trace(&self) -> f64 {
        self.entries.column(0).sum()
    }

    /// The sum of the squares of the eigenvalues.
    pub(super) fn sum_of_squares(&self) -> f64 {
        let of_row = |row: ndarray::ArrayView1<f64>| 2.0 * row.dot(&row) - row[0] * row[0];
        self.entries.rows().into_iter().map(of_row).sum()
    }

    /// The product `rows · M`.
    ///
    /// # Shapes
    /// `[n_rows, n]` in and out.
    pub(super) fn times(&self, rows: &Array2<f64>) -> Array2<f64> {
        let n = self.len();
        Array2::from_shape_fn(rows.dim(), |(i, j)| {
            let before = (1..=self.width().min(j)).map(|k| rows[[i, j - k]] * self.entries[[j - k, k]]);
            let after = (1..=self.width().min(n - 1 - j)).map(|k| rows[[i, j + k]] * self.entries[[j, k]]);
            rows[[i, j]] * self.entries[[j, 0]] + before.sum::<f64>() + after.sum::<f64>()
        })
    }

    /// Returns true if every eigenvalue is certainly greater than the rounding error.
    pub(super) fn is_definite(&self) -> bool {
        let n = self.len();
        let mut sums = self.entries.column(0).mapv(f64::abs); // absolute row sums
        for ((j, below), entry) in self.entries.indexed_iter().filter(|((_, below), _)| *below > 0) {
            if j + below < n {
                sums[j] += entry.abs();
                sums[j + below] += entry.abs();
            }
        }
        // The largest absolute row sum bounds every eigenvalue.
        let rounding = sums.iter().copied().fold(0.0, f64::max) * f64::EPSILON * n as f64;
        Factors::of(self, -rounding)
            .inverse_pivots
            .iter()
            .all(|inverse| *inverse > 0.0 && inverse.is_finite())
    }

    /// The entries at `distance` below the diagonal, padded to the number of rows.
    pub(super) fn below_diagonal(&self, distance: usize) -> Vec<f64> {
        self.entries.column(distance).to_vec()
    }

    /// The dense matrix; only the lower triangle is filled.
    pub(super) fn to_lower(&self) -> Mat<f64> {
        let n = self.len();
        let mut whole = Mat::zeros(n, n);
        for ((j, below), entry) in self.entries.indexed_iter().filter(|((j, below), _)| j + below < n) {
            whole[(j + below, j)] = *entry;
        }
        whole
    }
}

/// The factors of `M + λ = L D Lᵀ`, with ones on the diagonal of `L`.
pub(super) struct Factors {
    /// The inverse of each entry of `D`, `[n]`.
    pub inverse_pivots: Vec<f64>,
    /// `lower[[j, k]]` is `L[j, j − 1 − k]`, `[n, width]`.
    pub lower: Array2<f64>,
}

impl Factors {
    /// Factors `M + λ`, which must be positive definite, so that no pivot is near 0.
    pub(super) fn of(band: &Band, penalty: f64) -> Factors {
        let (n, width) = (band.len(), band.width());
        let mut lower = Array2::<f64>::zeros((n, width));
        let mut inverse_pivots = Vec::with_capacity(n);
        let mut scaled = vec![0.0; width]; // one row of L D
        for j in 0..n {
            let mut pivot = band.entries[[j, 0]] + penalty;
            for back in (1..=width.min(j)).rev() {
                let i = j - back;
                let shared = (back + 1..=width.min(j)).map(|b| scaled[b - 1] * lower[[i, b - back - 1]]);
                let value = band.entries[[i, back]] - shared.sum::<f64>();
                scaled[back - 1] = value;
                lower[[j, back - 1]] = value * inverse_pivots[i];
                pivot -= value * lower[[j, back - 1]];
            }
            inverse_pivots.push(1.0 / pivot);
        }
        Factors { inverse_pivots, lower }
    }

    /// Replaces a column `a` by `(M + λ)⁻¹ a`.
    pub(super) fn solve(&self, mut column: ArrayViewMut1<f64>) {
        self.solve_lower(&mut column);
        for j in (0..column.len()).rev() {
            column[j] *= self.inverse_pivots[j];
            let after = (1..=self.width().min(column.len() - 1 - j))
                .map(|k| self.lower[[j + k, k - 1]] * column[j + k])
                .sum::<f64>();
            column[j] -= after;
        }
    }

    /// Replaces a column `a` by `L⁻¹ a`.
    pub(super) fn solve_lower(&self, column: &mut ArrayViewMut1<f64>) {
        for j in 1..column.len() {
            let known =
                (1..=self.width().min(j)).map(|k| self.lower[[j, k - 1]] * column[j - k]).sum::<f64>();
            column[j] -= known;
        }
    }

    /// The width of the band.
    pub(super) fn width(&self) -> usize {
        self.lower.ncols()
    }
}
