//! Consumers of unpacked weights: memory, or dot products with rows of a stream.

use super::sixteen::Sixteen;

/// Consumes a block's weights, each once, in groups of sixteen; `at` is the group's index within the block.
pub(super) trait Sink<L: Sixteen> {
    fn put(&mut self, lanes: L, at: usize, weights: L::Real);
}

/// Writes a block's weights to memory.
pub(super) struct ToMemory<'a>(pub &'a mut [[f32; 16]]);

impl<L: Sixteen> Sink<L> for ToMemory<'_> {
    #[inline(always)]
    fn put(&mut self, lanes: L, at: usize, weights: L::Real) {
        self.0[at] = lanes.values(weights);
    }
}

/// Adds a row's dot products with `N` rows of a stream.
///
/// Each product has two partial sums, which are used in turn, so that an addition does not wait for the previous one.
/// This holds for groups in ascending order and for blocks that deliver every second group first, such as Q6_K's.
pub(super) struct Dots<'a, L: Sixteen, const N: usize> {
    /// The part of the stream that is multiplied with the block.
    pub(super) x: [&'a [[f32; 16]]; N],
    pub(super) sums: [[L::Real; 2]; N],
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
    /// The total of each row.
    #[inline(always)]
    pub(super) fn totals(&self, lanes: L) -> [f32; N] {
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
