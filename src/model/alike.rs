//! Rows of a stream that are alike to the bit: what is computed of a row by itself is computed once for all of them.
//!
//! What enters block 0 is a token's embedding, at most with its position, and the same pieces of names come again
//! and again. Of block 0, norms and products that stand before attention are then done once a distinct row; where
//! blocks are parallel, all of its MLP too.

use candle_core::{Device, Result, Tensor};
use std::collections::HashMap;

/// With fewer rows finding the like ones is not worth it.
const FEWEST: usize = 64;

/// Which rows are alike.
pub(super) struct Alike {
    /// The first row of each kind.
    firsts: Tensor,
    /// For each row its kind.
    kinds: Tensor,
}

impl Alike {
    /// Which rows of a stream are alike, if enough are for it to save work.
    ///
    /// # Shapes
    /// `[n, width]`.
    pub fn among(stream: &Tensor) -> Result<Option<Alike>> {
        let (n, width) = stream.dims2()?;
        // A gradient takes every row's own way.
        if n < FEWEST || width == 0 || !stream.device().is_cpu() || stream.track_op() {
            return Ok(None);
        }
        let values = stream.flatten_all()?.to_vec1::<f32>()?;
        let (firsts, kinds) = kinds(&values, width);
        if firsts.len() * 8 > n * 7 || firsts.len() < FEWEST / 4 {
            return Ok(None);
        }
        let index = |of: Vec<u32>| {
            let n = of.len();
            Tensor::from_vec(of, n, &Device::Cpu)
        };
        Ok(Some(Alike { firsts: index(firsts)?, kinds: index(kinds)? }))
    }

    /// One row of each kind.
    ///
    /// # Shapes
    /// `[n, width]` to `[n_kinds, width]`.
    pub fn ones(&self, rows: &Tensor) -> Result<Tensor> {
        rows.index_select(&self.firsts, 0)
    }

    /// Every row, from one of each kind.
    ///
    /// # Shapes
    /// `[n_kinds, width]` to `[n, width]`.
    pub fn all(&self, ones: &Tensor) -> Result<Tensor> {
        ones.index_select(&self.kinds, 0)
    }
}

/// The first row of each kind, and each row's kind, in the order of the rows.
fn kinds(values: &[f32], width: usize) -> (Vec<u32>, Vec<u32>) {
    let (mut firsts, mut kinds) = (vec![], vec![]);
    let mut by_hash: HashMap<u64, Vec<u32>> = HashMap::new();
    let row = |at: u32| &values[at as usize * width..][..width];
    let same = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
    for (at, values) in (0u32..).zip(values.chunks_exact(width)) {
        let found = by_hash.entry(hash(values)).or_default();
        let kind = found.iter().copied().find(|kind| same(row(firsts[*kind as usize]), values));
        kinds.push(kind.unwrap_or_else(|| {
            let new = firsts.len() as u32;
            firsts.push(at);
            found.push(new);
            new
        }));
    }
    (firsts, kinds)
}

/// A hash of a row's first numbers: rows of one hash are compared whole.
fn hash(row: &[f32]) -> u64 {
    let mix = |hash: u64, x: &f32| (hash ^ u64::from(x.to_bits())).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    row.iter().take(32).fold(0, |hash, x| mix(hash, x).rotate_left(29))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(n: usize, n_kinds: usize) -> Tensor {
        let all = Tensor::randn(0f32, 1f32, (n_kinds, 40), &Device::Cpu).unwrap();
        let kinds: Vec<u32> = (0..n).map(|i| (i * 7 % n_kinds) as u32).collect();
        all.index_select(&Tensor::from_vec(kinds, n, &Device::Cpu).unwrap(), 0).unwrap()
    }

    fn bits(tensor: &Tensor) -> Vec<u32> {
        tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().map(|x| x.to_bits()).collect()
    }

    #[test]
    fn one_of_each_kind_makes_all_rows_again() {
        let stream = stream(100, 30);
        let alike = Alike::among(&stream).unwrap().unwrap();
        let ones = alike.ones(&stream).unwrap();
        assert_eq!(ones.dims(), [30, 40]);
        assert_eq!(bits(&alike.all(&ones).unwrap()), bits(&stream));
    }

    #[test]
    fn rows_that_differ_in_their_last_number_are_two_kinds() {
        let mut values = vec![1f32; 128 * 40];
        for row in 0..128 {
            values[row * 40 + 39] = (row % 64) as f32;
        }
        values[39] = -0.0; // Zero's two signs are two kinds as well.
        let (firsts, kinds) = kinds(&values, 40);
        assert_eq!(firsts.len(), 65);
        assert_eq!((kinds[0], kinds[1], kinds[64], kinds[65]), (0, 1, 64, 1));
    }

    #[test]
    fn few_rows_or_few_that_are_alike_are_left_as_they_are() {
        assert!(Alike::among(&stream(FEWEST - 1, 20)).unwrap().is_none());
        assert!(Alike::among(&stream(100, 95)).unwrap().is_none());
        let traced = candle_core::Var::from_tensor(&stream(100, 30)).unwrap();
        assert!(Alike::among(traced.as_tensor()).unwrap().is_none());
    }
}
