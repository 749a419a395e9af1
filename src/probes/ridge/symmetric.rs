//! Dense symmetric linear algebra: products, Gram matrices, eigenvectors of tridiagonal matrices, small inverses.
//!
//! A Gram matrix `G = XᵀX` is symmetric, so only its lower triangle is computed, recursively: with `X = [X₁ X₂]`
//! split in halves, `G₁₁ = X₁ᵀX₁` and `G₂₂ = X₂ᵀX₂` are split again, and `G₂₁ = X₂ᵀX₁` is an ordinary product. A
//! symmetric matrix is `G = Q Λ Qᵀ` with orthonormal `Q`; its pseudo-inverse is `Q Λ⁺ Qᵀ`, where `Λ⁺` inverts every
//! eigenvalue greater than rounding errors and is 0 elsewhere.

use crate::error::{Error, Result};
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd_scratch, tridiagonal_self_adjoint_evd};
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, ColMut, ColRef, Mat, MatMut, MatRef, Par, Side};
use ndarray::{Array1, Array2, ArrayView2, ShapeBuilder};

/// The number of pieces that products and decompositions are cut into. It does not depend on the number of threads:
/// sums are always taken in the same order, so that one CPU gives the same bits as eight.
const PIECES: usize = 8;

/// Maximum side of a tile; a tile should fit into the cache.
const TILE: usize = 512;

/// The eigenvalues of a tridiagonal matrix, ascending, and the eigenvectors as columns, `[n, n]`.
///
/// Eigenvalues as small as rounding errors are set to 0. `off_diagonal` is as long as the diagonal; its last entry
/// is ignored.
pub(super) fn tridiagonal_eigenvectors(
    diagonal: &[f64],
    off_diagonal: &[f64],
) -> Result<(Array1<f64>, Array2<f64>)> {
    let n = diagonal.len();
    let mut vectors = Array2::zeros((n, n).f());
    let mut values = vec![0.0; n];
    let scratch = self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, pieces(), Default::default());
    let mut memory = MemBuffer::new(scratch);
    tridiagonal_self_adjoint_evd(
        ColRef::from_slice(diagonal).as_diagonal(),
        ColRef::from_slice(&off_diagonal[..n.saturating_sub(1)]).as_diagonal(),
        ColMut::from_slice_mut(&mut values).as_diagonal_mut(),
        Some(view_mut(&mut vectors)?),
        pieces(),
        MemStack::new(&mut memory),
        Default::default(),
    )
    .map_err(|e| Error::Internal(format!("eigendecomposition of the activations: {e:?}")))?;
    let largest = values.iter().copied().fold(0.0, f64::max);
    // Centring and duplicate columns reduce the rank; the eigenvalues of the lost dimensions are rounding errors.
    let rounding = largest * f64::EPSILON * n as f64;
    Ok((values.into_iter().map(|s| if s > rounding { s } else { 0.0 }).collect(), vectors))
}

/// The parallelism of a product or decomposition: [`PIECES`] tasks.
pub(super) fn pieces() -> Par {
    Par::rayon(PIECES)
}

/// Adds `factor · rowsᵀ · rows` to the lower triangle of `gram`; the entries above the diagonal are not changed.
///
/// # Shapes
/// `rows` is `[n_rows, d]`, `gram` is `[d, d]`.
pub(super) fn add_gram(gram: MatMut<f64>, rows: MatRef<f64>, factor: f64) {
    // At least four tiles per side, even if the whole matrix fits into the cache, so that every thread has work.
    add_lower(gram, rows, Tiling { factor, tile: (rows.ncols() / 4).clamp(64, TILE) });
}

/// The factor of an added product, and the maximum side of a tile of the sum.
#[derive(Clone, Copy)]
struct Tiling {
    factor: f64,
    tile: usize,
}

