//! One decomposition of the activations, which serves every penalty and every target.

use super::band::Band;
use super::middle::Middle;
use super::moments::{Moments, Stored};
use super::probe::Probe;
use super::reduction::banded;
use super::symmetric::{add_gram, inverse, pieces, product, view};
use crate::error::{Error, Result};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, Par};
use ndarray::{Array1, Array2, ArrayView2, Axis, ShapeBuilder, s};
use std::borrow::Cow;
use std::ops::Range;

/// Fewer rows than this leave nothing to learn from once one is left out.
const MIN_ROWS: usize = 3;

/// The centred activations, turned to axes along which a penalty is easily put on.
///
/// With `X` the rows less their mean, `XᵀX = B M Bᵀ`: it holds the orthonormal `B` and `M`, and knows the scores
/// `X B`. Where the columns are independent, `M` is a narrow band, which every fit can use as it is; else the axes are
/// the principal ones and `M` is diagonal. Whichever of the Gram matrices `[d_model, d_model]` and
/// `[n_rows, n_rows]` is smaller is decomposed.
#[derive(Debug, Clone)]
pub struct Decomposition<'a> {
    /// The mean activation, `[d_model]`.
    pub(super) mean: Array1<f64>,
    /// The axes as columns, `[d_model, n_axes]`.
    pub(super) axes: Array2<f64>,
    /// What stands between the axes, `[n_axes, n_axes]`.
    pub(super) middle: Middle,
    /// The coordinates of the rows along the axes, `[n_rows, n_axes]`.
    scores: Scores<'a>,
}

/// Memory for a block of rows, as they are and turned to the axes.
#[derive(Debug, Default)]
pub(super) struct Room {
    wide: Vec<f64>,
    turned: Vec<f64>,
}

/// Where the coordinates of the rows come from.
#[derive(Debug, Clone)]
enum Scores<'a> {
    /// They are held.
    Held(Array2<f64>),
    /// They are computed from these rows of the activations, a block at a time, whenever they are needed.
    Of(Stored<'a>),
}

