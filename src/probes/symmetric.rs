//! Products of matrices, of rows with themselves, and the eigenvectors of small or narrow symmetric ones.

use crate::error::{Error, Result};
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd_scratch, tridiagonal_self_adjoint_evd};
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, ColMut, ColRef, Mat, MatMut, MatRef, Par, Side};
use ndarray::{Array1, Array2, ArrayView2, ShapeBuilder};

/// Into how many pieces products and decompositions are cut, however many threads there are: sums are then
/// taken in the same order, so that one CPU gives the same bits as eight.
pub(super) const PIECES: usize = 8;

/// The eigenvalues of a tridiagonal matrix, ascending, those that are only rounding 0, and the eigenvectors as columns,
/// `[n, n]`; `beside` is as long as the diagonal, and its last not looked at.
pub(super) fn eigenvectors(diagonal: &[f64], beside: &[f64]) -> Result<(Array1<f64>, Array2<f64>)> {
    let n = diagonal.len();
    let mut vectors = Array2::zeros((n, n).f());
    let mut values = vec![0.0; n];
    let room = self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, pieces(), Default::default());
    let mut memory = MemBuffer::new(room);
    tridiagonal_self_adjoint_evd(
        ColRef::from_slice(diagonal).as_diagonal(),
        ColRef::from_slice(&beside[..n.saturating_sub(1)]).as_diagonal(),
        ColMut::from_slice_mut(&mut values).as_diagonal_mut(),
        Some(view_mut(&mut vectors)?),
        pieces(),
        MemStack::new(&mut memory),
        Default::default(),
    )
    .map_err(|e| Error::Internal(format!("eigendecomposition of the activations: {e:?}")))?;
    let largest = values.iter().copied().fold(0.0, f64::max);
    // Centring takes one dimension away, and copies take more: what is left of them is rounding.
    let rounding = largest * f64::EPSILON * n as f64;
    Ok((values.into_iter().map(|s| if s > rounding { s } else { 0.0 }).collect(), vectors))
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

pub(super) fn view_mut(x: &mut Array2<f64>) -> Result<MatMut<'_, f64>> {
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
