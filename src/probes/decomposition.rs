//! One eigendecomposition of the activations, which serves every penalty and every target.

use super::probe::Probe;
use crate::error::{Error, Result};
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, MatMut, MatRef, Par, Side, set_global_parallelism};
use ndarray::{Array1, Array2, ArrayView2, Axis, CowArray, Ix2, s};
use std::ops::Range;

/// Into how many pieces products and decompositions are cut, however many threads there are: sums are then
/// taken in the same order, so that one CPU gives the same bits as eight.
const PIECES: usize = 8;

/// Fewer rows than this leave nothing to learn from once one is left out.
const MIN_ROWS: usize = 3;

/// The centred activations, turned to their principal axes.
///
/// With `X − mean = U √S Vᵀ` it holds `S` and `V`, and knows the scores `T = U √S`. Whichever of the Gram
/// matrices `[d_model, d_model]` and `[n_rows, n_rows]` is smaller is decomposed.
#[derive(Debug, Clone)]
pub struct Decomposition<'a> {
    /// The mean activation, `[d_model]`.
    pub(super) mean: Array1<f64>,
    /// The squared singular values; those that are only rounding are 0, `[n_axes]`.
    pub(super) eigenvalues: Array1<f64>,
    /// The principal axes as columns, `[d_model, n_axes]`.
    pub(super) axes: Array2<f64>,
    /// The coordinates of the rows along the axes, `[n_rows, n_axes]`.
    scores: Scores<'a>,
}

/// Where the coordinates of the rows come from.
#[derive(Debug, Clone)]
enum Scores<'a> {
    /// They are held.
    Held(Array2<f64>),
    /// They are computed from these rows of the activations, a block at a time, whenever they are needed.
    Of(Stored<'a>),
}

/// Some rows of activations as they are stored: all values, row after row, the width, and the rows that are meant.
#[derive(Debug, Clone, Copy)]
struct Stored<'a> {
    values: &'a [f32],
    width: usize,
    rows: &'a [usize],
}

impl Stored<'_> {
    /// Some of the rows in f64, by their places among those that are meant.
    fn block(&self, block: Range<usize>) -> Array2<f64> {
        let mut wide = Array2::zeros((block.len(), self.width));
        for (mut to, &row) in wide.rows_mut().into_iter().zip(&self.rows[block]) {
            let from = &self.values[row * self.width..(row + 1) * self.width];
            to.iter_mut().zip(from).for_each(|(to, from)| *to = f64::from(*from));
        }
        wide
    }

    /// The places of the rows, a block at a time.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let n = self.rows.len();
        (0..n).step_by(BLOCK_ROWS).map(move |start| start..(start + BLOCK_ROWS).min(n))
    }
}

/// Rows that are widened to f64 at a time.
const BLOCK_ROWS: usize = 1024;

