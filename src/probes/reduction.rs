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
use rayon::prelude::*;

/// How many reflectors are multiplied out together at least.
const TOGETHER: usize = 64;

/// The side of a part of a matrix that is read once for all that a panel has to do with it.
const TILE: usize = 256;

/// How many columns of a product of reflectors are made at a time.
const STRIP: usize = 128;

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
/// `QᵀAQ = A − V Wᵀ − W Vᵀ`, where `W = Y − ½ V (T⁻ᵀ Vᵀ Y)`. What a panel takes from the rest waits until the next one
/// needs its product with it.
///
/// # Source
/// Bischof, Lang and Sun 2000, "A framework for symmetric band reduction"; `T` as faer keeps it.
fn to_band(matrix: &mut Mat<f64>, width: usize) -> Mat<f64> {
    let n = matrix.nrows();
    let mut factors = Mat::<f64>::zeros(width, n - width);
    let mut waiting = Taken::nothing(n);
    for start in (0..n - width).step_by(width) {
        let n_left = n - width - start;
        let n_panel = width.min(n_left);
        let (left, right) = matrix.as_mut().split_at_col_mut(start + width);
        let mut columns = left.submatrix_mut(start, start, n_left + width, width);
        let rest = right.submatrix_mut(start + width, 0, n_left, n_left);
        waiting.take(columns.as_mut());
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
        let v = written_out(panel.as_ref().subcols(0, n_panel)); // [n_left, n_panel]
        let product = waiting.below(width).take_and_multiply(rest, v.as_ref());
        waiting = Taken::by((v.as_ref(), factor.as_ref()), product);
    }
    let n_last = waiting.rows.nrows();
    waiting.take(matrix.as_mut().submatrix_mut(n - n_last, n - n_last, n_last, n_last));
    factors
}

/// What is to be taken from a symmetric matrix: `rows · columns`.
struct Taken {
    rows: Mat<f64>,
    columns: Mat<f64>,
}

impl Taken {
    fn nothing(n: usize) -> Taken {
        Taken { rows: Mat::zeros(n, 0), columns: Mat::zeros(0, n) }
    }

    /// By reflectors, from what their product with the matrix is.
    fn by((v, factor): (MatRef<f64>, MatRef<f64>), mut y: Mat<f64>) -> Taken {
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
        Taken { rows, columns }
    }

    /// What is to be taken from the rows and columns after so many.
    fn below(&self, n: usize) -> TakenBelow<'_> {
        let n_left = self.rows.nrows() - n;
        TakenBelow {
            rows: self.rows.as_ref().subrows(n, n_left),
            columns: self.columns.as_ref().subcols(n, n_left),
        }
    }

    /// Takes it from the first columns, on and below the diagonal.
    fn take(&self, mut first: MatMut<f64>) {
        let n = first.ncols();
        let all = self.below(0);
        let (on_diagonal, below) = first.as_mut().split_at_row_mut(n);
        all.take_from(on_diagonal, (0, 0));
        all.take_from(below, (n, 0));
    }
}

#[derive(Clone, Copy)]
struct TakenBelow<'a> {
    rows: MatRef<'a, f64>,
    columns: MatRef<'a, f64>,
}

