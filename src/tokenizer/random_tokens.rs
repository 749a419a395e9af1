//! Tokens drawn at random, as a baseline without words.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Draws `n` tokens uniformly from the list `from`; the result depends on the seed and the row alone.
pub fn draw_tokens(from: &[u32], n: usize, seed: u64, row: u64) -> Vec<u32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(row);
    (0..n).map(|_| from[rng.random_range(0..from.len())]).collect()
}
