//! The greatest pre-activations of a row, found in one pass that mostly compares whole SIMD lanes.

/// Values that are compared together.
const LANES: usize = 16;

/// A latent with its pre-activation.
pub(super) type LatentValue = (u32, f32);

/// Writes the `k` greatest values above zero, or fewer, into `best`, sorted by latent; ties go to the lower latent.
#[inline(always)]
pub(super) fn top_k(values: &[f32], k: usize, best: &mut Vec<LatentValue>) {
    best.clear();
    // Only a value above this can be among the k greatest.
    let mut least = 0f32;
    for (lane, chunk) in values.chunks(LANES).enumerate() {
        let mut most = f32::NEG_INFINITY;
        chunk.iter().for_each(|x| most = if *x > most { *x } else { most });
        if most <= least {
            continue;
        }
        for (i, x) in chunk.iter().enumerate().filter(|(_, x)| **x > least) {
            best.push(((lane * LANES + i) as u32, *x));
        }
        // Truncated rarely, so that each truncation drops many values.
        if best.len() >= 3 * k + LANES {
            keep_greatest(best, k);
            least = best.iter().map(|(_, x)| *x).fold(f32::INFINITY, f32::min);
        }
    }
    if best.len() > k {
        keep_greatest(best, k);
    }
    best.sort_unstable_by_key(|(latent, _)| *latent);
}

/// Keeps the `k` greatest.
fn keep_greatest(best: &mut Vec<LatentValue>, k: usize) {
    best.select_nth_unstable_by(k, |a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    best.truncate(k);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    #[test]
    fn the_result_is_that_of_a_sort() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for (n, k) in [(1, 1), (5, 5), (7, 3), (100, 1), (1000, 32), (2048, 16), (300, 299)] {
            // Few distinct values, so that many are equal.
            let values: Vec<f32> = (0..n).map(|_| rng.random_range(-20..20) as f32 / 4.0).collect();
            let mut all: Vec<LatentValue> = (0..n as u32).zip(values.iter().copied()).collect();
            all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            all.truncate(k);
            all.retain(|(_, x)| *x > 0.0);
            all.sort_unstable_by_key(|(latent, _)| *latent);
            let mut best = vec![(9, 9.0)];
            top_k(&values, k, &mut best);
            assert_eq!(best, all, "{n} {k}");
        }
    }
}
