//! The greatest readings of a row, found in one pass that mostly looks at whole lanes.

/// Readings that are looked at together.
const LANES: usize = 16;

/// A unit with its reading.
pub(super) type Read = (u32, f32);

/// Writes the at most `k` greatest readings above zero into `best`, by unit; of equal ones, the first units'.
#[inline(always)]
pub(super) fn top_k(readings: &[f32], k: usize, best: &mut Vec<Read>) {
    best.clear();
    // What is not above this cannot be among the k greatest.
    let mut least = 0f32;
    for (lane, chunk) in readings.chunks(LANES).enumerate() {
        let mut most = f32::NEG_INFINITY;
        chunk.iter().for_each(|x| most = if *x > most { *x } else { most });
        if most <= least {
            continue;
        }
        for (i, x) in chunk.iter().enumerate().filter(|(_, x)| **x > least) {
            best.push(((lane * LANES + i) as u32, *x));
        }
        // Weeded out seldom, so that each weeding is paid for by as many that came.
        if best.len() >= 3 * k + LANES {
            weed(best, k);
            least = best.iter().map(|(_, x)| *x).fold(f32::INFINITY, f32::min);
        }
    }
    if best.len() > k {
        weed(best, k);
    }
    best.sort_unstable_by_key(|(unit, _)| *unit);
}

/// Keeps the `k` greatest.
fn weed(best: &mut Vec<Read>, k: usize) {
    best.select_nth_unstable_by(k, |a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    best.truncate(k);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    #[test]
    fn they_are_those_that_a_sort_finds() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for (n, k) in [(1, 1), (5, 5), (7, 3), (100, 1), (1000, 32), (2048, 16), (300, 299)] {
            // Few distinct values, so that there are many equal ones.
            let readings: Vec<f32> = (0..n).map(|_| rng.random_range(-20..20) as f32 / 4.0).collect();
            let mut all: Vec<Read> = (0..n as u32).zip(readings.iter().copied()).collect();
            all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            all.truncate(k);
            all.retain(|(_, x)| *x > 0.0);
            all.sort_unstable_by_key(|(unit, _)| *unit);
            let mut best = vec![(9, 9.0)];
            top_k(&readings, k, &mut best);
            assert_eq!(best, all, "{n} {k}");
        }
    }
}
