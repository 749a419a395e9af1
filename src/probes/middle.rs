//! What stands between the axes of a decomposition: its inverse at a penalty, and the leverage of rows.

use super::symmetric::Tridiagonal;
use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use pulp::{Arch, Simd, WithSimd};

/// The matrix `M` in `XᵀX = B M Bᵀ`, where `B` is orthonormal.
#[derive(Debug, Clone)]
pub(super) enum Middle {
    /// Eigenvalues, those that are only rounding 0: `B` are the principal axes.
    Diagonal(Array1<f64>),
    /// Of full rank: its inverse is a walk along the diagonal, for which nobody needs principal axes.
    Tridiagonal(Tridiagonal),
}

impl Middle {
    /// The product with rows from the left.
    ///
    /// # Shapes
    /// `[n, n_axes]` in and out.
    pub fn times(&self, rows: &Array2<f64>) -> Array2<f64> {
        let Tridiagonal { diagonal, beside } = match self {
            Middle::Diagonal(eigenvalues) => return rows * eigenvalues,
            Middle::Tridiagonal(matrix) => matrix,
        };
        Array2::from_shape_fn(rows.dim(), |(i, j)| {
            let before = if j > 0 { rows[[i, j - 1]] * beside[j - 1] } else { 0.0 };
            let after = beside.get(j).map_or(0.0, |beside| rows[[i, j + 1]] * beside);
            before + rows[[i, j]] * diagonal[j] + after
        })
    }

    /// `(M + λ)⁻¹` for each of some penalties.
    pub fn inverses(&self, penalties: &[f64]) -> Inverses {
        match self {
            Middle::Diagonal(eigenvalues) => {
                let shape = (eigenvalues.len(), penalties.len());
                Inverses::Diagonal(Array2::from_shape_fn(shape, |(j, l)| {
                    shrink(eigenvalues[j], penalties[l])
                }))
            }
            Middle::Tridiagonal(matrix) => {
                Inverses::Tridiagonal(penalties.iter().map(|&penalty| Factors::of(matrix, penalty)).collect())
            }
        }
    }
}

/// The inverses at several penalties.
pub(super) enum Inverses {
    /// `[n_axes, n_penalties]`.
    Diagonal(Array2<f64>),
    Tridiagonal(Vec<Factors>),
}

impl Inverses {
    /// The products with some columns, those of the first penalty first.
    ///
    /// # Shapes
    /// `[n_axes, n]` to `[n_axes, n_penalties * n]`.
    pub fn times(&self, columns: &Array2<f64>) -> Array2<f64> {
        let (n_axes, n) = columns.dim();
        match self {
            Inverses::Diagonal(factors) => {
                let shape = (n_axes, factors.ncols() * n);
                Array2::from_shape_fn(shape, |(j, c)| factors[[j, c / n]] * columns[[j, c % n]])
            }
            Inverses::Tridiagonal(factors) => {
                let mut products = Array2::zeros((n_axes, factors.len() * n));
                for (l, factors) in factors.iter().enumerate() {
                    let mut part = products.slice_mut(s![.., l * n..(l + 1) * n]);
                    part.assign(columns);
                    part.columns_mut().into_iter().for_each(|column| factors.solve(column));
                }
                products
            }
        }
    }

    /// `t (M + λ)⁻¹ tᵀ` of each row `t` and penalty.
    ///
    /// # Shapes
    /// `[n, n_axes]` to `[n, n_penalties]`.
    pub fn leverages(&self, rows: ArrayView2<f64>) -> Array2<f64> {
        let factors = match self {
            Inverses::Diagonal(factors) => return rows.mapv(|v| v * v).dot(factors),
            Inverses::Tridiagonal(factors) => factors,
        };
        let mut leverages = Array2::zeros((rows.nrows(), factors.len()));
        let arch = Arch::new();
        let mut lanes = vec![[0.0; LANES]; rows.ncols()]; // [n_axes, LANES]
        let some = rows.axis_chunks_iter(Axis(0), LANES);
        for (rows, mut out) in some.zip(leverages.axis_chunks_iter_mut(Axis(0), LANES)) {
            for (lane, row) in rows.rows().into_iter().enumerate() {
                lanes.iter_mut().zip(row).for_each(|(lanes, value)| lanes[lane] = *value);
            }
            for (mut out, factors) in out.columns_mut().into_iter().zip(factors) {
                let found = arch.dispatch(Walk { factors, lanes: &lanes });
                out.iter_mut().zip(found).for_each(|(out, found)| *out = found);
            }
        }
        leverages
    }
}

/// Rows that walk along the diagonal together: enough to fill vector registers while a sum waits for its last term.
const LANES: usize = 16;

/// `M + λ = L D Lᵀ` with ones on the diagonal of `L`.
pub(super) struct Factors {
    /// One over each of `D`.
    over_pivots: Vec<f64>,
    /// What stands below the diagonal of `L`; the last is 0.
    below: Vec<f64>,
}

