//! The probe: a fitted linear map from the stream to the targets.

use crate::error::{Error, Result};
use linfa::traits::PredictInplace;
use ndarray::{Array1, Array2, ArrayBase, ArrayView1, ArrayView2, Axis, Data, Ix2, s};

/// A linear probe: `prediction = weights · activation + bias`, in the target's unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// The weights, `[n_targets, d_model]`.
    pub weights: Array2<f64>,
    /// The prediction for the zero vector, `[n_targets]`.
    pub bias: Array1<f64>,
    /// The chosen ridge penalty λ, the same for every target.
    pub penalty: f64,
}

/// Number of rows converted from f32 at a time, so that the copy stays small.
const BLOCK_ROWS: usize = 1024;

impl Probe {
    /// The number of targets.
    pub fn n_targets(&self) -> usize {
        self.weights.nrows()
    }

    /// The width of the stream.
    pub fn d_model(&self) -> usize {
        self.weights.ncols()
    }

    /// The prediction for one row of the stream in f32, one value per target.
    pub fn predict_row(&self, row: &[f32]) -> Vec<f64> {
        let row: Array1<f64> = row.iter().map(|x| f64::from(*x)).collect();
        self.predict_one(row.view()).to_vec()
    }

    /// For each target, the smallest change of the stream that raises its prediction by 1 and leaves the predictions
    /// of the other targets unchanged: `(WWᵀ)⁻¹W`.
    ///
    /// Adding `Σ δ_t · row_t` to an activation moves prediction `t` by `δ_t`; the component orthogonal to the
    /// weights stays unchanged.
    ///
    /// # Shapes
    /// `[n_targets, d_model]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the weights of two targets are parallel or zero.
    pub fn least_changes(&self) -> Result<Array2<f64>> {
        let gram = self.weights.dot(&self.weights.t()); // [n_targets, n_targets]
        let n = gram.nrows();
        let solver = faer::Mat::from_fn(n, n, |i, j| gram[[i, j]]);
        let right = faer::Mat::from_fn(n, self.d_model(), |i, j| self.weights[[i, j]]);
        let rows = faer::linalg::solvers::Solve::solve(&solver.full_piv_lu(), right);
        let rows = Array2::from_shape_fn((n, self.d_model()), |(i, j)| rows[(i, j)]);
        if rows.iter().all(|x| x.is_finite()) {
            Ok(rows)
        } else {
            Err(Error::invalid("a probe's weights", "parallel or zero rows", "linearly independent weights"))
        }
    }

    /// The prediction for one activation.
    ///
    /// # Shapes
    /// `[d_model]` to `[n_targets]`.
    pub fn predict_one(&self, activation: ArrayView1<f64>) -> Array1<f64> {
        self.weights.dot(&activation) + &self.bias
    }

    /// The predictions for stored activations.
    ///
    /// # Shapes
    /// `[n_entities, d_model]` to `[n_entities, n_targets]`.
    pub fn predict_all(&self, activations: ArrayView2<f32>) -> Array2<f64> {
        let mut predictions = Array2::zeros((activations.nrows(), self.n_targets()));
        for (block, mut out) in activations
            .axis_chunks_iter(Axis(0), BLOCK_ROWS)
            .zip(predictions.axis_chunks_iter_mut(Axis(0), BLOCK_ROWS))
        {
            out.assign(&(block.mapv(f64::from).dot(&self.weights.t()) + &self.bias));
        }
        predictions
    }

    /// The predictions for the stored activations at `rows`, copying one block at a time.
    ///
    /// # Shapes
    /// `[n_entities, d_model]` to `[n_rows, n_targets]`.
    pub fn predict_rows(&self, activations: ArrayView2<f32>, rows: &[usize]) -> Array2<f64> {
        let mut predictions = Array2::zeros((rows.len(), self.n_targets()));
        for (rows, mut out) in
            rows.chunks(BLOCK_ROWS).zip(predictions.axis_chunks_iter_mut(Axis(0), BLOCK_ROWS))
        {
            out.assign(&self.predict_all(activations.select(Axis(0), rows).view()));
        }
        predictions
    }
}

impl<D: Data<Elem = f64>> PredictInplace<ArrayBase<D, Ix2>, Array2<f64>> for Probe {
    /// Predicts every row of `x`.
    ///
    /// # Shapes
    /// `[n_rows, d_model]` to `[n_rows, n_targets]`.
    fn predict_inplace(&self, x: &ArrayBase<D, Ix2>, y: &mut Array2<f64>) {
        y.slice_mut(s![.., ..]).assign(&(x.dot(&self.weights.t()) + &self.bias));
    }

    fn default_target(&self, x: &ArrayBase<D, Ix2>) -> Array2<f64> {
        Array2::zeros((x.nrows(), self.n_targets()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::fixture::noise;
    use linfa::traits::Predict;

    #[test]
    fn one_row_many_rows_and_stored_rows_have_the_same_predictions() {
        let probe =
            Probe { weights: noise([2, 5], 1), bias: Array1::from_vec(vec![3.0, -4.0]), penalty: 1.0 };
        let stored = noise([BLOCK_ROWS + 3, 5], 2).mapv(|v| v as f32);
        let x = stored.mapv(f64::from);
        let stored_predictions = probe.predict_all(stored.view());
        let predicted: Array2<f64> = probe.predict(&x);
        assert!((&stored_predictions - &predicted).iter().all(|e| e.abs() < 1e-12));
        let some: Vec<usize> = (0..stored.nrows()).rev().step_by(3).collect();
        let chosen = probe.predict_rows(stored.view(), &some);
        assert!((&chosen - &stored_predictions.select(Axis(0), &some)).iter().all(|e| e.abs() < 1e-12));
        let last = probe.predict_one(x.row(BLOCK_ROWS + 2));
        assert!((&last - &stored_predictions.row(BLOCK_ROWS + 2)).iter().all(|e| e.abs() < 1e-12));
    }
}
