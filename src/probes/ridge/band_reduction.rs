//! Householder reduction of a symmetric matrix to a band: `G = B M Bᵀ` with `B` orthonormal and `M` of width `w`.
//!
//! Each step takes the next `w` columns (a panel) and reduces their part below the band to a triangle by a block
//! reflector `Q = I − V T⁻¹ Vᵀ`. The rest `A` of the matrix becomes `Qᵀ A Q = A − V Wᵀ − W Vᵀ`, a symmetric update
//! of rank `2w`, where `Y = A V T⁻¹` and `W = Y − ½ V (T⁻ᵀ Vᵀ Y)`. The update is deferred: it is applied in the pass
//! that computes `A V` of the next panel, so that each panel reads `A` from memory once. `B` is the product of all
//! reflectors.
//!
//! The eigenvectors of `M` follow from a second reduction to width 1.

use super::band::Band;
use super::symmetric::{pieces, product, tridiagonal_eigenvectors, view_mut};
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
use ndarray::{Array1, Array2, ShapeBuilder};
use rayon::prelude::*;

/// Minimum number of reflectors that are multiplied out together.
const TOGETHER: usize = 64;

/// The side of a tile; each tile is read once for both the update and the product of a panel.
const TILE: usize = 256;

/// Number of columns of the basis that are computed together and stay in the cache.
const STRIP: usize = 128;

/// Reduces a symmetric matrix to a band: `M` of the given width, and the orthonormal `B` in column-major order.
///
/// Only the lower triangle of the matrix is read.
pub(super) fn to_band(mut matrix: Mat<f64>, width: usize) -> Result<(Band, Array2<f64>)> {
    let n = matrix.nrows();
    let mut basis = Array2::zeros((n, n).f());
    basis.diag_mut().fill(1.0);
    if n > width {
        let factors = match width {
            1 => reduce_columns(&mut matrix),
            _ => reduce_panels(&mut matrix, width),
        };
        let reflectors = matrix.as_ref().submatrix(width, 0, n - width, n - width);
        let basis = view_mut(&mut basis)?.submatrix_mut(width, width, n - width, n - width);
        multiply_out(reflectors, factors.as_ref(), basis);
    }
    Ok((Band::of(&matrix, width), basis))
}

/// The eigenvalues of a band, ascending, and the eigenvectors as columns, `[n, n]`; eigenvalues as small as
/// rounding errors are set to 0.
pub(super) fn band_eigenvectors(band: &Band) -> Result<(Array1<f64>, Array2<f64>)> {
    if band.width() == 1 {
        return tridiagonal_eigenvectors(&band.below_diagonal(0), &band.below_diagonal(1));
    }
    let (narrow, basis) = to_band(band.to_lower(), 1)?;
    let (values, vectors) = band_eigenvectors(&narrow)?;
    Ok((values, product(basis.view(), vectors.view(), pieces())?))
}

/// Reduces a matrix to width 1, column by column; each step reads the whole remaining matrix.
///
/// The reflectors are stored below the band; returns the `T` factors of their blocks.
fn reduce_columns(matrix: &mut Mat<f64>) -> Mat<f64> {
    let n = matrix.nrows();
    let mut factors = Mat::<f64>::zeros(recommended_block_size::<f64>(n, n).max(TOGETHER).min(n - 1), n - 1);
    let mut memory = MemBuffer::new(tridiag_in_place_scratch::<f64>(n, pieces(), Default::default()));
    let stack = MemStack::new(&mut memory);
    tridiag_in_place(matrix.as_mut(), factors.as_mut(), pieces(), stack, Default::default());
    factors
}

/// Reduces a matrix to a wider band, panel by panel; each step reads the remaining matrix once.
///
/// The reflectors are stored below the band; returns their `T` factors.
///
/// # Source
/// Bischof, Lang and Sun 2000, "A framework for symmetric band reduction"; `T` as faer defines it.
fn reduce_panels(matrix: &mut Mat<f64>, width: usize) -> Mat<f64> {
    let n = matrix.nrows();
    let mut factors = Mat::<f64>::zeros(width, n - width);
    let mut pending = PendingUpdate::none(n);
    for start in (0..n - width).step_by(width) {
        let n_left = n - width - start;
        let n_panel = width.min(n_left);
        let (left, right) = matrix.as_mut().split_at_col_mut(start + width);
        let mut columns = left.submatrix_mut(start, start, n_left + width, width);
        let rest = right.submatrix_mut(start + width, 0, n_left, n_left);
        pending.apply_to_first(columns.as_mut());
        let mut panel = columns.subrows_mut(width, n_left);
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
        let v = full_reflectors(panel.as_ref().subcols(0, n_panel)); // [n_left, n_panel]
        let product = pending.below(width).apply_and_multiply(rest, v.as_ref());
        pending = PendingUpdate::of_panel(v.as_ref(), factor.as_ref(), product);
    }
    let n_last = pending.rows.nrows();
    pending.apply_to_first(matrix.as_mut().submatrix_mut(n - n_last, n - n_last, n_last, n_last));
    factors
}

