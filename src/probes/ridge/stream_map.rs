//! The ridge map from one stream to another: as many targets as columns, and weights that shrink towards the identity.
//!
//! The map is `y ≈ x + V x + b`. It minimises `Σ w_i ‖y_i − x_i − V x_i − b‖² + λ‖V‖²` with a free `b`, so it is the ridge
//! regression of the differences `D = Y − X`, whose rows have the weights `w`. With the weighted, centred rows `X̃` and
//! `D̃`, `X̃ᵀX̃ = B S Bᵀ` and `P = Bᵀ X̃ᵀ D̃`, the solution is `Vᵀ = B (S + λ)⁻¹ P`. The leverage of a row is
//! `h_i = w_i / Σw + t_i (S + λ)⁻¹ t_iᵀ` with `t_i = x̃_i B`, and its error in a fit without it is
//! `(d̃_i − t_i (S + λ)⁻¹ P) / (1 − h_i)`.
//!
//! With `d` targets, one penalty costs `2 n d²` operations, as much as `X̃ᵀD̃` itself. So the errors are computed only around
//! the penalty with the least generalised cross-validation error, which needs no rows: at this penalty, at both
//! neighbours, and further on as long as the errors fall.

use super::decomposition::principal_axes;
use super::penalty::{Edge, PenaltyGrid, Trial, edge, least};
use super::symmetric::{add_gram, check_finite, pieces, product, view, view_mut};
use crate::error::{Error, Result};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use ndarray::{Array1, Array2, ArrayView2, s};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;

/// Minimum number of rows, so that leaving one out still leaves two.
const MIN_ROWS: usize = 3;
/// Number of rows of one product that is summed over all rows.
const SUM_ROWS: usize = 512;
/// Number of rows whose leave-one-out errors are computed together.
const BLOCK_ROWS: usize = 256;

/// The rows of a map: inputs, outputs, and the weight of each row.
#[derive(Debug, Clone, Copy)]
pub struct MapRows<'a> {
    /// The inputs, `[n, d]`, in row order.
    pub x: ArrayView2<'a, f32>,
    /// The outputs, `[n, d]`, in row order.
    pub y: ArrayView2<'a, f32>,
    /// The weights of the rows' squared errors, `[n]`, all above 0.
    pub weights: &'a [f64],
}

/// An affine map `y ≈ x + V x + b` between streams of one width.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamMap {
    /// The matrix `V`, by which the map differs from the identity, `[d_out, d_in]`.
    pub change: Array2<f64>,
    /// The bias `b`, `[d]`.
    pub bias: Array1<f64>,
    /// The penalty.
    pub penalty: f64,
    /// The tried penalties, ascending. An error is the squared leave-one-out error divided by that of the map `x + b` with
    /// the best `b`, both weighted and summed over rows and outputs.
    pub trials: Vec<Trial>,
    /// The position of the penalty in the grid.
    pub edge: Edge,
}

impl StreamMap {
    /// Fits the map with the penalty of the least leave-one-out error.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than 3 rows, or for inputs, outputs and weights of different sizes;
    /// [`Error::NonFinite`] naming row and column of a bad value.
    ///
    /// # Examples
    /// ```
    /// use mappa::probes::{MapRows, PenaltyGrid, StreamMap};
    /// let x = ndarray::array![[0f32, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 3.0]];
    /// let y = x.mapv(|v| v + 1.0);
    /// let rows = MapRows { x: x.view(), y: y.view(), weights: &[1.0; 4] };
    /// let map = StreamMap::fit(rows, &PenaltyGrid::default()).unwrap();
    /// assert!(map.change.iter().all(|v| v.abs() < 1e-12) && (map.bias[0] - 1.0).abs() < 1e-12);
    /// ```
    pub fn fit(rows: MapRows, grid: &PenaltyGrid) -> Result<StreamMap> {
        let sums = Sums::of(rows)?;
        let rank = sums.values.iter().filter(|s| **s > 0.0).count();
        let unit = if rank == 0 { 1.0 } else { sums.values.sum() / rank as f64 };
        let penalties = grid.all(unit)?;
        let trials = sums.search(&penalties)?;
        let best = least(&trials);
        let penalty = trials[best].penalty;
        let along = sums.coefficients(penalty);
        let change = product(sums.axes.view(), along.view(), pieces())?; // [d_in, d_out]
        let bias = &sums.means.y - &change.t().dot(&sums.means.x);
        let change = change.reversed_axes().as_standard_layout().into_owned();
        let is_last = |end: Option<&f64>| end == Some(&penalty);
        let edge = match edge(&trials, best) {
            // The search stops inside the grid where the errors rise again.
            Edge::Lowest if !is_last(penalties.first()) => Edge::Inside,
            Edge::Highest if !is_last(penalties.last()) => Edge::Inside,
            other => other,
        };
        Ok(StreamMap { change, bias, penalty, trials, edge })
    }

    /// The outputs that the map gives for inputs.
    ///
    /// # Shapes
    /// `[n, d]` in and out.
    pub fn apply(&self, x: &Array2<f64>) -> Array2<f64> {
        x + &x.dot(&self.change.t()) + &self.bias
    }
}