/// Adds the lower triangle of `factor · rowsᵀ · rows`, split in halves down to one tile.
fn add_lower(gram: MatMut<f64>, rows: MatRef<f64>, tiling: Tiling) {
    let d = rows.ncols();
    if d <= tiling.tile {
        let (all, lower) = (BlockStructure::Rectangular, BlockStructure::TriangularLower);
        triangular::matmul(
            gram,
            lower,
            Accum::Add,
            rows.transpose(),
            all,
            rows,
            all,
            tiling.factor,
            Par::Seq,
        );
        return;
    }
    let (upper_left, _, lower_left, lower_right) = gram.split_at_mut(d / 2, d / 2);
    let (left, right) = rows.split_at_col(d / 2);
    let off_diagonal = || add_product(lower_left, right.transpose(), left, tiling);
    let on_diagonal =
        || rayon::join(|| add_lower(upper_left, left, tiling), || add_lower(lower_right, right, tiling));
    rayon::join(off_diagonal, on_diagonal);
}

/// Adds `factor · left · right` to a matrix, tile by tile: each tile of the sum stays in the cache while it is
/// computed.
fn add_product(to: MatMut<f64>, left: MatRef<f64>, right: MatRef<f64>, tiling: Tiling) {
    let (n, m) = (to.nrows(), to.ncols());
    if n.max(m) <= tiling.tile {
        matmul(to, Accum::Add, left, right, tiling.factor, Par::Seq);
    } else if n >= m {
        let (above, below) = to.split_at_row_mut(n / 2);
        let (left_above, left_below) = left.split_at_row(n / 2);
        let above = || add_product(above, left_above, right, tiling);
        rayon::join(above, || add_product(below, left_below, right, tiling));
    } else {
        let (before, after) = to.split_at_col_mut(m / 2);
        let (right_before, right_after) = right.split_at_col(m / 2);
        let before = || add_product(before, left, right_before, tiling);
        rayon::join(before, || add_product(after, left, right_after, tiling));
    }
}

/// The product of two matrices.
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
        .map_err(|e| Error::Internal(format!("eigendecomposition of the predictions: {e:?}")))?;
    let largest = (0..side).map(|i| eigen.S()[i]).fold(0.0, f64::max);
    let factor = |i: usize| {
        let value = eigen.S()[i];
        if value > largest * 1e-14 { 1.0 / value } else { 0.0 }
    };
    Ok(Array2::from_shape_fn((side, side), |(i, j)| {
        (0..side).map(|k| eigen.U()[(i, k)] * factor(k) * eigen.U()[(j, k)]).sum()
    }))
}

/// A faer view of a matrix in row-major or column-major order.
pub(super) fn view(x: ArrayView2<f64>) -> Result<MatRef<f64>> {
    let (n, d) = x.dim();
    match (x.is_standard_layout(), x.to_slice_memory_order()) {
        (true, Some(slice)) => Ok(MatRef::from_row_major_slice(slice, n, d)),
        (false, Some(slice)) => Ok(MatRef::from_column_major_slice(slice, n, d)),
        _ => Err(layout_fault()),
    }
}

/// A mutable faer view of a matrix in row-major or column-major order.
pub(super) fn view_mut(x: &mut Array2<f64>) -> Result<MatMut<'_, f64>> {
    let (n, d) = x.dim();
    match (x.is_standard_layout(), x.as_slice_memory_order_mut()) {
        (true, Some(slice)) => Ok(MatMut::from_row_major_slice_mut(slice, n, d)),
        (false, Some(slice)) => Ok(MatMut::from_column_major_slice_mut(slice, n, d)),
        _ => Err(layout_fault()),
    }
}

fn layout_fault() -> Error {
    Error::Internal("a matrix is neither row-major nor column-major".into())
}

/// Refuses the first value that is infinite or not a number.
pub(super) fn check_finite(values: ArrayView2<f64>, what: &str) -> Result<()> {
    match values.indexed_iter().find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some(((row, column), &found)) => Err(Error::NonFinite {
            place: format!("{what}: row {}, column {}", row + 1, column + 1),
            found,
            advice: "remove the row, or correct the step that computed it".into(),
        }),
    }
}
