//! Training rows in parts, which can be read repeatedly.

use crate::error::{Error, Result};
use crate::progress::Observer;
use ndarray::{Array2, ArrayView2, s};

/// A source of rows in parts; a part has the same rows each time it is read.
pub trait RowSource {
    /// The width of a row.
    fn width(&self) -> usize;

    /// The number of rows of each part.
    fn parts(&self) -> Vec<usize>;

    /// The rows of the given parts, concatenated: `[n_rows, width]`.
    ///
    /// # Errors
    /// [`Error::StoppedTraining`] if the observer requests a stop; further errors depend on the source.
    fn read(&self, parts: &[usize], observer: &mut dyn Observer) -> Result<Vec<f32>>;

    /// The number of rows in all.
    fn n_rows(&self) -> usize {
        self.parts().iter().sum()
    }
}

/// Rows in memory, in parts of `PART` rows.
impl RowSource for ArrayView2<'_, f32> {
    fn width(&self) -> usize {
        self.ncols()
    }

    fn parts(&self) -> Vec<usize> {
        let n = self.nrows();
        (0..n).step_by(PART).map(|from| PART.min(n - from)).collect()
    }

    fn read(&self, parts: &[usize], _: &mut dyn Observer) -> Result<Vec<f32>> {
        let of = |part: &usize| self.slice(s![part * PART..((part + 1) * PART).min(self.nrows()), ..]);
        Ok(parts.iter().flat_map(|part| of(part).iter().copied().collect::<Vec<f32>>()).collect())
    }
}

/// The number of rows in a part of an array.
const PART: usize = 4096;

/// Values as rows.
///
/// # Shapes
/// `[n_rows, width]`.
pub(super) fn as_rows(values: Vec<f32>, width: usize) -> Result<Array2<f32>> {
    let n = values.len() / width.max(1);
    Array2::from_shape_vec((n, width), values).map_err(|e| Error::Internal(e.to_string()))
}
