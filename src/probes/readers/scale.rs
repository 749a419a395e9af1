//! Standardisation of columns.

use ndarray::{Array1, Array2, ArrayView2};

/// The mean and standard deviation of each column over the training rows; 1 as standard deviation of a constant column.
pub(super) struct Scale {
    pub mean: Array1<f64>,
    pub std_dev: Array1<f64>,
}

impl Scale {
    /// Computes mean and standard deviation over the given rows of `values`.
    ///
    /// # Shapes
    /// `values` is `[n_entities, width]`.
    pub(super) fn of(values: ArrayView2<f32>, rows: &[usize]) -> Scale {
        let (n, width) = (rows.len() as f64, values.ncols());
        let wide = |i: &usize| values.row(*i).mapv(f64::from);
        let mean = rows.iter().fold(Array1::zeros(width), |sum, i| sum + wide(i)) / n;
        let squares = |sum: Array1<f64>, i: &usize| {
            let from_mean = wide(i) - &mean;
            sum + &from_mean * &from_mean
        };
        let variance: Array1<f64> = rows.iter().fold(Array1::zeros(width), squares) / n;
        Scale { mean, std_dev: variance.mapv(|v| if v > 0.0 { v.sqrt() } else { 1.0 }) }
    }

    /// The given rows, standardised, `[n_rows, width]`.
    pub(super) fn apply(&self, values: ArrayView2<f32>, rows: &[usize]) -> Array2<f64> {
        let mut scaled = Array2::zeros((rows.len(), values.ncols()));
        for (mut row, &i) in scaled.rows_mut().into_iter().zip(rows) {
            row.assign(&((values.row(i).mapv(f64::from) - &self.mean) / &self.std_dev));
        }
        scaled
    }
}
