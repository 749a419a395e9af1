//! Deduplication of a stream's rows: values that depend on a row alone are computed once for equal rows.
//!
//! The input of block 0 depends only on a token and, in some families, on its position, and the same tokens recur in
//! names. Therefore, in block 0, norms and products before attention are computed once per distinct row, and so is the
//! MLP of a parallel block.

use candle_core::{Device, Result, Tensor};
use std::collections::HashMap;

/// Minimum number of rows for the search to pay off.
const MIN_ROWS: usize = 64;

/// The distinct rows of a stream.
pub(super) struct RowDedup {
    /// The index of the first of each set of equal rows.
    representatives: Tensor,
    /// For each row the index of its representative among the representatives.
    inverse: Tensor,
}

impl RowDedup {
    /// The distinct rows of a stream, if computing only these saves work; rows are equal if their bits are equal.
    ///
    /// # Shapes
    /// `[n, width]`.
    pub(super) fn of(stream: &Tensor) -> Result<Option<RowDedup>> {
        let (n, width) = stream.dims2()?;
        // Gradients need every row.
        if n < MIN_ROWS || width == 0 || !stream.device().is_cpu() || stream.track_op() {
            return Ok(None);
        }
        let values = stream.flatten_all()?.to_vec1::<f32>()?;
        let (representatives, inverse) = distinct(&values, width);
        if representatives.len() * 8 > n * 7 || representatives.len() < MIN_ROWS / 4 {
            return Ok(None);
        }
        let index = |of: Vec<u32>| {
            let n = of.len();
            Tensor::from_vec(of, n, &Device::Cpu)
        };
        Ok(Some(RowDedup { representatives: index(representatives)?, inverse: index(inverse)? }))
    }

    /// The representatives of all rows.
    ///
    /// # Shapes
    /// `[n, width]` to `[n_unique, width]`.
    pub(super) fn unique(&self, rows: &Tensor) -> Result<Tensor> {
        rows.index_select(&self.representatives, 0)
    }

    /// All rows from their representatives.
    ///
    /// # Shapes
    /// `[n_unique, width]` to `[n, width]`.
    pub(super) fn expand(&self, unique: &Tensor) -> Result<Tensor> {
        unique.index_select(&self.inverse, 0)
    }
}

/// The index of the first of each set of equal rows, and for each row the position of its representative in that list.
fn distinct(values: &[f32], width: usize) -> (Vec<u32>, Vec<u32>) {
    let (mut representatives, mut inverse) = (vec![], vec![]);
    let mut by_hash: HashMap<u64, Vec<u32>> = HashMap::new();
    let row = |at: u32| &values[at as usize * width..][..width];
    let same = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
    for (at, values) in (0u32..).zip(values.chunks_exact(width)) {
        let candidates = by_hash.entry(hash(values)).or_default();
        let found = candidates.iter().copied().find(|i| same(row(representatives[*i as usize]), values));
        inverse.push(found.unwrap_or_else(|| {
            let new = representatives.len() as u32;
            representatives.push(at);
            candidates.push(new);
            new
        }));
    }
    (representatives, inverse)
}

/// A hash of a row's first values; rows with the same hash are compared completely.
fn hash(row: &[f32]) -> u64 {
    let mix = |hash: u64, x: &f32| (hash ^ u64::from(x.to_bits())).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    row.iter().take(32).fold(0, |hash, x| mix(hash, x).rotate_left(29))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(n: usize, n_unique: usize) -> Tensor {
        let all = Tensor::randn(0f32, 1f32, (n_unique, 40), &Device::Cpu).unwrap();
        let rows: Vec<u32> = (0..n).map(|i| (i * 7 % n_unique) as u32).collect();
        all.index_select(&Tensor::from_vec(rows, n, &Device::Cpu).unwrap(), 0).unwrap()
    }

    fn bits(tensor: &Tensor) -> Vec<u32> {
        tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().map(|x| x.to_bits()).collect()
    }

    #[test]
    fn representatives_expand_to_all_rows() {
        let stream = stream(100, 30);
        let dedup = RowDedup::of(&stream).unwrap().unwrap();
        let unique = dedup.unique(&stream).unwrap();
        assert_eq!(unique.dims(), [30, 40]);
        assert_eq!(bits(&dedup.expand(&unique).unwrap()), bits(&stream));
    }

    #[test]
    fn rows_that_differ_in_their_last_value_are_distinct() {
        let mut values = vec![1f32; 128 * 40];
        for row in 0..128 {
            values[row * 40 + 39] = (row % 64) as f32;
        }
        values[39] = -0.0; // The two signs of zero are distinct as well.
        let (representatives, inverse) = distinct(&values, 40);
        assert_eq!(representatives.len(), 65);
        assert_eq!((inverse[0], inverse[1], inverse[64], inverse[65]), (0, 1, 64, 1));
    }

    #[test]
    fn few_rows_or_few_equal_rows_are_not_deduplicated() {
        assert!(RowDedup::of(&stream(MIN_ROWS - 1, 20)).unwrap().is_none());
        assert!(RowDedup::of(&stream(100, 95)).unwrap().is_none());
        let traced = candle_core::Var::from_tensor(&stream(100, 30)).unwrap();
        assert!(RowDedup::of(traced.as_tensor()).unwrap().is_none());
    }
}