impl TakenBelow<'_> {
    /// Takes it from a part of the matrix that begins at a row and a column; of a part on the diagonal only from the
    /// lower half.
    fn take_from(&self, part: MatMut<f64>, (row, column): (usize, usize)) {
        let rows = self.rows.subrows(row, part.nrows());
        let columns = self.columns.subcols(column, part.ncols());
        if row == column {
            let (lower, all) = (BlockStructure::TriangularLower, BlockStructure::Rectangular);
            triangular::matmul(part, lower, Accum::Add, rows, all, columns, all, -1.0, Par::Seq);
        } else {
            matmul(part, Accum::Add, rows, columns, -1.0, Par::Seq);
        }
    }

    /// Takes it from a matrix of which the lower half is filled, and multiplies what is left with some columns: each tile
    /// is read once for both.
    fn take_and_multiply(&self, rest: MatMut<f64>, v: MatRef<f64>) -> Mat<f64> {
        let of_strip = |(at, strip): (usize, MatMut<f64>)| self.of_strip(at * TILE, strip, v);
        let of_strips: Vec<_> = rest.par_col_chunks_mut(TILE).enumerate().map(of_strip).collect();
        let mut product = Mat::zeros(v.nrows(), v.ncols());
        for (at, of_strip) in of_strips.iter().enumerate() {
            let mut product = product.as_mut().subrows_mut(at * TILE, of_strip.nrows());
            product += of_strip;
        }
        product
    }

    /// The share that some columns and, as the matrix is symmetric, the same rows have in the product; from row `first`
    /// on.
    fn of_strip(&self, first: usize, strip: MatMut<f64>, v: MatRef<f64>) -> Mat<f64> {
        let (n, n_columns) = (strip.nrows(), strip.ncols());
        let (all, lower, upper) = (
            BlockStructure::Rectangular,
            BlockStructure::TriangularLower,
            BlockStructure::StrictTriangularUpper,
        );
        let (mut diagonal, mut below) = strip.subrows_mut(first, n - first).split_at_row_mut(n_columns);
        let mut share = Mat::zeros(n - first, v.ncols());
        let (mut of_diagonal, mut of_below) = share.as_mut().split_at_row_mut(n_columns);
        let v_diagonal = v.subrows(first, n_columns);
        self.take_from(diagonal.as_mut(), (first, first));
        for (half, which) in [(diagonal.as_ref(), lower), (diagonal.as_ref().transpose(), upper)] {
            let to = of_diagonal.as_mut();
            triangular::matmul(to, all, Accum::Add, half, which, v_diagonal, all, 1.0, Par::Seq);
        }
        for start in (0..below.nrows()).step_by(TILE) {
            let (n_rows, row) = (TILE.min(below.nrows() - start), first + n_columns + start);
            let mut tile = below.as_mut().subrows_mut(start, n_rows);
            self.take_from(tile.as_mut(), (row, first));
            let (tile, to) = (tile.as_ref(), of_below.as_mut().subrows_mut(start, n_rows));
            matmul(to, Accum::Add, tile, v_diagonal, 1.0, Par::Seq);
            matmul(of_diagonal.as_mut(), Accum::Add, tile.transpose(), v.subrows(row, n_rows), 1.0, Par::Seq);
        }
        share
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
fn multiply_out(reflectors: MatRef<f64>, factors: MatRef<f64>, basis: MatMut<f64>) {
    let (n, n_kept) = (reflectors.ncols(), factors.nrows());
    let n_together = TOGETHER.next_multiple_of(n_kept).min(n);
    let joint = |start: usize| {
        let (n_left, n_block) = (n - start, n_together.min(n - start));
        let block = reflectors.submatrix(start, start, n_left, n_block);
        (start, block, joint_factor(block, factors.subcols(start, n_block)))
    };
    let blocks: Vec<_> = (0..n).step_by(n_together).collect::<Vec<_>>().into_par_iter().map(joint).collect();
    // A strip of columns stays in a cache while block after block meets it.
    basis.par_col_chunks_mut(STRIP).enumerate().for_each(|(at, mut strip)| {
        let (first, n_columns) = (at * STRIP, strip.ncols());
        let scratch = apply_block_householder_on_the_left_in_place_scratch::<f64>(n, n_together, n_columns);
        let mut memory = MemBuffer::new(scratch);
        for (start, block, factor) in blocks.iter().rev().filter(|(start, ..)| *start < first + n_columns) {
            let untouched = start.saturating_sub(first);
            let met = strip.as_mut().submatrix_mut(*start, untouched, n - start, n_columns - untouched);
            let stack = MemStack::new(&mut memory);
            apply_block_householder_on_the_left_in_place_with_conj(
                *block,
                factor.as_ref(),
                Conj::No,
                met,
                Par::Seq,
                stack,
            );
        }
    });
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
