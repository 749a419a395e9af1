//! One decomposition of the activations, shared by every penalty and every target.
//!
//! With `X` the rows minus their mean, `XᵀX = B M Bᵀ` with orthonormal axes `B`. The weights at penalty `λ` are
//! `(XᵀX + λ)⁻¹ Xᵀy = B (M + λ)⁻¹ (XB)ᵀ y`.

use super::band::Band;
use super::band_reduction::{band_eigenvectors, to_band};
use super::gram::InnerGram;
use super::moments::{ActivationRows, Moments};
use super::symmetric::{add_gram, check_finite, inverse, pieces, product, view};
use crate::error::{Error, Result};
use crate::probes::probe::Probe;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, Par};
use ndarray::{Array1, Array2, ArrayView2, Axis, ShapeBuilder, s};
use std::borrow::Cow;
use std::ops::Range;

/// Minimum number of rows, so that leaving one out still leaves two.
const MIN_ROWS: usize = 3;

/// The centred activations `X` as `XᵀX = B M Bᵀ`: the axes `B`, the inner matrix `M` and the scores `X B`.
///
/// If the columns are linearly independent, `M` is a narrow band; otherwise the axes are the principal axes and `M` is
/// diagonal. The smaller of the Gram matrices `[d_model, d_model]` and `[n_rows, n_rows]` is decomposed.
#[derive(Debug, Clone)]
pub struct Decomposition<'a> {
    /// The mean activation, `[d_model]`.
    pub(super) mean: Array1<f64>,
    /// The axes as columns, `[d_model, n_axes]`.
    pub(super) axes: Array2<f64>,
    /// The inner matrix `M`, `[n_axes, n_axes]`.
    pub(super) gram: InnerGram,
    /// The coordinates of the rows along the axes, `[n_rows, n_axes]`.
    scores: Scores<'a>,
}

/// Reusable memory for a block of rows and its scores.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    rows: Vec<f64>,
    scores: Vec<f64>,
}

/// The coordinates of the rows along the axes.
#[derive(Debug, Clone)]
enum Scores<'a> {
    /// Held in memory.
    InMemory(Array2<f64>),
    /// Computed from these rows, one block at a time, at each use.
    Streamed(ActivationRows<'a>),
}

/// A Gram matrix `B M Bᵀ` as its axes `B` and inner matrix `M`.
struct Factors {
    axes: Array2<f64>,
    gram: InnerGram,
}

impl<'a> Decomposition<'a> {
    /// Decomposes activations, reusing their memory.
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