/// The weighted means of the inputs, and of the differences between outputs and inputs.
struct Means {
    x: Array1<f64>,
    y: Array1<f64>,
    /// The sum of the weights.
    weight: f64,
}

/// The sums over all rows that solve the fit at every penalty.
struct Sums<'a> {
    rows: MapRows<'a>,
    means: Means,
    /// The eigenvalues `S`, `[d]`.
    values: Array1<f64>,
    /// The axes `B` as columns, `[d, d]`.
    axes: Array2<f64>,
    /// The products `P`, `[d, d]`.
    projected: Array2<f64>,
    /// The sum of the squares of `D̃`.
    squares: f64,
}

impl<'a> Sums<'a> {
    fn of(rows: MapRows<'a>) -> Result<Sums<'a>> {
        let (n, d) = rows.x.dim();
        if rows.y.dim() != (n, d) || rows.weights.len() != n || n < MIN_ROWS || d == 0 {
            let found = format!("{n} rows of {d} inputs, {:?} outputs", rows.y.dim());
            let expected = format!("as many outputs as inputs, and at least {MIN_ROWS} rows");
            return Err(Error::invalid("rows of a map", found, expected));
        }
        let means = rows.means()?;
        let (mut gram, mut cross) = (Mat::zeros(d, d), Array2::zeros((d, d)));
        let (mut x, mut y, mut squares) = (Vec::new(), Vec::new(), 0.0);
        for start in (0..n).step_by(SUM_ROWS) {
            let block = start..n.min(start + SUM_ROWS);
            rows.centred(block.clone(), &means, &mut x);
            rows.differences(block.clone(), &means, &mut y);
            let [wide, targets] = [&x, &y].map(|v| MatRef::from_row_major_slice(v, block.len(), d));
            add_gram(gram.as_mut(), wide, 1.0);
            matmul(view_mut(&mut cross)?, Accum::Add, wide.transpose(), targets, 1.0, pieces());
            squares += y.iter().map(|v| v * v).sum::<f64>();
        }
        let (values, axes) = principal_axes(gram)?;
        let axes = axes.as_standard_layout().into_owned();
        let projected = product(axes.t(), cross.view(), pieces())?;
        Ok(Sums { rows, means, values, axes, projected, squares })
    }

    /// The product `(S + λ)⁻¹ P`; 0 along an axis without variance.
    fn coefficients(&self, penalty: f64) -> Array2<f64> {
        let mut along = self.projected.clone();
        for (mut row, value) in along.rows_mut().into_iter().zip(&self.values) {
            row *= if *value > 0.0 { 1.0 / (value + penalty) } else { 0.0 };
        }
        along
    }

    /// The trials around the penalty with the least generalised cross-validation error.
    fn search(&self, penalties: &[f64]) -> Result<Vec<Trial>> {
        let rough: Vec<Trial> = penalties
            .iter()
            .map(|&penalty| Trial { penalty, error: self.generalised_error(penalty) })
            .collect();
        let start = least(&rough);
        let mut tried: BTreeMap<usize, f64> = BTreeMap::new();
        let mut next = start.saturating_sub(1)..(start + 2).min(penalties.len());
        loop {
            let errors = self.leave_one_out(&penalties[next.clone()])?;
            tried.extend(next.clone().zip(errors));
            let trials: Vec<Trial> =
                tried.iter().map(|(&i, &error)| Trial { penalty: penalties[i], error }).collect();
            let first = tried.keys().next().copied().unwrap_or(0);
            let best = first + least(&trials);
            let end = first + trials.len();
            next = match best {
                best if best + 1 == end && end < penalties.len() => end..end + 1,
                best if best == first && first > 0 => first - 1..first,
                _ => return Ok(trials),
            };
        }
    }

    /// The generalised cross-validation error: the mean squared error divided by the square of one minus the mean leverage.
    ///
    /// # Source
    /// Golub, Heath and Wahba 1979, "Generalized cross-validation as a method for choosing a good ridge parameter".
    fn generalised_error(&self, penalty: f64) -> f64 {
        let n = self.rows.weights.len() as f64;
        let (mut explained, mut leverages) = (0.0, 1.0);
        for (row, s) in self.projected.rows().into_iter().zip(&self.values).filter(|(_, s)| **s > 0.0) {
            explained += row.dot(&row) * (s + 2.0 * penalty) / (s + penalty).powi(2);
            leverages += s / (s + penalty);
        }
        let free = 1.0 - leverages / n;
        if free < 1e-9 { f64::INFINITY } else { (self.squares - explained).max(0.0) / free.powi(2) }
    }

    /// The exact leave-one-out error at each penalty, relative to [`Sums::squares`].
    fn leave_one_out(&self, penalties: &[f64]) -> Result<Vec<f64>> {
        let n = self.rows.weights.len();
        let maps: Vec<Array2<f64>> = penalties.iter().map(|penalty| self.coefficients(*penalty)).collect();
        let starts: Vec<usize> = (0..n).step_by(BLOCK_ROWS).collect();
        let of_block = |&start: &usize| {
            let block = start..n.min(start + BLOCK_ROWS);
            self.squares_without(block, penalties, &maps)
        };
        let found: Vec<Result<Vec<f64>>> = starts.par_iter().map(of_block).collect();
        let mut sums = vec![0.0; penalties.len()];
        for of_block in found {
            sums.iter_mut().zip(of_block?).for_each(|(sum, squares)| *sum += squares);
        }
        // Equal streams have no error to relate to.
        let relative = |sum: f64| if self.squares > 0.0 { sum / self.squares } else { 0.0 };
        Ok(sums.into_iter().map(relative).collect())
    }

    /// The sum of the squared leave-one-out errors of a block of rows, at each penalty.
    fn squares_without(
        &self,
        block: Range<usize>,
        penalties: &[f64],
        maps: &[Array2<f64>],
    ) -> Result<Vec<f64>> {
        let d = self.values.len();
        let (mut x, mut y) = (Vec::new(), Vec::new());
        self.rows.centred(block.clone(), &self.means, &mut x);
        self.rows.differences(block.clone(), &self.means, &mut y);
        let wide = ArrayView2::from_shape((block.len(), d), &x).map_err(internal)?;
        let targets = ArrayView2::from_shape((block.len(), d), &y).map_err(internal)?;
        let scores = product(wide, self.axes.view(), Par::Seq)?; // [n_block, d]
        let mut errors = Array2::zeros((block.len(), d));
        let mut sums = Vec::with_capacity(penalties.len());
        for (map, penalty) in maps.iter().zip(penalties) {
            errors.assign(&targets);
            matmul(
                view_mut(&mut errors)?,
                Accum::Add,
                view(scores.view())?,
                view(map.view())?,
                -1.0,
                Par::Seq,
            );
            let mut sum = 0.0;
            for (i, row) in block.clone().enumerate() {
                let along = scores.slice(s![i, ..]);
                let share = |(t, s): (&f64, &f64)| if *s > 0.0 { t * t / (s + penalty) } else { 0.0 };
                let inner: f64 = along.iter().zip(&self.values).map(share).sum();
                let leverage = self.rows.weights[row] / self.means.weight + inner;
                let error = errors.row(i);
                sum += error.dot(&error) / (1.0 - leverage).max(f64::EPSILON).powi(2);
            }
            sums.push(sum);
        }
        Ok(sums)
    }
}

impl MapRows<'_> {
    /// The weighted means; refuses values that are not finite.
    fn means(&self) -> Result<Means> {
        let d = self.x.ncols();
        let (mut x, mut y, mut weight) = (Array1::<f64>::zeros(d), Array1::<f64>::zeros(d), 0.0);
        for ((of_x, of_y), w) in self.x.rows().into_iter().zip(self.y.rows()).zip(self.weights) {
            let add = |to: &mut f64, from: &f32| *to += w * f64::from(*from);
            x.zip_mut_with(&of_x, add);
            y.zip_mut_with(&of_y, add);
            weight += w;
        }
        if !(x.iter().chain(&y).all(|v| v.is_finite()) && weight.is_finite() && weight > 0.0) {
            check_finite(self.x.mapv(f64::from).view(), "inputs of a map")?;
            check_finite(self.y.mapv(f64::from).view(), "outputs of a map")?;
            return Err(Error::invalid("weights of rows", weight, "finite numbers above 0"));
        }
        x /= weight;
        Ok(Means { y: y / weight - &x, x, weight })
    }

