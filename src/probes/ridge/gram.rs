//! The inner matrix `M` of `XᵀX = B M Bᵀ`: solves at a penalty, leverages and fitted values of rows.
//!
//! With orthonormal `B`, `(XᵀX + λ)⁻¹ = B (M + λ)⁻¹ Bᵀ`, so a ridge fit at any penalty needs only `(M + λ)⁻¹`.

use super::band::{Band, Factors};
use super::band_solve::BandSolver;
use crate::error::{Error, Result};
use ndarray::{Array1, Array2, ArrayView2};

/// The matrix `M` in `XᵀX = B M Bᵀ`, where `B` is orthonormal.
#[derive(Debug, Clone)]
pub(super) enum InnerGram {
    /// The eigenvalues, 0 where they are as small as rounding errors; `B` holds the principal axes.
    Diagonal(Array1<f64>),
    /// A band of full rank, solved by substitution along the diagonal, without eigenvectors.
    Band(Band),
}

impl InnerGram {
    /// The number of eigenvalues that are not 0.
    pub(super) fn rank(&self) -> usize {
        match self {
            InnerGram::Diagonal(eigenvalues) => eigenvalues.iter().filter(|&&s| s > 0.0).count(),
            InnerGram::Band(band) => band.len(),
        }
    }

    /// The sum of the eigenvalues.
    pub(super) fn trace(&self) -> f64 {
        match self {
            InnerGram::Diagonal(eigenvalues) => eigenvalues.sum(),
            InnerGram::Band(band) => band.trace(),
        }
    }

    /// The sum of the squares of the eigenvalues.
    pub(super) fn sum_of_squares(&self) -> f64 {
        match self {
            InnerGram::Diagonal(eigenvalues) => eigenvalues.dot(eigenvalues),
            InnerGram::Band(band) => band.sum_of_squares(),
        }
    }

    /// The eigenvalues, along the principal axes.
    ///
    /// # Errors
    /// [`Error::Internal`] if the matrix is a band.
    pub(super) fn eigenvalues(&self) -> Result<&Array1<f64>> {
        match self {
            InnerGram::Diagonal(eigenvalues) => Ok(eigenvalues),
            InnerGram::Band(_) => Err(Error::Internal("eigenvalues requested from a band".into())),
        }
    }

    /// The product `rows · M`.
    ///
    /// # Shapes
    /// `[n, n_axes]` in and out.
    pub(super) fn times(&self, rows: &Array2<f64>) -> Array2<f64> {
        match self {
            InnerGram::Diagonal(eigenvalues) => rows * eigenvalues,
            InnerGram::Band(band) => band.times(rows),
        }
    }

    /// The product of `(M + λ)⁻¹` with `columns`.
    ///
    /// # Shapes
    /// `[n_axes, n]` in and out.
    pub(super) fn solve(&self, penalty: f64, columns: &Array2<f64>) -> Array2<f64> {
        let mut product = columns.clone();
        match self {
            InnerGram::Diagonal(eigenvalues) => {
                let rows = product.rows_mut().into_iter().zip(eigenvalues);
                rows.for_each(|(mut row, s)| row *= shrink(*s, penalty));
            }
            InnerGram::Band(band) => {
                let factors = Factors::of(band, penalty);
                product.columns_mut().into_iter().for_each(|column| factors.solve(column));
            }
        }
        product
    }

    /// Prepares the leverages and fitted values of rows at several penalties, for the right-hand sides `rhs`.
    ///
    /// # Shapes
    /// `rhs` is `[n_axes, n_columns]`.
    pub(super) fn row_fit(&self, penalties: &[f64], rhs: &Array2<f64>) -> RowFit {
        let eigenvalues = match self {
            InnerGram::Diagonal(eigenvalues) => eigenvalues,
            InnerGram::Band(band) => return RowFit::Band(BandSolver::of(band, penalties, rhs)),
        };
        let (n_axes, n) = rhs.dim();
        let factors =
            Array2::from_shape_fn((n_axes, penalties.len()), |(j, l)| shrink(eigenvalues[j], penalties[l]));
        let shape = (n_axes, penalties.len() * n);
        let weights = Array2::from_shape_fn(shape, |(j, c)| factors[[j, c / n]] * rhs[[j, c % n]]);
        RowFit::Diagonal { factors, weights }
    }
}

/// The leverages and fitted values of rows at several penalties.
pub(super) enum RowFit {
    Diagonal {
        /// `[n_axes, n_penalties]`.
        factors: Array2<f64>,
        /// `[n_axes, n_penalties * n_columns]`.
        weights: Array2<f64>,
    },
    Band(BandSolver),
}

impl RowFit {
    /// The leverage `t (M + λ)⁻¹ tᵀ` and the fitted values `t (M + λ)⁻¹ a` of each row `t`, in order of the penalties.
    ///
    /// # Shapes
    /// `[n, n_axes]` to `[n, n_penalties]` and `[n, n_penalties * n_columns]`.
    pub(super) fn fit(&self, rows: ArrayView2<f64>) -> (Array2<f64>, Array2<f64>) {
        match self {
            RowFit::Diagonal { factors, weights } => (rows.mapv(|v| v * v).dot(factors), rows.dot(weights)),
            RowFit::Band(solver) => solver.fit(rows),
        }
    }
}

