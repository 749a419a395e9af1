//! Takers of unpacked weights: memory, or sums with rows of a stream.

use super::sixteen::Sixteen;

/// Takes a block's weights, sixteen at a time, each once; `at` counts them within the block.
pub(super) trait Sink<L: Sixteen> {
    fn put(&mut self, lanes: L, at: usize, weights: L::Real);
}

/// A block's weights to memory.
pub(super) struct Numbers<'a>(pub &'a mut [[f32; 16]]);

impl<L: Sixteen> Sink<L> for Numbers<'_> {
    #[inline(always)]
    fn put(&mut self, lanes: L, at: usize, weights: L::Real) {
        self.0[at] = lanes.values(weights);
    }
}

/// A row's products with `N` rows of a stream.
///
/// Each has two sums, which parts of blocks take in turn, be their order that of the weights or, as in Q6_K, every second
/// one's: so an addition need not wait for the one before.
pub(super) struct Dots<'a, L: Sixteen, const N: usize> {
    /// The part of the stream that meets the block.
    pub x: [&'a [[f32; 16]]; N],
    pub sums: [[L::Real; 2]; N],
}

impl<L: Sixteen, const N: usize> Sink<L> for Dots<'_, L, N> {
    #[inline(always)]
    fn put(&mut self, lanes: L, at: usize, weights: L::Real) {
        for row in 0..N {
            let sum = &mut self.sums[row][(at ^ at >> 1) & 1];
            *sum = lanes.add_product(*sum, weights, &self.x[row][at]);
        }
    }
}

impl<L: Sixteen, const N: usize> Dots<'_, L, N> {
    /// Each row's whole sum.
    #[inline(always)]
    pub fn totals(&self, lanes: L) -> [f32; N] {
        std::array::from_fn(|row| {
            let [a, b] = self.sums[row];
            let (mut sums, b) = (lanes.values(a), lanes.values(b));
            for i in 0..16 {
                sums[i] += b[i];
            }
            for width in [8, 4, 2, 1] {
                for i in 0..width {
                    sums[i] += sums[i + width];
                }
            }
            sums[0]
        })
    }
}