    /// Decomposes the given rows of stored activations, copying one block at a time; copies all of them at once if
    /// there are fewer rows than columns, or if the array is not row-major.
    ///
    /// # Shapes
    /// `activations` is `[n_entities, d_model]`.
    ///
    /// # Errors
    /// As [`Decomposition::of`].
    pub fn of_rows(activations: ArrayView2<'a, f32>, rows: &'a [usize]) -> Result<Decomposition<'a>> {
        match Decomposition::stored(activations, rows) {
            // Runs inside the thread pool, so that the pool is not woken for each of many small steps.
            Some(stored) => rayon::scope(|_| Decomposition::from_moments(Moments::of(&stored)?, stored)),
            None => Decomposition::of(activations.select(Axis(0), rows).mapv(f64::from)),
        }
    }

    /// The stored rows, if they can be streamed: from a row-major array, and at least as many rows as columns.
    pub(in crate::probes) fn stored(
        activations: ArrayView2<'a, f32>,
        rows: &'a [usize],
    ) -> Option<ActivationRows<'a>> {
        let (n, width) = (rows.len(), activations.ncols());
        ActivationRows::of(activations, rows).filter(|_| n >= MIN_ROWS && width <= n && width > 0)
    }

    /// Decomposes rows whose moments are already computed.
    pub(in crate::probes) fn from_moments(
        moments: Moments,
        stored: ActivationRows<'a>,
    ) -> Result<Decomposition<'a>> {
        let Factors { axes, gram } = Factors::of(moments.gram)?;
        Ok(Decomposition { mean: moments.mean, axes, gram, scores: Scores::Streamed(stored) })
    }

    /// Decomposes `XᵀX`, for at least as many rows as columns.
    fn by_columns(x: &Array2<f64>, mean: Array1<f64>) -> Result<Decomposition<'a>> {
        let mut gram = Mat::zeros(x.ncols(), x.ncols());
        add_gram(gram.as_mut(), view(x.view())?, 1.0);
        let Factors { axes, gram } = Factors::of(gram)?;
        let scores = Scores::InMemory(product(x.view(), axes.view(), pieces())?);
        Ok(Decomposition { mean, axes, gram, scores })
    }

    /// Decomposes `XXᵀ`, for fewer rows than columns; its scaled eigenvectors are the scores.
    fn by_rows(x: &Array2<f64>, mean: Array1<f64>) -> Result<Decomposition<'a>> {
        let mut gram = Mat::zeros(x.nrows(), x.nrows());
        add_gram(gram.as_mut(), view(x.t())?, 1.0);
        let (band, basis) = to_band(gram, 1)?;
        let (eigenvalues, left) = principal(&band, &basis)?; // [n], [n, n]
        let mut axes = product(x.t(), left.view(), pieces())?; // [d, n]
        let roots = eigenvalues.mapv(f64::sqrt);
        axes *= &roots.mapv(|root| if root > 0.0 { 1.0 / root } else { 0.0 });
        let (scores, gram) = (Scores::InMemory(left * &roots), InnerGram::Diagonal(eigenvalues));
        Ok(Decomposition { mean, axes, gram, scores })
    }

    /// The decomposition along the principal axes, along which the coordinates of the rows are uncorrelated.
    ///
    /// # Errors
    /// [`Error::Internal`] if the eigendecomposition fails.
    pub fn principal(&self) -> Result<Cow<'_, Decomposition<'a>>> {
        let InnerGram::Band(band) = &self.gram else { return Ok(Cow::Borrowed(self)) };
        let (eigenvalues, rotation) = band_eigenvectors(band)?;
        let rotated = |of: &Array2<f64>| product(of.view(), rotation.view(), pieces());
        let scores = match &self.scores {
            Scores::InMemory(scores) => Scores::InMemory(rotated(scores)?),
            Scores::Streamed(stored) => Scores::Streamed(*stored),
        };
        Ok(Cow::Owned(Decomposition {
            mean: self.mean.clone(),
            axes: rotated(&self.axes)?,
            gram: InnerGram::Diagonal(eigenvalues),
            scores,
        }))
    }

    /// The coordinates of a block of rows along the axes; streamed scores are written to the scratch memory.
    ///
    /// # Shapes
    /// `[n_block, n_axes]`.
    pub(super) fn scores<'r>(
        &'r self,
        block: Range<usize>,
        scratch: &'r mut Scratch,
    ) -> Result<ArrayView2<'r, f64>> {
        let stored = match &self.scores {
            Scores::InMemory(scores) => return Ok(scores.slice(s![block, ..])),
            Scores::Streamed(stored) => stored,
        };
        let (n_rows, n_axes) = (block.len(), self.axes.ncols());
        let rows = view(stored.centred(block, &self.mean, &mut scratch.rows)?)?;
        scratch.scores.resize(n_rows * n_axes, 0.0);
        // In column order, because the product kernel writes it fastest.
        let scores = MatMut::from_column_major_slice_mut(&mut scratch.scores, n_rows, n_axes);
        matmul(scores, Accum::Replace, rows, view(self.axes.view())?, 1.0, Par::Seq);
        ArrayView2::from_shape((n_rows, n_axes).f(), &scratch.scores)
            .map_err(|e| Error::Internal(e.to_string()))
    }

    /// The product `(XB)ᵀ y` of the scores with targets `y`.
    ///
    /// # Shapes
    /// `[n_rows, n_targets]` to `[n_axes, n_targets]`.
    pub(super) fn project(&self, y: &Array2<f64>) -> Result<Array2<f64>> {
        match &self.scores {
            Scores::InMemory(scores) => Ok(scores.t().dot(y)),
            Scores::Streamed(stored) => Ok(self.axes.t().dot(&stored.transposed_times(&self.mean, y)?)),
        }
    }

    /// The number of rows.
    pub fn n_rows(&self) -> usize {
        match &self.scores {
            Scores::InMemory(scores) => scores.nrows(),
            Scores::Streamed(stored) => stored.n_rows(),
        }
    }

    /// The mean activation.
    ///
    /// # Shapes
    /// `[d_model]`.
    pub fn mean(&self) -> &Array1<f64> {
        &self.mean
    }

    /// The number of eigenvalues that are not 0.
    pub fn rank(&self) -> usize {
        self.gram.rank()
    }

    /// The decomposition along the `k` principal axes of greatest variance, or along all if there are fewer.
    ///
    /// # Errors
    /// As [`Decomposition::principal`].
    pub fn first(&self, k: usize) -> Result<Decomposition<'a>> {
        let all = self.principal()?;
        let eigenvalues = all.gram.eigenvalues()?;
        let mut order: Vec<usize> = (0..eigenvalues.len()).collect();
        order.sort_by(|&a, &b| eigenvalues[b].total_cmp(&eigenvalues[a]));
        order.truncate(k);
        Ok(Decomposition {
            mean: all.mean.clone(),
            axes: all.axes.select(Axis(1), &order),
            gram: InnerGram::Diagonal(eigenvalues.select(Axis(0), &order)),
            scores: match &all.scores {
                Scores::InMemory(scores) => Scores::InMemory(scores.select(Axis(1), &order)),
                Scores::Streamed(stored) => Scores::Streamed(*stored),
            },
        })
    }

    /// The mean of the non-zero eigenvalues, which is the unit of the penalty grid; 1 if all are 0.
    pub fn mean_eigenvalue(&self) -> f64 {
        match self.rank() {
            0 => 1.0,
            rank => self.gram.trace() / rank as f64,
        }
    }

    /// The sum of the eigenvalues and the sum of their squares.
    pub(in crate::probes) fn eigenvalue_sums(&self) -> (f64, f64) {
        (self.gram.trace(), self.gram.sum_of_squares())
    }

    /// The sum of squares of each prediction of a probe along each principal axis, `[n_targets, n_axes]`.
    ///
    /// # Errors
    /// As [`Decomposition::principal`].
    pub(in crate::probes) fn principal_squares(&self, probe: &Probe) -> Result<Array2<f64>> {
        let all = self.principal()?;
        let along = probe.weights.dot(&all.axes); // [n_targets, n_axes]
        Ok(along.mapv(|w| w * w) * all.gram.eigenvalues()?)
    }

    /// The root of the mean squared Euclidean norm of the rows, before centring.
    pub fn rms_norm(&self) -> f64 {
        (self.gram.trace() / self.n_rows() as f64 + self.mean.dot(&self.mean)).sqrt()
    }

    /// The pattern of a probe: the mean change of the stream when one prediction rises by one unit and the others
    /// do not change.
    ///
    /// It is the stream's covariance times the weights, times the inverse covariance of the predictions. If the
    /// predictions are constant, the pattern is 0.
    ///
    /// # Shapes
    /// `[n_targets, d_model]`.
    ///
    /// # Source
    /// Haufe et al. 2014, "On the interpretation of weight vectors of linear models in multivariate
    /// neuroimaging", equation 6.
    ///
    /// # Errors
    /// [`Error::Internal`] if the predictions' covariance cannot be decomposed.
    pub fn pattern(&self, probe: &Probe) -> Result<Array2<f64>> {
        let along = probe.weights.dot(&self.axes); // [n_targets, n_axes]
        let covariance = self.gram.times(&along);
        // Both covariances lack the factor 1 / n_rows, which cancels.
        let stream = covariance.dot(&self.axes.t()); // [n_targets, d_model]
        let predictions = covariance.dot(&along.t()); // [n_targets, n_targets]
        Ok(inverse(&predictions)?.dot(&stream))
    }
}