/// A deferred symmetric update: `rows · columns` is still to be subtracted from the remaining matrix.
struct PendingUpdate {
    rows: Mat<f64>,
    columns: Mat<f64>,
}

impl PendingUpdate {
    /// No update.
    fn none(n: usize) -> PendingUpdate {
        PendingUpdate { rows: Mat::zeros(n, 0), columns: Mat::zeros(0, n) }
    }

    /// The update by the reflectors `V` of a panel with their factor `T`, from `y = A V`.
    fn of_panel(v: MatRef<f64>, factor: MatRef<f64>, mut y: Mat<f64>) -> PendingUpdate {
        let (n, n_panel) = (v.nrows(), v.ncols());
        solve_lower_triangular_in_place(factor.transpose(), y.as_mut().transpose_mut(), Par::Seq);
        let mut inner = v.transpose() * &y; // [n_panel, n_panel]
        solve_lower_triangular_in_place(factor.transpose(), inner.as_mut(), Par::Seq);
        matmul(y.as_mut(), Accum::Add, v, inner.as_ref(), -0.5, Par::Seq); // W
        let mut rows = Mat::zeros(n, 2 * n_panel);
        let mut columns = Mat::zeros(2 * n_panel, n);
        rows.as_mut().subcols_mut(0, n_panel).copy_from(&y);
        rows.as_mut().subcols_mut(n_panel, n_panel).copy_from(v);
        columns.as_mut().subrows_mut(0, n_panel).copy_from(v.transpose());
        columns.as_mut().subrows_mut(n_panel, n_panel).copy_from(y.transpose());
        PendingUpdate { rows, columns }
    }

    /// The part of the update for the rows and columns after the first `n`.
    fn below(&self, n: usize) -> PendingUpdateView<'_> {
        let n_left = self.rows.nrows() - n;
        PendingUpdateView {
            rows: self.rows.as_ref().subrows(n, n_left),
            columns: self.columns.as_ref().subcols(n, n_left),
        }
    }

    /// Applies the update to the given leading columns, on and below the diagonal.
    fn apply_to_first(&self, mut first: MatMut<f64>) {
        let n = first.ncols();
        let all = self.below(0);
        let (on_diagonal, below) = first.as_mut().split_at_row_mut(n);
        all.apply(on_diagonal, 0, 0);
        all.apply(below, n, 0);
    }
}

/// A part of a deferred update.
#[derive(Clone, Copy)]
struct PendingUpdateView<'a> {
    rows: MatRef<'a, f64>,
    columns: MatRef<'a, f64>,
}

