//! Symmetric matrices: the product of rows with themselves, and its tridiagonal and diagonal forms.

use crate::error::{Error, Result};
use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::linalg::evd::tridiag::{tridiag_in_place, tridiag_in_place_scratch};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd_scratch, tridiagonal_self_adjoint_evd};
use faer::linalg::householder::{
    apply_block_householder_on_the_left_in_place_scratch,
    apply_block_householder_on_the_left_in_place_with_conj,
};
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::qr::no_pivoting::factor::recommended_block_size;
use faer::linalg::temp_mat_scratch;
use faer::{Accum, ColMut, ColRef, Conj, Mat, MatMut, MatRef, Par, Side};
use ndarray::{Array1, Array2, ArrayView2, ShapeBuilder};

/// Into how many pieces products and decompositions are cut, however many threads there are: sums are then
/// taken in the same order, so that one CPU gives the same bits as eight.
pub(super) const PIECES: usize = 8;

/// A symmetric matrix that is zero but on its diagonal and beside it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tridiagonal {
    pub diagonal: Vec<f64>,
    /// The entry below each of the diagonal but the last.
    pub beside: Vec<f64>,
}

/// A symmetric matrix as `B M Bᵀ` with `M` tridiagonal: `M`, and the orthonormal `B` in column order.
pub(super) fn tridiagonal(mut gram: Mat<f64>) -> Result<(Tridiagonal, Array2<f64>)> {
    let n = gram.nrows();
    let mut basis = Array2::zeros((n, n).f());
    basis.diag_mut().fill(1.0);
    if n > 1 {
        let n_together = recommended_block_size::<f64>(n, n);
        let mut factors = Mat::<f64>::zeros(n_together, n - 1);
        let mut memory = MemBuffer::new(tridiag_in_place_scratch::<f64>(n, pieces(), Default::default()));
        let stack = MemStack::new(&mut memory);
        tridiag_in_place(gram.as_mut(), factors.as_mut(), pieces(), stack, Default::default());
        let reflectors = gram.as_ref().submatrix(1, 0, n - 1, n - 1);
        multiply_out((reflectors, factors.as_ref()), view_mut(&mut basis)?);
    }
    let diagonal = (0..n).map(|i| gram[(i, i)]).collect();
    let beside = (1..n).map(|i| gram[(i, i - 1)]).collect();
    Ok((Tridiagonal { diagonal, beside }, basis))
}

/// The product of reflectors, each block of which leaves one row and one column more alone; `basis` comes as the
/// identity, so that a block meets only what lies below and to the right of it.
fn multiply_out((reflectors, factors): (MatRef<f64>, MatRef<f64>), mut basis: MatMut<f64>) {
    let (n, n_together) = (reflectors.ncols(), factors.nrows());
    let scratch = apply_block_householder_on_the_left_in_place_scratch::<f64>(n, n_together, n);
    let mut memory = MemBuffer::new(scratch);
    for start in (0..n).step_by(n_together).collect::<Vec<_>>().into_iter().rev() {
        let (n_left, n_block) = (n - start, n_together.min(n - start));
        apply_block_householder_on_the_left_in_place_with_conj(
            reflectors.submatrix(start, start, n_left, n_block),
            factors.submatrix(0, start, n_block, n_block),
            Conj::No,
            basis.as_mut().submatrix_mut(start + 1, start + 1, n_left, n_left),
            pieces(),
            MemStack::new(&mut memory),
        );
    }
}

impl Tridiagonal {
    fn len(&self) -> usize {
        self.diagonal.len()
    }

    /// The eigenvalues, ascending; those that are only rounding are 0.
    pub fn eigenvalues(&self) -> Result<Array1<f64>> {
        let n = self.len();
        self.decompose(None, StackReq::all_of(&[temp_mat_scratch::<f64>(n, 1); 2]))
    }