impl<'a> Decomposition<'a> {
    /// Decomposes activations; it takes them, as it works in their memory.
    ///
    /// # Shapes
    /// `[n_rows, d_model]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are fewer than 3 rows or no columns, [`Error::NonFinite`] naming the
    /// first row and column (counted from 1) that is infinite or not a number.
    pub fn of(x: Array2<f64>) -> Result<Decomposition<'a>> {
        let mut x = if x.is_standard_layout() { x } else { x.as_standard_layout().into_owned() };
        let (n, d) = x.dim();
        if n < MIN_ROWS || d == 0 {
            let found = format!("{n} rows of {d} columns");
            return Err(Error::invalid("activations to fit", found, format!("at least {MIN_ROWS} rows")));
        }
        check_finite(x.view(), "activations")?;
        let mean = x.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(d));
        x -= &mean;
        if d <= n { Decomposition::by_columns(x, mean) } else { Decomposition::by_rows(x, mean) }
    }

    /// Decomposes some rows of activations as they are stored; of these only a block is copied at a time, unless
    /// there are fewer rows than columns.
    ///
    /// # Shapes
    /// `activations` is `[n_entities, d_model]`.
    ///
    /// # Errors
    /// As [`Decomposition::of`].
    pub fn of_rows(activations: ArrayView2<'a, f32>, rows: &'a [usize]) -> Result<Decomposition<'a>> {
        let (n, width) = (rows.len(), activations.ncols());
        let values = activations.to_slice().filter(|_| n >= MIN_ROWS && width <= n && width > 0);
        let Some(values) = values else {
            return Decomposition::of(activations.select(Axis(0), rows).mapv(f64::from));
        };
        let stored = Stored { values, width, rows };
        let mut mean = Array1::<f64>::zeros(width);
        for block in stored.blocks() {
            let after = format!("activations, after {} others", block.start);
            let block = stored.block(block);
            check_finite(block.view(), &after)?;
            mean += &block.sum_axis(Axis(0));
        }
        mean /= n as f64;
        let mut gram = Mat::<f64>::zeros(width, width);
        for block in stored.blocks() {
            let block = stored.block(block) - &mean;
            let view = faer_view(&block)?;
            add_gram(&mut gram, view.transpose(), view);
        }
        let (eigenvalues, axes) = eigen(gram)?; // [d], [d, d]
        let axes = Array2::from_shape_fn((width, width), |(i, j)| axes[(i, j)]);
        Ok(Decomposition { mean, eigenvalues, axes, scores: Scores::Of(stored) })
    }

    /// The coordinates of some rows along the axes, `[n_block, n_axes]`.
    pub(super) fn scores(&self, block: Range<usize>) -> CowArray<'_, f64, Ix2> {
        match &self.scores {
            Scores::Held(scores) => scores.slice(s![block, ..]).into(),
            Scores::Of(stored) => {
                let x = stored.block(block) - &self.mean;
                let mut scores = Array2::zeros((x.nrows(), self.axes.ncols()));
                let axes = self.axes.as_standard_layout();
                // New arrays are in row order: all three have a slice.
                if let (Some(into), Some(from), Some(axes)) =
                    (scores.as_slice_mut(), x.as_slice(), axes.as_slice())
                {
                    let (n, d, k) = (x.nrows(), x.ncols(), self.axes.ncols());
                    matmul(
                        MatMut::from_row_major_slice_mut(into, n, k),
                        Accum::Replace,
                        MatRef::from_row_major_slice(from, n, d),
                        MatRef::from_row_major_slice(axes, d, k),
                        1.0,
                        Par::Seq,
                    );
                }
                scores.into()
            }
        }
    }

    /// What some targets have along the axes: `Tᵀ y`, `[n_axes, n_targets]`.
    pub(super) fn along(&self, y: &Array2<f64>) -> Array2<f64> {
        match &self.scores {
            Scores::Held(scores) => scores.t().dot(y),
            Scores::Of(stored) => {
                let mut moments = Array2::zeros((self.mean.len(), y.ncols())); // [d_model, n_targets]
                for (block, y) in stored.blocks().zip(y.axis_chunks_iter(Axis(0), BLOCK_ROWS)) {
                    moments += &(stored.block(block) - &self.mean).t().dot(&y);
                }
                self.axes.t().dot(&moments)
            }
        }
    }

    /// Fewer columns than rows: the axes are the eigenvectors of `XᵀX`.
    fn by_columns(mut x: Array2<f64>, mean: Array1<f64>) -> Result<Decomposition<'a>> {
        let view = faer_view(&x)?;
        let (eigenvalues, axes) = eigen(gram(view.transpose(), view))?; // [d], [d, d]
        let d = axes.ncols();
        // The scores X V take the place of X, some rows at a time.
        let mut block = Mat::<f64>::zeros(BLOCK_ROWS.min(x.nrows()), d);
        for mut rows in x.axis_chunks_iter_mut(Axis(0), BLOCK_ROWS) {
            let n = rows.nrows();
            let slice = rows.as_slice_mut().ok_or_else(layout_fault)?;
            let mut product = block.as_mut().subrows_mut(0, n);
            let from = MatRef::from_row_major_slice(&*slice, n, d);
            matmul(product.as_mut(), Accum::Replace, from, axes.as_ref(), 1.0, pieces());
            MatMut::from_row_major_slice_mut(slice, n, d).copy_from(product);
        }
        let axes = Array2::from_shape_fn((d, d), |(i, j)| axes[(i, j)]);
        Ok(Decomposition { mean, eigenvalues, axes, scores: Scores::Held(x) })
    }

    /// Fewer rows than columns: the scores are the eigenvectors of `XXᵀ`, scaled.
    fn by_rows(x: Array2<f64>, mean: Array1<f64>) -> Result<Decomposition<'a>> {
        let (n, d) = x.dim();
        let view = faer_view(&x)?;
        let (eigenvalues, left) = eigen(gram(view, view.transpose()))?; // [n], [n, n]
        let mut axes = Array2::zeros((d, n));
        let into = axes.as_slice_mut().ok_or_else(layout_fault)?;
        let into = MatMut::from_row_major_slice_mut(into, d, n);
        matmul(into, Accum::Replace, view.transpose(), left.as_ref(), 1.0, pieces());
        let roots = eigenvalues.mapv(f64::sqrt);
        axes *= &roots.mapv(|root| if root > 0.0 { 1.0 / root } else { 0.0 });
        let scores = Scores::Held(Array2::from_shape_fn((n, n), |(i, j)| left[(i, j)] * roots[j]));
        Ok(Decomposition { mean, eigenvalues, axes, scores })
    }

    /// How many rows were decomposed.
    pub fn n_rows(&self) -> usize {
        match &self.scores {
            Scores::Held(scores) => scores.nrows(),
            Scores::Of(stored) => stored.rows.len(),
        }
    }

    /// The mean activation.
    ///
    /// # Shapes
    /// `[d_model]`.
    pub fn mean(&self) -> &Array1<f64> {
        &self.mean
    }

    /// How many of the eigenvalues are not 0.
    pub fn rank(&self) -> usize {
        self.eigenvalues.iter().filter(|&&s| s > 0.0).count()
    }

    /// Only the `k` principal axes along which the rows vary most, or all if there are fewer.
    pub fn first(&self, k: usize) -> Decomposition<'a> {
        let mut order: Vec<usize> = (0..self.eigenvalues.len()).collect();
        order.sort_by(|&a, &b| self.eigenvalues[b].total_cmp(&self.eigenvalues[a]));
        order.truncate(k);
        Decomposition {
            mean: self.mean.clone(),
            eigenvalues: self.eigenvalues.select(Axis(0), &order),
            axes: self.axes.select(Axis(1), &order),
            scores: match &self.scores {
                Scores::Held(scores) => Scores::Held(scores.select(Axis(1), &order)),
                Scores::Of(stored) => Scores::Of(*stored),
            },
        }
    }

    /// The mean of the eigenvalues that are not 0: the unit of the penalty grid. 1 if all are 0.
    pub fn mean_eigenvalue(&self) -> f64 {
        match self.rank() {
            0 => 1.0,
            rank => self.eigenvalues.sum() / rank as f64,
        }
    }

    /// The root of the mean squared Euclidean norm of the rows, before centring.
    pub fn rms_norm(&self) -> f64 {
        (self.eigenvalues.sum() / self.n_rows() as f64 + self.mean.dot(&self.mean)).sqrt()
    }

    /// How the stream moves when one reading of a probe rises by one unit and the others stay.
    ///
    /// The stream's covariance times the weights, times the inverse covariance of the readings. A
    /// probe whose readings do not vary has no pattern: its rows are 0.
    ///
    /// # Shapes
    /// `[n_targets, d_model]`.
    ///
    /// # Source
    /// Haufe et al. 2014, "On the interpretation of weight vectors of linear models in multivariate
    /// neuroimaging", equation 6.
    ///
    /// # Errors
    /// [`Error::Internal`] if the readings' covariance cannot be decomposed.
    pub fn pattern(&self, probe: &Probe) -> Result<Array2<f64>> {
        let along = probe.weights.dot(&self.axes); // [n_targets, n_axes]
        let spread = &along * &self.eigenvalues;
        // The factor 1 / n_rows of both covariances cancels.
        let stream = spread.dot(&self.axes.t()); // [n_targets, d_model]
        let readings = spread.dot(&along.t()); // [n_targets, n_targets]
        Ok(inverse(&readings)?.dot(&stream))
    }
}

