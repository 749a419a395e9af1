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
const PIECES: usize = 8;

/// The largest side of a part of a matrix that a cache is to hold.
const TILE: usize = 512;

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
pub(super) fn add_gram(gram: MatMut<f64>, rows: MatRef<f64>, times: f64) {
    // Some of them even where all of it fits a cache, so that several threads have their share.
    add_lower(gram, rows, (times, (rows.ncols() / 4).clamp(64, TILE)));
}

fn add_lower(gram: MatMut<f64>, rows: MatRef<f64>, (times, tile): (f64, usize)) {
    let d = rows.ncols();
    if d <= tile {
        let (all, lower) = (BlockStructure::Rectangular, BlockStructure::TriangularLower);
        triangular::matmul(gram, lower, Accum::Add, rows.transpose(), all, rows, all, times, Par::Seq);
        return;
    }
    let how = (times, tile);
    let (upper_left, _, lower_left, lower_right) = gram.split_at_mut(d / 2, d / 2);
    let (left, right) = rows.split_at_col(d / 2);
    let beside = || add_product(lower_left, right.transpose(), left, how);
    let on_diagonal =
        || rayon::join(|| add_lower(upper_left, left, how), || add_lower(lower_right, right, how));
    rayon::join(beside, on_diagonal);
}

/// Adds so many times a product, tile after tile of what it is added to: a tile stays in a cache while it is added to.
fn add_product(to: MatMut<f64>, left: MatRef<f64>, right: MatRef<f64>, (times, tile): (f64, usize)) {
    let (n, m, how) = (to.nrows(), to.ncols(), (times, tile));
    if n.max(m) <= tile {
        matmul(to, Accum::Add, left, right, times, Par::Seq);
    } else if n >= m {
        let (above, below) = to.split_at_row_mut(n / 2);
        let (left_above, left_below) = left.split_at_row(n / 2);
        let above = || add_product(above, left_above, right, how);
        rayon::join(above, || add_product(below, left_below, right, how));
    } else {
        let (before, after) = to.split_at_col_mut(m / 2);
        let (right_before, right_after) = right.split_at_col(m / 2);
        let before = || add_product(before, left, right_before, how);
        rayon::join(before, || add_product(after, left, right_after, how));
    }
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