/// A Gram matrix in parts: the axes and what stands between them.
type Parts = (Array2<f64>, Middle);

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
        if d <= n { Decomposition::by_columns(&x, mean) } else { Decomposition::by_rows(&x, mean) }
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
        match Decomposition::stored(activations, rows) {
            // Among the threads that compute, which then need not be woken for each of many small steps.
            Some(stored) => rayon::scope(|_| Decomposition::from_moments(Moments::of(&stored)?, stored)),
            None => Decomposition::of(activations.select(Axis(0), rows).mapv(f64::from)),
        }
    }

    /// The rows as they are stored, if a decomposition by columns reads them from there.
    pub(super) fn stored(activations: ArrayView2<'a, f32>, rows: &'a [usize]) -> Option<Stored<'a>> {
        let (n, width) = (rows.len(), activations.ncols());
        Stored::of(activations, rows).filter(|_| n >= MIN_ROWS && width <= n && width > 0)
    }

    /// Decomposes rows whose moments are known.
    pub(super) fn from_moments(moments: Moments, stored: Stored<'a>) -> Result<Decomposition<'a>> {
        let (axes, middle) = parts(moments.gram)?;
        Ok(Decomposition { mean: moments.mean, axes, middle, scores: Scores::Of(stored) })
    }

    /// Fewer columns than rows: the axes are those of `XᵀX`.
    fn by_columns(x: &Array2<f64>, mean: Array1<f64>) -> Result<Decomposition<'a>> {
        let mut gram = Mat::zeros(x.ncols(), x.ncols());
        add_gram(gram.as_mut(), view(x.view())?, 1.0);
        let (axes, middle) = parts(gram)?;
        let scores = Scores::Held(product(x.view(), axes.view(), pieces())?);
        Ok(Decomposition { mean, axes, middle, scores })
    }

    /// Fewer rows than columns: the scores are the eigenvectors of `XXᵀ`, scaled.
    fn by_rows(x: &Array2<f64>, mean: Array1<f64>) -> Result<Decomposition<'a>> {
        let mut gram = Mat::zeros(x.nrows(), x.nrows());
        add_gram(gram.as_mut(), view(x.t())?, 1.0);
        let (band, basis) = banded(gram, 1)?;
        let (eigenvalues, left) = principal(&band, &basis)?; // [n], [n, n]
        let mut axes = product(x.t(), left.view(), pieces())?; // [d, n]
        let roots = eigenvalues.mapv(f64::sqrt);
        axes *= &roots.mapv(|root| if root > 0.0 { 1.0 / root } else { 0.0 });
        let (scores, middle) = (Scores::Held(left * &roots), Middle::Diagonal(eigenvalues));
        Ok(Decomposition { mean, axes, middle, scores })
    }

    /// The same along the principal axes, along which the rows do not vary together.
    ///
    /// # Errors
    /// [`Error::Internal`] if there are no eigenvectors to be found.
    pub fn principal(&self) -> Result<Cow<'_, Decomposition<'a>>> {
        let Middle::Band(band) = &self.middle else { return Ok(Cow::Borrowed(self)) };
        let (eigenvalues, turn) = band.eigenvectors()?;
        let turned = |of: &Array2<f64>| product(of.view(), turn.view(), pieces());
        let scores = match &self.scores {
            Scores::Held(scores) => Scores::Held(turned(scores)?),
            Scores::Of(stored) => Scores::Of(*stored),
        };
        Ok(Cow::Owned(Decomposition {
            mean: self.mean.clone(),
            axes: turned(&self.axes)?,
            middle: Middle::Diagonal(eigenvalues),
            scores,
        }))
    }

    /// The coordinates of some rows along the axes; where they are computed they lie in the room.
    ///
    /// # Shapes
    /// `[n_block, n_axes]`.
    pub(super) fn scores<'r>(
        &'r self,
        block: Range<usize>,
        room: &'r mut Room,
    ) -> Result<ArrayView2<'r, f64>> {
        let stored = match &self.scores {
            Scores::Held(scores) => return Ok(scores.slice(s![block, ..])),
            Scores::Of(stored) => stored,
        };
        let (n_rows, n_axes) = (block.len(), self.axes.ncols());
        let wide = view(stored.widened(block, &self.mean, &mut room.wide)?)?;
        room.turned.resize(n_rows * n_axes, 0.0);
        // The order in which the kernel of the product writes fastest.
        let turned = MatMut::from_column_major_slice_mut(&mut room.turned, n_rows, n_axes);
        matmul(turned, Accum::Replace, wide, view(self.axes.view())?, 1.0, Par::Seq);
        ArrayView2::from_shape((n_rows, n_axes).f(), &room.turned).map_err(|e| Error::Internal(e.to_string()))
    }

    /// What some targets have along the axes: the scores' product with them, `[n_axes, n_targets]`.
    pub(super) fn along(&self, y: &Array2<f64>) -> Result<Array2<f64>> {
        match &self.scores {
            Scores::Held(scores) => Ok(scores.t().dot(y)),
            Scores::Of(stored) => Ok(self.axes.t().dot(&stored.along(&self.mean, y)?)),
        }
    }

    /// How many rows were decomposed.
    pub fn n_rows(&self) -> usize {
        match &self.scores {
            Scores::Held(scores) => scores.nrows(),
            Scores::Of(stored) => stored.n_rows(),
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
        self.middle.rank()
    }

    /// Only the `k` principal axes along which the rows vary most, or all if there are fewer.
    ///
    /// # Errors
    /// As [`Decomposition::principal`], which is asked for first where these axes are others.
    pub fn first(&self, k: usize) -> Result<Decomposition<'a>> {
        let all = self.principal()?;
        let eigenvalues = all.middle.eigenvalues()?;
        let mut order: Vec<usize> = (0..eigenvalues.len()).collect();
        order.sort_by(|&a, &b| eigenvalues[b].total_cmp(&eigenvalues[a]));
        order.truncate(k);
        Ok(Decomposition {
            mean: all.mean.clone(),
            axes: all.axes.select(Axis(1), &order),
            middle: Middle::Diagonal(eigenvalues.select(Axis(0), &order)),
            scores: match &all.scores {
                Scores::Held(scores) => Scores::Held(scores.select(Axis(1), &order)),
                Scores::Of(stored) => Scores::Of(*stored),
            },
        })
    }

    /// The mean of the eigenvalues that are not 0: the unit of the penalty grid. 1 if all are 0.
    pub fn mean_eigenvalue(&self) -> f64 {
        match self.rank() {
            0 => 1.0,
            rank => self.middle.trace() / rank as f64,
        }
    }

    /// The root of the mean squared Euclidean norm of the rows, before centring.
    pub fn rms_norm(&self) -> f64 {
        (self.middle.trace() / self.n_rows() as f64 + self.mean.dot(&self.mean)).sqrt()
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
        let spread = self.middle.times(&along);
        // The factor 1 / n_rows of both covariances cancels.
        let stream = spread.dot(&self.axes.t()); // [n_targets, d_model]
        let readings = spread.dot(&along.t()); // [n_targets, n_targets]
        Ok(inverse(&readings)?.dot(&stream))
    }
}

/// A Gram matrix in parts; its memory is gone before that of eigenvectors is needed.
fn parts(gram: Mat<f64>) -> Result<Parts> {
    let width = band_width(gram.nrows());
    let (band, axes) = banded(gram, width)?;
    if band.is_definite() {
        return Ok((axes, Middle::Band(band)));
    }
    // Directions that are only rounding are left out, and only eigenvectors tell which they are.
    let (eigenvalues, axes) = principal(&band, &axes)?;
    Ok((axes, Middle::Diagonal(eigenvalues)))
}

/// How wide a band a Gram matrix is turned to: a wide one takes fewer readings of a matrix that no cache holds, a narrow
/// one less of each row's walk.
fn band_width(d: usize) -> usize {
    match d {
        ..1024 => 1,
        1024..3072 => 8,
        _ => 16,
    }
}

/// Eigenvalues, and principal axes as columns.
fn principal(band: &Band, axes: &Array2<f64>) -> Result<(Array1<f64>, Array2<f64>)> {
    let (eigenvalues, turn) = band.eigenvectors()?;
    Ok((eigenvalues, product(axes.view(), turn.view(), pieces())?))
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
