//! Where rows come from: parts that are read as often as they are needed.

use crate::error::{Error, Result};
use ndarray::{Array2, ArrayView2, s};

/// Who looks on while rows are computed, and may stop it.
pub trait Watch {
    /// Told how many rows of how many are there.
    fn rows(&mut self, _n_done: usize, _n: usize) {}

    /// Asked again and again.
    fn stops(&self) -> bool {
        false
    }
}

/// The watch that says nothing.
#[derive(Debug, Clone, Copy)]
pub struct Still;

impl Watch for Still {}

/// Rows in parts, each of which is the same whenever it is read.
pub trait Source {
    /// The width of a row.
    fn width(&self) -> usize;

    /// The number of rows of each part.
    fn parts(&self) -> Vec<usize>;

    /// The rows of some parts, one after the other, `[n_rows, width]`.
    ///
    /// # Errors
    /// Whatever stands in the way; [`Error::StoppedTraining`] if the watch stops it.
    fn read(&self, parts: &[usize], watch: &mut dyn Watch) -> Result<Vec<f32>>;

    /// The number of rows in all.
    fn n_rows(&self) -> usize {
        self.parts().iter().sum()
    }
}

/// Rows that are there already, in parts of some thousand.
impl Source for ArrayView2<'_, f32> {
    fn width(&self) -> usize {
        self.ncols()
    }

    fn parts(&self) -> Vec<usize> {
        let n = self.nrows();
        (0..n).step_by(HELD).map(|from| HELD.min(n - from)).collect()
    }

    fn read(&self, parts: &[usize], _: &mut dyn Watch) -> Result<Vec<f32>> {
        let of = |part: &usize| self.slice(s![part * HELD..((part + 1) * HELD).min(self.nrows()), ..]);
        Ok(parts.iter().flat_map(|part| of(part).iter().copied().collect::<Vec<f32>>()).collect())
    }
}

/// Rows of a part of an array.
const HELD: usize = 4096;

/// Values as rows.
///
/// # Shapes
/// `[n_rows, width]`.
pub(super) fn as_rows(values: Vec<f32>, width: usize) -> Result<Array2<f32>> {
    let n = values.len() / width.max(1);
    Array2::from_shape_vec((n, width), values).map_err(|e| Error::Internal(e.to_string()))
}
