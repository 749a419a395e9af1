//! Symmetric matrices turned to a band: `G = B M Bᵀ` with `B` orthonormal, and `M` zero far from its diagonal.

use super::band::Band;
use super::symmetric::{pieces, view_mut};
use crate::error::Result;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::tridiag::{tridiag_in_place, tridiag_in_place_scratch};
use faer::linalg::householder::{
    apply_block_householder_on_the_left_in_place_scratch,
    apply_block_householder_on_the_left_in_place_with_conj,
};
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::qr::no_pivoting::factor::{qr_in_place, qr_in_place_scratch, recommended_block_size};
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Accum, Conj, Mat, MatMut, MatRef, Par};
use ndarray::{Array2, ShapeBuilder};

/// How many reflectors are multiplied out together at least.
const TOGETHER: usize = 64;

/// A symmetric matrix, of which the lower half is filled, as `B M Bᵀ` with `M` a band of some width: `M`, and the
/// orthonormal `B` in column order.
pub(super) fn banded(mut matrix: Mat<f64>, width: usize) -> Result<(Band, Array2<f64>)> {
    let n = matrix.nrows();
    let mut basis = Array2::zeros((n, n).f());
    basis.diag_mut().fill(1.0);
    if n > width {
        let factors = match width {
            1 => to_diagonal(&mut matrix),
            _ => to_band(&mut matrix, width),
        };
        let reflectors = matrix.as_ref().submatrix(width, 0, n - width, n - width);
        let basis = view_mut(&mut basis)?.submatrix_mut(width, width, n - width, n - width);
        multiply_out(reflectors, factors.as_ref(), basis);
    }
    Ok((Band::of(&matrix, width), basis))
}

/// To width 1, a column at a time: each reads all that is left of the matrix. The reflectors are left below the band, the
/// factors of blocks of them are returned.
fn to_diagonal(matrix: &mut Mat<f64>) -> Mat<f64> {
    let n = matrix.nrows();
    let mut factors = Mat::<f64>::zeros(recommended_block_size::<f64>(n, n).max(TOGETHER).min(n - 1), n - 1);
    let mut memory = MemBuffer::new(tridiag_in_place_scratch::<f64>(n, pieces(), Default::default()));
    let stack = MemStack::new(&mut memory);
    tridiag_in_place(matrix.as_mut(), factors.as_mut(), pieces(), stack, Default::default());
    factors
}

/// To any width, so many columns at a time: all that is left of the matrix is read once for each such panel.
///
/// With `Q = I − V T⁻¹ Vᵀ` what makes a panel triangular below the band, and `Y = A V T⁻¹`, the rest `A` becomes
/// `QᵀAQ = A − V Wᵀ − W Vᵀ`, where `W = Y − ½ V (T⁻ᵀ Vᵀ Y)`.
///
/// # Source
/// Bischof, Lang and Sun 2000, "A framework for symmetric band reduction"; `T` as faer keeps it.
fn to_band(matrix: &mut Mat<f64>, width: usize) -> Mat<f64> {
    let n = matrix.nrows();
    let mut factors = Mat::<f64>::zeros(width, n - width);
    for start in (0..n - width).step_by(width) {
        let n_left = n - width - start;
        let n_panel = width.min(n_left);
        let (left, right) = matrix.as_mut().split_at_col_mut(start + width);
        let mut panel = left.submatrix_mut(start + width, start, n_left, width);
        let rest = right.submatrix_mut(start + width, 0, n_left, n_left);
        let mut factor = factors.as_mut().submatrix_mut(0, start, n_panel, n_panel);
        let mut memory =
            MemBuffer::new(qr_in_place_scratch::<f64>(n_left, width, n_panel, Par::Seq, Default::default()));
        qr_in_place(
            panel.as_mut(),
            factor.as_mut(),
            Par::Seq,
            MemStack::new(&mut memory),
            Default::default(),
        );
        let v = written_out(panel.as_ref().subcols(0, n_panel)); // [n_left, n_panel]
        turn(rest, (v.as_ref(), factor.as_ref()));
    }
    factors
}

