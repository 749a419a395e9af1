//! A matrix whose rows consist of quantised blocks.

use super::types::QuantType;
use super::unpack::{BlockRows, StreamRows, products, unpack};
use candle_core::{Device, Result, Tensor, bail};
use rayon::prelude::*;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Weights that one task unpacks.
const TASK_WEIGHTS: usize = 1 << 14;

/// A matrix `[out, in]` whose rows consist of whole blocks.
#[derive(Clone)]
pub struct QuantisedMatrix {
    bytes: Arc<Vec<u8>>,
    ty: QuantType,
    rows: usize,
    width: usize,
}

impl QuantisedMatrix {
    /// The matrix from its bytes, row after row.
    ///
    /// # Shapes
    /// `[out, in]`.
    ///
    /// # Errors
    /// If the rows are not whole blocks, or the number of bytes does not match `dims`.
    pub fn new(bytes: Vec<u8>, ty: QuantType, dims: [usize; 2]) -> Result<QuantisedMatrix> {
        let [rows, width] = dims;
        let expected = ty.bytes_of(width).and_then(|row| row.checked_mul(rows));
        if expected != Some(bytes.len()) {
            let expected = expected.map_or("rows of whole blocks".to_string(), |n| n.to_string());
            bail!("found {} bytes for a matrix [{rows}, {width}] of {ty}; expected {expected}", bytes.len())
        }
        Ok(QuantisedMatrix { bytes: Arc::new(bytes), ty, rows, width })
    }

    /// The type of its blocks.
    pub fn ty(&self) -> QuantType {
        self.ty
    }

    /// `[out, in]`.
    pub fn dims(&self) -> [usize; 2] {
        [self.rows, self.width]
    }

    /// The bytes, in the order of the file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The matrix with its rows reordered: row `i` is the row at `order[i]`.
    ///
    /// # Errors
    /// If a row does not exist.
    pub(crate) fn with_rows(&self, order: &[usize]) -> Result<QuantisedMatrix> {
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for row in order {
            self.check_row(*row)?;
            bytes.extend_from_slice(self.row_bytes(*row..row + 1));
        }
        QuantisedMatrix::new(bytes, self.ty, [order.len(), self.width])
    }

    fn check_row(&self, row: usize) -> Result<()> {
        if row >= self.rows {
            bail!("row {row} was requested from a matrix of {} rows", self.rows)
        }
        Ok(())
    }

    /// All weights in f32.
    ///
    /// # Shapes
    /// `[out, in]`.
    ///
    /// # Errors
    /// If the tensor cannot be created.
    pub fn dense(&self) -> Result<Tensor> {
        let mut all = vec![0f32; self.rows * self.width];
        self.unpack(0..self.rows, &mut all);
        Tensor::from_vec(all, (self.rows, self.width), &Device::Cpu)
    }

    /// The rows with these ids in f32.
    ///
    /// # Shapes
    /// `[n_ids]` to `[n_ids, in]`.
    ///
    /// # Errors
    /// If a row does not exist.
    pub(crate) fn rows(&self, ids: &Tensor) -> Result<Tensor> {
        let ids = ids.to_vec1::<u32>()?;
        ids.iter().try_for_each(|id| self.check_row(*id as usize))?;
        let mut all = vec![0f32; ids.len() * self.width];
        let each = all.chunks_exact_mut(self.width.max(1)).zip(&ids);
        each.for_each(|(out, id)| self.unpack(*id as usize..*id as usize + 1, out));
        Tensor::from_vec(all, (ids.len(), self.width), &Device::Cpu)
    }

    /// Unpacks rows to f32 in `out`, over all threads.
    pub(crate) fn unpack(&self, rows: Range<usize>, out: &mut [f32]) {
        let n_rows = (TASK_WEIGHTS / self.width.max(1)).max(1);
        out.par_chunks_mut((n_rows * self.width).max(1)).enumerate().for_each(|(task, out)| {
            let first = rows.start + task * n_rows;
            unpack(self.ty, self.row_bytes(first..first + out.len() / self.width), out);
        });
    }

    /// The products of a range of rows with each of at most four rows of a stream; the unpacked weights are not
    /// written to memory.
    ///
    /// # Shapes
    /// `x` `[n, in]`, `out` `[rows, n]`.
    pub(crate) fn products(&self, rows: Range<usize>, x: &[f32], out: &mut [f32]) {
        // The rows after these are prefetched during the products: they are usually next.
        let bytes =
            BlockRows { bytes: self.row_bytes(rows.start..self.rows), len: self.row_bytes(rows).len() };
        products(self.ty, bytes, StreamRows { x, width: self.width }, out);
    }

    fn row_bytes(&self, rows: Range<usize>) -> &[u8] {
        let row = self.bytes.len() / self.rows.max(1);
        &self.bytes[rows.start * row..rows.end * row]
    }
}

impl fmt::Debug for QuantisedMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QuantisedMatrix([{}, {}], {})", self.rows, self.width, self.ty)
    }
}
