//! What stands between the axes of a decomposition: its inverse at a penalty, and what rows are read as there.

use super::band::{Band, Factors};
use super::walk::Walks;
use crate::error::{Error, Result};
use ndarray::{Array1, Array2, ArrayView2};

/// The matrix `M` in `XᵀX = B M Bᵀ`, where `B` is orthonormal.
#[derive(Debug, Clone)]
pub(super) enum Middle {
    /// Eigenvalues, those that are only rounding 0: `B` are the principal axes.
    Diagonal(Array1<f64>),
    /// Of full rank: its inverse is a walk along the diagonal, for which nobody needs principal axes.
    Band(Band),
}

impl Middle {
    /// How many eigenvalues are not 0.
    pub fn rank(&self) -> usize {
        match self {
            Middle::Diagonal(eigenvalues) => eigenvalues.iter().filter(|&&s| s > 0.0).count(),
            Middle::Band(band) => band.len(),
        }
    }

    /// The sum of the eigenvalues.
    pub fn trace(&self) -> f64 {
        match self {
            Middle::Diagonal(eigenvalues) => eigenvalues.sum(),
            Middle::Band(band) => band.trace(),
        }
    }

    /// The sum of the squares of the eigenvalues.
    pub fn sum_of_squares(&self) -> f64 {
        match self {
            Middle::Diagonal(eigenvalues) => eigenvalues.dot(eigenvalues),
            Middle::Band(band) => band.sum_of_squares(),
        }
    }

    /// The eigenvalues, along the principal axes.
    ///
    /// # Errors
    /// [`Error::Internal`] if the axes are others.
    pub fn eigenvalues(&self) -> Result<&Array1<f64>> {
        match self {
            Middle::Diagonal(eigenvalues) => Ok(eigenvalues),
            Middle::Band(_) => Err(Error::Internal("eigenvalues of a band were asked for".into())),
        }
    }

    /// The product with rows from the left.
    ///
    /// # Shapes
    /// `[n, n_axes]` in and out.
    pub fn times(&self, rows: &Array2<f64>) -> Array2<f64> {
        match self {
            Middle::Diagonal(eigenvalues) => rows * eigenvalues,
            Middle::Band(band) => band.times(rows),
        }
    }

    /// The product of `(M + λ)⁻¹` with some columns.
    ///
    /// # Shapes
    /// `[n_axes, n]` in and out.
    pub fn inverse_times(&self, penalty: f64, columns: &Array2<f64>) -> Array2<f64> {
        let mut product = columns.clone();
        match self {
            Middle::Diagonal(eigenvalues) => {
                let rows = product.rows_mut().into_iter().zip(eigenvalues);
                rows.for_each(|(mut row, s)| row *= shrink(*s, penalty));
            }
            Middle::Band(band) => {
                let factors = Factors::of(band, penalty);
                product.columns_mut().into_iter().for_each(|column| factors.solve(column));
            }
        }
        product
    }

    /// How rows are read at each of some penalties.
    ///
    /// # Shapes
    /// `along` is `[n_axes, n_columns]`.
    pub fn reader(&self, penalties: &[f64], along: &Array2<f64>) -> Reader {
        let eigenvalues = match self {
            Middle::Diagonal(eigenvalues) => eigenvalues,
            Middle::Band(band) => return Reader::Band(Walks::of(band, penalties, along)),
        };
        let (n_axes, n) = along.dim();
        let factors =
            Array2::from_shape_fn((n_axes, penalties.len()), |(j, l)| shrink(eigenvalues[j], penalties[l]));
        let fits = (n_axes, penalties.len() * n);
        let fits = Array2::from_shape_fn(fits, |(j, c)| factors[[j, c / n]] * along[[j, c % n]]);
        Reader::Diagonal { factors, fits }
    }
}

/// The inverses at several penalties, and some columns by which rows are read.
pub(super) enum Reader {
    Diagonal {
        /// `[n_axes, n_penalties]`.
        factors: Array2<f64>,
        /// `[n_axes, n_penalties * n_columns]`.
        fits: Array2<f64>,
    },
    Band(Walks),
}

impl Reader {
    /// Of each row `t`, the leverage `t (M + λ)⁻¹ tᵀ` and the readings `t (M + λ)⁻¹ a`, those of the first penalty first.
    ///
    /// # Shapes
    /// `[n, n_axes]` to `[n, n_penalties]` and `[n, n_penalties * n_columns]`.
    pub fn along(&self, rows: ArrayView2<f64>) -> (Array2<f64>, Array2<f64>) {
        match self {
            Reader::Diagonal { factors, fits } => (rows.mapv(|v| v * v).dot(factors), rows.dot(fits)),
            Reader::Band(walks) => walks.along(rows),
        }
    }
}