impl PendingUpdateView<'_> {
    /// Applies the update to a tile that begins at `row` and `column`; for a tile on the diagonal, only to its
    /// lower triangle.
    fn apply(&self, part: MatMut<f64>, row: usize, column: usize) {
        let rows = self.rows.subrows(row, part.nrows());
        let columns = self.columns.subcols(column, part.ncols());
        if row == column {
            let (lower, all) = (BlockStructure::TriangularLower, BlockStructure::Rectangular);
            triangular::matmul(part, lower, Accum::Add, rows, all, columns, all, -1.0, Par::Seq);
        } else {
            matmul(part, Accum::Add, rows, columns, -1.0, Par::Seq);
        }
    }

    /// Applies the update to the lower triangle of `rest` and multiplies the result by the columns `v`, reading
    /// each tile once for both.
    fn apply_and_multiply(&self, rest: MatMut<f64>, v: MatRef<f64>) -> Mat<f64> {
        let of_strip = |(at, strip): (usize, MatMut<f64>)| self.of_strip(at * TILE, strip, v);
        let of_strips: Vec<_> = rest.par_col_chunks_mut(TILE).enumerate().map(of_strip).collect();
        let mut product = Mat::zeros(v.nrows(), v.ncols());
        for (at, of_strip) in of_strips.iter().enumerate() {
            let mut product = product.as_mut().subrows_mut(at * TILE, of_strip.nrows());
            product += of_strip;
        }
        product
    }

    /// The contribution of a strip of columns, and by symmetry of the rows with the same indices, to the product from
    /// row `first` on.
    fn of_strip(&self, first: usize, strip: MatMut<f64>, v: MatRef<f64>) -> Mat<f64> {
        let (n, n_columns) = (strip.nrows(), strip.ncols());
        let (all, lower, upper) = (
            BlockStructure::Rectangular,
            BlockStructure::TriangularLower,
            BlockStructure::StrictTriangularUpper,
        );
        let (mut diagonal, mut below) = strip.subrows_mut(first, n - first).split_at_row_mut(n_columns);
        let mut product = Mat::zeros(n - first, v.ncols());
        let (mut of_diagonal, mut of_below) = product.as_mut().split_at_row_mut(n_columns);
        let v_diagonal = v.subrows(first, n_columns);
        self.apply(diagonal.as_mut(), first, first);
        for (half, which) in [(diagonal.as_ref(), lower), (diagonal.as_ref().transpose(), upper)] {
            let to = of_diagonal.as_mut();
            triangular::matmul(to, all, Accum::Add, half, which, v_diagonal, all, 1.0, Par::Seq);
        }
        for start in (0..below.nrows()).step_by(TILE) {
            let (n_rows, row) = (TILE.min(below.nrows() - start), first + n_columns + start);
            let mut tile = below.as_mut().subrows_mut(start, n_rows);
            self.apply(tile.as_mut(), row, first);
            let (tile, to) = (tile.as_ref(), of_below.as_mut().subrows_mut(start, n_rows));
            matmul(to, Accum::Add, tile, v_diagonal, 1.0, Par::Seq);
            matmul(of_diagonal.as_mut(), Accum::Add, tile.transpose(), v.subrows(row, n_rows), 1.0, Par::Seq);
        }
        product
    }
}

/// Reflectors with their implicit ones and zeros filled in.
fn full_reflectors(reflectors: MatRef<f64>) -> Mat<f64> {
    Mat::from_fn(reflectors.nrows(), reflectors.ncols(), |i, j| match i.cmp(&j) {
        std::cmp::Ordering::Less => 0.0,
        std::cmp::Ordering::Equal => 1.0,
        std::cmp::Ordering::Greater => reflectors[(i, j)],
    })
}

/// Multiplies the reflectors into `basis`, which starts as the identity.
///
/// A block of reflectors does not change the rows above its start, so it changes only entries below and to the
/// right of it.
fn multiply_out(reflectors: MatRef<f64>, factors: MatRef<f64>, basis: MatMut<f64>) {
    let (n, n_kept) = (reflectors.ncols(), factors.nrows());
    let n_together = TOGETHER.next_multiple_of(n_kept).min(n);
    let joint = |start: usize| {
        let (n_left, n_block) = (n - start, n_together.min(n - start));
        let block = reflectors.submatrix(start, start, n_left, n_block);
        (start, block, joint_factor(block, factors.subcols(start, n_block)))
    };
    let blocks: Vec<_> = (0..n).step_by(n_together).collect::<Vec<_>>().into_par_iter().map(joint).collect();
    // A strip of columns stays in the cache while block after block is applied to it.
    basis.par_col_chunks_mut(STRIP).enumerate().for_each(|(at, mut strip)| {
        let (first, n_columns) = (at * STRIP, strip.ncols());
        let scratch = apply_block_householder_on_the_left_in_place_scratch::<f64>(n, n_together, n_columns);
        let mut memory = MemBuffer::new(scratch);
        for (start, block, factor) in blocks.iter().rev().filter(|(start, ..)| *start < first + n_columns) {
            let untouched = start.saturating_sub(first);
            let changed = strip.as_mut().submatrix_mut(*start, untouched, n - start, n_columns - untouched);
            let stack = MemStack::new(&mut memory);
            apply_block_householder_on_the_left_in_place_with_conj(
                *block,
                factor.as_ref(),
                Conj::No,
                changed,
                Par::Seq,
                stack,
            );
        }
    });
}

/// The joint factor `T` of many reflectors, from the factors of small blocks: `VᵀV` above the diagonal, and each
/// reflector's own entry on the diagonal.
fn joint_factor(reflectors: MatRef<f64>, factors: MatRef<f64>) -> Mat<f64> {
    let n_kept = factors.nrows();
    let v = full_reflectors(reflectors);
    let mut factor = v.transpose() * &v;
    for j in 0..factor.ncols() {
        factor[(j, j)] = factors[(j % n_kept, j)];
    }
    factor
}