impl Factors {
    /// The matrix is positive definite, so that no pivot comes near 0.
    fn of(matrix: &Tridiagonal, penalty: f64) -> Factors {
        let n = matrix.diagonal.len();
        let (mut over_pivots, mut below) = (Vec::with_capacity(n), Vec::with_capacity(n));
        let mut taken = 0.0;
        for (j, diagonal) in matrix.diagonal.iter().enumerate() {
            let over_pivot = 1.0 / (diagonal + penalty - taken);
            let beside = matrix.beside.get(j).copied().unwrap_or(0.0);
            over_pivots.push(over_pivot);
            below.push(beside * over_pivot);
            taken = beside * beside * over_pivot;
        }
        Factors { over_pivots, below }
    }

    /// Turns a column into the inverse's product with it.
    fn solve(&self, mut column: ndarray::ArrayViewMut1<f64>) {
        let n = column.len();
        for j in 1..n {
            column[j] -= self.below[j - 1] * column[j - 1];
        }
        for j in (0..n).rev() {
            let after = if j + 1 < n { self.below[j] * column[j + 1] } else { 0.0 };
            column[j] = column[j] * self.over_pivots[j] - after;
        }
    }
}

/// `Σ_j (L⁻¹ t)_j² / D_j` of some rows `t`.
struct Walk<'a> {
    factors: &'a Factors,
    lanes: &'a [[f64; LANES]],
}

impl WithSimd for Walk<'_> {
    type Output = [f64; LANES];

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> [f64; LANES] {
        let (mut walked, mut sums) = ([0.0; LANES], [0.0; LANES]);
        let mut below = 0.0;
        let factors = self.factors.below.iter().zip(&self.factors.over_pivots);
        for (row, (next, over_pivot)) in self.lanes.iter().zip(factors) {
            for lane in 0..LANES {
                walked[lane] = row[lane] - below * walked[lane];
                sums[lane] += walked[lane] * walked[lane] * over_pivot;
            }
            below = *next;
        }
        sums
    }
}

/// Whether a penalty acts on an axis: the factor that takes `Tᵀ y` to weights along it.
fn shrink(eigenvalue: f64, penalty: f64) -> f64 {
    if eigenvalue > 0.0 { 1.0 / (eigenvalue + penalty) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::noise;
    use super::*;

    /// A tridiagonal matrix, also written out.
    fn example() -> (Tridiagonal, Array2<f64>) {
        let matrix =
            Tridiagonal { diagonal: vec![4.0, 3.0, 5.0, 2.0, 9.0], beside: vec![1.0, -2.0, 0.5, 1.5] };
        let dense = Array2::from_shape_fn((5, 5), |(i, j)| match i.abs_diff(j) {
            0 => matrix.diagonal[i],
            1 => matrix.beside[i.min(j)],
            _ => 0.0,
        });
        (matrix, dense)
    }

    #[test]
    fn products_and_inverses_are_those_of_the_matrix_written_out() {
        let (matrix, dense) = example();
        let middle = Middle::Tridiagonal(matrix);
        let rows = noise((40, 5), 1);
        assert!((middle.times(&rows) - rows.dot(&dense)).iter().all(|e| e.abs() < 1e-12));
        let penalties = [0.0, 0.3, 100.0];
        let inverses = middle.inverses(&penalties);
        let columns = noise((5, 2), 2);
        let (found, leverages) = (inverses.times(&columns), inverses.leverages(rows.view()));
        for (l, penalty) in penalties.into_iter().enumerate() {
            let whole = &dense + &(Array2::<f64>::eye(5) * penalty);
            let back = whole.dot(&found.slice(s![.., 2 * l..2 * l + 2]));
            assert!((back - &columns).iter().all(|e| e.abs() < 1e-12), "{penalty}");
            let turned = inverses.times(&rows.t().to_owned()); // [5, 3 * 40]
            for (i, row) in rows.rows().into_iter().enumerate() {
                let expected = row.dot(&turned.column(40 * l + i));
                assert!((leverages[[i, l]] - expected).abs() < 1e-12, "{penalty}, row {i}");
            }
        }
    }

    #[test]
    fn the_diagonal_and_the_tridiagonal_form_mean_the_same() {
        let (matrix, _) = example();
        let (eigenvalues, vectors) = matrix.eigenvectors().unwrap();
        let alone = matrix.eigenvalues().unwrap();
        assert!((&eigenvalues - &alone).iter().all(|e| e.abs() < 1e-12));
        let (tridiagonal, diagonal) = (Middle::Tridiagonal(matrix), Middle::Diagonal(eigenvalues));
        let rows = noise((7, 5), 3);
        let penalties = [0.1, 10.0];
        let (a, b) = (tridiagonal.inverses(&penalties), diagonal.inverses(&penalties));
        let turned = rows.dot(&vectors);
        assert!((a.leverages(rows.view()) - b.leverages(turned.view())).iter().all(|e| e.abs() < 1e-12));
        let (along, turned) = (rows.t().to_owned(), turned.t().to_owned());
        let back = vectors.dot(&b.times(&turned));
        assert!((a.times(&along) - back).iter().all(|e| e.abs() < 1e-12));
    }
}