/// Turns what is left of a matrix by a block of reflectors, from both sides; only the lower half is read and written.
fn turn(mut rest: MatMut<f64>, (v, factor): (MatRef<f64>, MatRef<f64>)) {
    let (n, n_panel) = (v.nrows(), v.ncols());
    let mut both = Mat::<f64>::zeros(n, 2 * n_panel); // W, V
    both.as_mut().subcols_mut(n_panel, n_panel).copy_from(v);
    let mut y = both.as_mut().subcols_mut(0, n_panel);
    times_symmetric(y.as_mut(), rest.as_ref(), v);
    solve_lower_triangular_in_place(factor.transpose(), y.as_mut().transpose_mut(), Par::Seq);
    let mut inner = Mat::<f64>::zeros(n_panel, n_panel);
    matmul(inner.as_mut(), Accum::Replace, v.transpose(), y.as_ref(), 1.0, Par::Seq);
    solve_lower_triangular_in_place(factor.transpose(), inner.as_mut(), Par::Seq);
    matmul(y.as_mut(), Accum::Add, v, inner.as_ref(), -0.5, Par::Seq); // W
    let mut turned = Mat::<f64>::zeros(n, 2 * n_panel); // V, W
    turned.as_mut().subcols_mut(0, n_panel).copy_from(v);
    turned.as_mut().subcols_mut(n_panel, n_panel).copy_from(both.as_ref().subcols(0, n_panel));
    triangular::matmul(
        rest.as_mut(),
        BlockStructure::TriangularLower,
        Accum::Add,
        both.as_ref(),
        BlockStructure::Rectangular,
        turned.as_ref().transpose(),
        BlockStructure::Rectangular,
        -1.0,
        pieces(),
    );
}

/// The product of a symmetric matrix, of which the lower half is filled, with some columns.
fn times_symmetric(mut product: MatMut<f64>, matrix: MatRef<f64>, columns: MatRef<f64>) {
    let halves = [
        (Accum::Replace, matrix, BlockStructure::TriangularLower),
        (Accum::Add, matrix.transpose(), BlockStructure::StrictTriangularUpper),
    ];
    for (accum, half, structure) in halves {
        let all = BlockStructure::Rectangular;
        triangular::matmul(product.as_mut(), all, accum, half, structure, columns, all, 1.0, pieces());
    }
}

/// Reflectors with the ones and zeros that are not kept with them.
fn written_out(reflectors: MatRef<f64>) -> Mat<f64> {
    Mat::from_fn(reflectors.nrows(), reflectors.ncols(), |i, j| match i.cmp(&j) {
        std::cmp::Ordering::Less => 0.0,
        std::cmp::Ordering::Equal => 1.0,
        std::cmp::Ordering::Greater => reflectors[(i, j)],
    })
}

/// The product of reflectors, each block of which leaves one row and one column more alone; `basis` comes as the
/// identity, so that a block meets only what lies below and to the right of it.
fn multiply_out(reflectors: MatRef<f64>, factors: MatRef<f64>, mut basis: MatMut<f64>) {
    let (n, n_kept) = (reflectors.ncols(), factors.nrows());
    let n_together = TOGETHER.next_multiple_of(n_kept).min(n);
    let scratch = apply_block_householder_on_the_left_in_place_scratch::<f64>(n, n_together, n);
    let mut memory = MemBuffer::new(scratch);
    for start in (0..n).step_by(n_together).collect::<Vec<_>>().into_iter().rev() {
        let (n_left, n_block) = (n - start, n_together.min(n - start));
        let block = reflectors.submatrix(start, start, n_left, n_block);
        let factor = joint_factor(block, factors.subcols(start, n_block));
        apply_block_householder_on_the_left_in_place_with_conj(
            block,
            factor.as_ref(),
            Conj::No,
            basis.as_mut().submatrix_mut(start, start, n_left, n_left),
            pieces(),
            MemStack::new(&mut memory),
        );
    }
}

/// The factor `T` of many reflectors from those of a few at a time: above the diagonal it is `VᵀV`, and on it what each
/// reflector has by itself.
fn joint_factor(reflectors: MatRef<f64>, factors: MatRef<f64>) -> Mat<f64> {
    let n_kept = factors.nrows();
    let v = written_out(reflectors);
    let mut factor = v.transpose() * &v;
    for j in 0..factor.ncols() {
        factor[(j, j)] = factors[(j % n_kept, j)];
    }
    factor
}