/// Whether a penalty acts on an axis: the factor that takes `Tᵀ y` to weights along it.
pub(super) fn shrink(eigenvalue: f64, penalty: f64) -> f64 {
    if eigenvalue > 0.0 { 1.0 / (eigenvalue + penalty) } else { 0.0 }
}

fn pieces() -> Par {
    Par::rayon(PIECES)
}

/// The symmetric product of a matrix and its transpose; only what lies on and below the diagonal is filled.
fn gram(left: MatRef<f64>, right: MatRef<f64>) -> Mat<f64> {
    let mut gram = Mat::<f64>::zeros(left.nrows(), left.nrows());
    add_gram(&mut gram, left, right);
    gram
}

fn add_gram(gram: &mut Mat<f64>, left: MatRef<f64>, right: MatRef<f64>) {
    triangular::matmul(
        gram.as_mut(),
        BlockStructure::TriangularLower,
        Accum::Add,
        left,
        BlockStructure::Rectangular,
        right,
        BlockStructure::Rectangular,
        1.0,
        pieces(),
    );
}

/// Eigenvalues and eigenvectors of a symmetric matrix.
fn eigen(gram: Mat<f64>) -> Result<(Array1<f64>, Mat<f64>)> {
    let side = gram.nrows();
    // The one way to tell it; nothing else in this program asks faer to work in parallel.
    set_global_parallelism(pieces());
    let eigen = gram
        .self_adjoint_eigen(Side::Lower)
        .map_err(|e| Error::Internal(format!("eigendecomposition of the activations: {e:?}")))?;
    let values = Array1::from_shape_fn(side, |i| eigen.S()[i]);
    let largest = values.iter().copied().fold(0.0, f64::max);
    // Centring takes one dimension away, and copies take more: what is left of them is rounding.
    let rounding = largest * f64::EPSILON * side as f64;
    Ok((values.mapv(|s| if s > rounding { s } else { 0.0 }), eigen.U().to_owned()))
}

/// The pseudo-inverse of a small symmetric matrix.
fn inverse(matrix: &Array2<f64>) -> Result<Array2<f64>> {
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

/// Refuses the first value that is infinite or not a number.
pub(super) fn check_finite(values: ArrayView2<f64>, what: &str) -> Result<()> {
    match values.indexed_iter().find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some(((row, column), &found)) => Err(Error::NonFinite {
            place: format!("{what}: row {}, column {}", row + 1, column + 1),
            found,
            advice: "leave the row out, or mend what made it".into(),
        }),
    }
}

fn faer_view(x: &Array2<f64>) -> Result<MatRef<'_, f64>> {
    let slice = x.as_slice().ok_or_else(layout_fault)?;
    Ok(MatRef::from_row_major_slice(slice, x.nrows(), x.ncols()))
}

fn layout_fault() -> Error {
    Error::Internal("activations are not in row order".into())
}