/// Whether a penalty acts on an axis: the factor that takes `Tᵀ y` to weights along it.
fn shrink(eigenvalue: f64, penalty: f64) -> f64 {
    if eigenvalue > 0.0 { 1.0 / (eigenvalue + penalty) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::noise;
    use super::super::reduction::banded;
    use super::*;
    use faer::Mat;
    use ndarray::s;

    /// The products of columns of noise with themselves, as they are and as a band with its basis.
    fn example(n: usize, width: usize) -> (Array2<f64>, Band, Array2<f64>) {
        let x = noise((2 * n + 5, n), 7);
        let dense = x.t().dot(&x);
        let (band, basis) =
            banded(Mat::from_fn(n, n, |i, j| if i >= j { dense[[i, j]] } else { f64::NAN }), width).unwrap();
        (dense, band, basis)
    }

    fn near(a: &Array2<f64>, b: &Array2<f64>) -> bool {
        assert_eq!(a.dim(), b.dim());
        (a - b).iter().all(|e| e.abs() < 1e-10)
    }

    const SIZES: [usize; 8] = [1, 2, 7, 16, 17, 40, 153, 530];
    const WIDTHS: [usize; 3] = [1, 8, 16];

    #[test]
    fn a_matrix_is_its_basis_and_its_band() {
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
    fn inverses_and_readings_are_those_of_the_matrix_written_out() {
        let penalties = [0.0, 0.3, 100.0];
        for n in SIZES.into_iter().filter(|n| *n < 500) {
            for width in WIDTHS {
                let (_, band, _) = example(n, width);
                let middle = Middle::Band(band);
                let dense = middle.times(&Array2::eye(n));
                for n_columns in [1, 2, 3, 7] {
                    let (rows, along) = (noise((21, n), 1), noise((n, n_columns), 2));
                    let (leverages, readings) = middle.reader(&penalties, &along).along(rows.view());
                    for (l, penalty) in penalties.into_iter().enumerate() {
                        let whole = &dense + &(Array2::<f64>::eye(n) * penalty);
                        let found = middle.inverse_times(penalty, &along);
                        assert!(near(&whole.dot(&found), &along), "{n}, {width}, {penalty}");
                        assert!(near(
                            &readings.slice(s![.., l * n_columns..(l + 1) * n_columns]).to_owned(),
                            &rows.dot(&found)
                        ));
                        let turned = middle.inverse_times(penalty, &rows.t().to_owned()); // [n, 21]
                        let expected = (&turned.t() * &rows).sum_axis(ndarray::Axis(1));
                        assert!((&leverages.column(l) - &expected).iter().all(|e| e.abs() < 1e-10));
                    }
                }
            }
        }
    }

    #[test]
    fn the_diagonal_and_the_band_mean_the_same() {
        for (n, width) in [(5, 1), (30, 1), (30, 8), (50, 16)] {
            let (_, band, _) = example(n, width);
            let (eigenvalues, vectors) = band.eigenvectors().unwrap();
            let (band, diagonal) = (Middle::Band(band), Middle::Diagonal(eigenvalues));
            assert_eq!((band.rank(), diagonal.rank()), (n, n));
            assert!((band.trace() / diagonal.trace() - 1.0).abs() < 1e-12);
            assert!((band.sum_of_squares() / diagonal.sum_of_squares() - 1.0).abs() < 1e-12);
            let (rows, along) = (noise((7, n), 3), noise((n, 2), 4));
            let (turned, turned_along) = (rows.dot(&vectors), vectors.t().dot(&along));
            let penalties = [0.1, 10.0];
            let (a, b) = (band.reader(&penalties, &along), diagonal.reader(&penalties, &turned_along));
            let (a, b) = (a.along(rows.view()), b.along(turned.view()));
            assert!(near(&a.0, &b.0) && near(&a.1, &b.1));
            let back = vectors.dot(&diagonal.inverse_times(0.1, &turned_along));
            assert!(near(&band.inverse_times(0.1, &along), &back));
        }
    }

    #[test]
    fn a_band_of_less_than_full_rank_is_not_definite() {
        for (n, width) in [(20, 1), (40, 8), (60, 16)] {
            assert!(example(n, width).1.is_definite());
            let x = noise((n - 1, n), 5);
            let less = x.t().dot(&x);
            let (band, _) = banded(Mat::from_fn(n, n, |i, j| less[[i, j]]), width).unwrap();
            assert!(!band.is_definite());
            assert_eq!(band.eigenvectors().unwrap().0.iter().filter(|s| **s > 0.0).count(), n - 1);
        }
    }
}