    /// The rows `X̃` of a block, in row order.
    fn centred(&self, block: Range<usize>, means: &Means, to: &mut Vec<f64>) {
        self.fill(block, to, |row, to| {
            let root = self.weights[row].sqrt();
            for ((to, x), mean) in to.iter_mut().zip(self.x.row(row)).zip(&means.x) {
                *to = root * (f64::from(*x) - mean);
            }
        });
    }

    /// The rows `D̃` of a block, in row order.
    fn differences(&self, block: Range<usize>, means: &Means, to: &mut Vec<f64>) {
        self.fill(block, to, |row, to| {
            let root = self.weights[row].sqrt();
            let values = self.y.row(row);
            let values = values.iter().zip(self.x.row(row)).zip(&means.y);
            to.iter_mut()
                .zip(values)
                .for_each(|(to, ((y, x), mean))| *to = root * (f64::from(*y) - f64::from(*x) - mean));
        });
    }

    /// Writes each row of a block.
    fn fill(&self, block: Range<usize>, to: &mut Vec<f64>, write: impl Fn(usize, &mut [f64]) + Sync) {
        let d = self.x.ncols();
        to.resize(block.len() * d, 0.0);
        to.par_chunks_mut(d).zip(block).for_each(|(to, row)| write(row, to));
    }
}

fn internal(error: ndarray::ShapeError) -> Error {
    Error::Internal(error.to_string())
}

#[cfg(test)]
#[path = "stream_map_tests.rs"]
mod tests;