impl Factors {
    /// Decomposes a Gram matrix; takes it by value, so that its memory is freed before the eigenvectors are allocated.
    fn of(gram: Mat<f64>) -> Result<Factors> {
        let width = band_width(gram.nrows());
        let (band, axes) = to_band(gram, width)?;
        if band.is_definite() {
            return Ok(Factors { axes, gram: InnerGram::Band(band) });
        }
        // Directions without variance must be left out; only the eigendecomposition shows which these are.
        let (eigenvalues, axes) = principal(&band, &axes)?;
        Ok(Factors { axes, gram: InnerGram::Diagonal(eigenvalues) })
    }
}

/// The width of the band for a Gram matrix. A wide band needs fewer passes over a matrix larger than the cache; a
/// narrow band makes the substitution of each row cheaper.
fn band_width(d: usize) -> usize {
    match d {
        ..1024 => 1,
        1024..3072 => 8,
        _ => 16,
    }
}

/// The eigenvalues of a Gram matrix, of which only the lower triangle is read, and its eigenvectors as columns; an
/// eigenvalue as small as rounding errors is 0.
pub(super) fn principal_axes(gram: Mat<f64>) -> Result<(Array1<f64>, Array2<f64>)> {
    let width = band_width(gram.nrows());
    let (band, axes) = to_band(gram, width)?;
    principal(&band, &axes)
}

/// The eigenvalues, and the principal axes as columns.
fn principal(band: &Band, axes: &Array2<f64>) -> Result<(Array1<f64>, Array2<f64>)> {
    let (eigenvalues, rotation) = band_eigenvectors(band)?;
    Ok((eigenvalues, product(axes.view(), rotation.view(), pieces())?))
}