    /// As [`Tridiagonal::eigenvalues`], and the eigenvectors as columns, `[n, n]`.
    pub fn eigenvectors(&self) -> Result<(Array1<f64>, Array2<f64>)> {
        let n = self.len();
        let mut vectors = Array2::zeros((n, n).f());
        let room = self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, pieces(), Default::default());
        let values = self.decompose(Some(view_mut(&mut vectors)?), room)?;
        Ok((values, vectors))
    }

    fn decompose(&self, vectors: Option<MatMut<f64>>, room: StackReq) -> Result<Array1<f64>> {
        let mut values = vec![0.0; self.len()];
        let mut memory = MemBuffer::new(room);
        tridiagonal_self_adjoint_evd(
            ColRef::from_slice(&self.diagonal).as_diagonal(),
            ColRef::from_slice(&self.beside).as_diagonal(),
            ColMut::from_slice_mut(&mut values).as_diagonal_mut(),
            vectors,
            pieces(),
            MemStack::new(&mut memory),
            Default::default(),
        )
        .map_err(|e| Error::Internal(format!("eigendecomposition of the activations: {e:?}")))?;
        let largest = values.iter().copied().fold(0.0, f64::max);
        // Centring takes one dimension away, and copies take more: what is left of them is rounding.
        let rounding = largest * f64::EPSILON * self.len() as f64;
        Ok(values.into_iter().map(|s| if s > rounding { s } else { 0.0 }).collect())
    }
}

pub(super) fn pieces() -> Par {
    Par::rayon(PIECES)
}

/// Adds so many times the product of rows with themselves, `rowsᵀ · rows`; only what lies on and below the diagonal is
/// filled.
///
/// # Shapes
/// `rows` is `[n_rows, d]`, `gram` is `[d, d]`.
pub(super) fn add_gram(gram: &mut Mat<f64>, rows: MatRef<f64>, times: f64) {
    triangular::matmul(
        gram.as_mut(),
        BlockStructure::TriangularLower,
        Accum::Add,
        rows.transpose(),
        BlockStructure::Rectangular,
        rows,
        BlockStructure::Rectangular,
        times,
        pieces(),
    );
}

/// A product of two matrices.
///
/// # Shapes
/// `[n, k]` and `[k, m]` to `[n, m]`.
pub(super) fn product(left: ArrayView2<f64>, right: ArrayView2<f64>, par: Par) -> Result<Array2<f64>> {
    let mut product = Array2::zeros((left.nrows(), right.ncols()));
    matmul(view_mut(&mut product)?, Accum::Replace, view(left)?, view(right)?, 1.0, par);
    Ok(product)
}

/// The pseudo-inverse of a small symmetric matrix.
pub(super) fn inverse(matrix: &Array2<f64>) -> Result<Array2<f64>> {
    let side = matrix.nrows();
    let eigen = Mat::from_fn(side, side, |i, j| matrix[[i, j]])
        .self_adjoint_eigen(Side::Lower)
        .map_err(|e| Error::Internal(format!("eigendecomposition of the readings: {e:?}")))?;
    let largest = (0..side).map(|i| eigen.S()[i]).fold(0.0, f64::max);
    let factor = |i: usize| {
        let value = eigen.S()[i];
        if value > largest * 1e-14 { 1.0 / value } else { 0.0 }
    };
    Ok(Array2::from_shape_fn((side, side), |(i, j)| {
        (0..side).map(|k| eigen.U()[(i, k)] * factor(k) * eigen.U()[(j, k)]).sum()
    }))
}

/// A matrix as faer sees it, whichever order it lies in.
pub(super) fn view(x: ArrayView2<f64>) -> Result<MatRef<f64>> {
    let (n, d) = x.dim();
    match (x.is_standard_layout(), x.to_slice_memory_order()) {
        (true, Some(slice)) => Ok(MatRef::from_row_major_slice(slice, n, d)),
        (false, Some(slice)) => Ok(MatRef::from_column_major_slice(slice, n, d)),
        _ => Err(layout_fault()),
    }
}

fn view_mut(x: &mut Array2<f64>) -> Result<MatMut<'_, f64>> {
    let (n, d) = x.dim();
    match (x.is_standard_layout(), x.as_slice_memory_order_mut()) {
        (true, Some(slice)) => Ok(MatMut::from_row_major_slice_mut(slice, n, d)),
        (false, Some(slice)) => Ok(MatMut::from_column_major_slice_mut(slice, n, d)),
        _ => Err(layout_fault()),
    }
}

fn layout_fault() -> Error {
    Error::Internal("a matrix lies neither in row nor in column order".into())
}