/// The factor `1 / (s + λ)` of `(M + λ)⁻¹` along a principal axis with eigenvalue `s`; 0 along an axis without
/// variance.
fn shrink(eigenvalue: f64, penalty: f64) -> f64 {
    if eigenvalue > 0.0 { 1.0 / (eigenvalue + penalty) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::super::band_reduction::{band_eigenvectors, to_band};
    use super::*;
    use crate::probes::fixture::noise;
    use faer::Mat;
    use ndarray::s;

    /// The Gram matrix of random columns: as a dense matrix, and as a band with its basis.
    fn example(n: usize, width: usize) -> (Array2<f64>, Band, Array2<f64>) {
        let x = noise([2 * n + 5, n], 7);
        let dense = x.t().dot(&x);
        let (band, basis) =
            to_band(Mat::from_fn(n, n, |i, j| if i >= j { dense[[i, j]] } else { f64::NAN }), width).unwrap();
        (dense, band, basis)
    }

    fn near(a: &Array2<f64>, b: &Array2<f64>) -> bool {
        assert_eq!(a.dim(), b.dim());
        (a - b).iter().all(|e| e.abs() < 1e-10)
    }

    const SIZES: [usize; 8] = [1, 2, 7, 16, 17, 40, 153, 530];
    const WIDTHS: [usize; 3] = [1, 8, 16];

    #[test]
    fn a_matrix_is_the_product_of_its_basis_and_its_band() {
        for n in SIZES {
            for width in WIDTHS {
                let (dense, band, basis) = example(n, width);
                assert_eq!((band.len(), band.width()), (n, width));
                assert!(near(&basis.t().dot(&basis), &Array2::eye(n)), "{n}, {width}");
                let back = band.times(&basis).dot(&basis.t());
                assert!(near(&back, &dense), "{n}, {width}");
                assert!((band.trace() - dense.diag().sum()).abs() < 1e-10);
                assert!(
                    (band.sum_of_squares() / dense.iter().map(|v| v * v).sum::<f64>() - 1.0).abs() < 1e-12
                );
            }
        }
    }

    #[test]
    fn solves_and_row_fits_equal_those_of_the_dense_matrix() {
        let penalties = [0.0, 0.3, 100.0];
        for n in SIZES.into_iter().filter(|n| *n < 500) {
            for width in WIDTHS {
                let (_, band, _) = example(n, width);
                let gram = InnerGram::Band(band);
                let dense = gram.times(&Array2::eye(n));
                for n_columns in [1, 2, 3, 7] {
                    let (rows, rhs) = (noise([21, n], 1), noise([n, n_columns], 2));
                    let (leverages, fitted) = gram.row_fit(&penalties, &rhs).fit(rows.view());
                    for (l, penalty) in penalties.into_iter().enumerate() {
                        let whole = &dense + &(Array2::<f64>::eye(n) * penalty);
                        let found = gram.solve(penalty, &rhs);
                        assert!(near(&whole.dot(&found), &rhs), "{n}, {width}, {penalty}");
                        assert!(near(
                            &fitted.slice(s![.., l * n_columns..(l + 1) * n_columns]).to_owned(),
                            &rows.dot(&found)
                        ));
                        let solved = gram.solve(penalty, &rows.t().to_owned()); // [n, 21]
                        let expected = (&solved.t() * &rows).sum_axis(ndarray::Axis(1));
                        assert!((&leverages.column(l) - &expected).iter().all(|e| e.abs() < 1e-10));
                    }
                }
            }
        }
    }

    #[test]
    fn the_diagonal_and_the_band_give_the_same_fits() {
        for (n, width) in [(5, 1), (30, 1), (30, 8), (50, 16)] {
            let (_, band, _) = example(n, width);
            let (eigenvalues, vectors) = band_eigenvectors(&band).unwrap();
            let (band, diagonal) = (InnerGram::Band(band), InnerGram::Diagonal(eigenvalues));
            assert_eq!((band.rank(), diagonal.rank()), (n, n));
            assert!((band.trace() / diagonal.trace() - 1.0).abs() < 1e-12);
            assert!((band.sum_of_squares() / diagonal.sum_of_squares() - 1.0).abs() < 1e-12);
            let (rows, rhs) = (noise([7, n], 3), noise([n, 2], 4));
            let (rotated, rotated_rhs) = (rows.dot(&vectors), vectors.t().dot(&rhs));
            let penalties = [0.1, 10.0];
            let (a, b) = (band.row_fit(&penalties, &rhs), diagonal.row_fit(&penalties, &rotated_rhs));
            let (a, b) = (a.fit(rows.view()), b.fit(rotated.view()));
            assert!(near(&a.0, &b.0) && near(&a.1, &b.1));
            let back = vectors.dot(&diagonal.solve(0.1, &rotated_rhs));
            assert!(near(&band.solve(0.1, &rhs), &back));
        }
    }

    #[test]
    fn a_band_of_less_than_full_rank_is_not_definite() {
        for (n, width) in [(20, 1), (40, 8), (60, 16)] {
            assert!(example(n, width).1.is_definite());
            let x = noise([n - 1, n], 5);
            let less = x.t().dot(&x);
            let (band, _) = to_band(Mat::from_fn(n, n, |i, j| less[[i, j]]), width).unwrap();
            assert!(!band.is_definite());
            assert_eq!(band_eigenvectors(&band).unwrap().0.iter().filter(|s| **s > 0.0).count(), n - 1);
        }
    }
}
