//! Kendall's rank correlation τ-b, over all rows or over sixteen resamples at once.

use super::predicted::Predicted;
use super::ranks::{AT_ONCE as LANES, RankOrder, row_counts};
use super::score::{Formula, TargetScore};
use crate::error::Result;
use pulp::{Arch, Simd, WithSimd};

/// The correlation of each target, and its mean over the targets.
pub(super) fn scores(predicted: &Predicted) -> Result<Vec<TargetScore>> {
    Ok(predicted.each_and_mean_by("kendall", |column| {
        let ranked = Kendall::of(&column.truth, &column.predicted);
        Formula::Batched(Box::new(move |resamples| ranked.counted_each(resamples)))
    }))
}

/// Kendall's τ-b: concordant minus discordant pairs, corrected for ties; 0 if a side is constant.
///
/// # Source
/// Kendall 1945, "The treatment of ties in ranking problems".
pub fn kendall(a: &[f64], b: &[f64]) -> f64 {
    Kendall::of(a, b).counted(&vec![1.0; a.len()])
}

/// Kendall's τ-b for many resamples: the values are sorted once.
#[derive(Debug, Clone)]
pub struct Kendall {
    /// The rows in ascending order of the first side.
    by_a: RankOrder,
    /// For each row in the order of `by_a`: the rank, from 0, of its value among the distinct values of the second
    /// side.
    places: Vec<usize>,
    n_places: usize,
}

impl Kendall {
    /// Sorts both sides.
    pub fn of(a: &[f64], b: &[f64]) -> Kendall {
        let (by_a, by_b) = (RankOrder::of(a), RankOrder::of(b));
        let mut places = vec![0; b.len()];
        let mut start = 0;
        for (place, &end) in by_b.run_ends.iter().enumerate() {
            by_b.order[start..end].iter().for_each(|&row| places[row] = place);
            start = end;
        }
        let places = by_a.order.iter().map(|&row| places[row]).collect();
        Kendall { by_a, places, n_places: by_b.run_ends.len() }
    }

    /// The correlation over rows, each repeated `counts` times; counts are whole numbers.
    ///
    /// Rows are visited in ascending order of one side; the numbers of visited rows below and above on the other
    /// side come from prefix sums that are updated at each row.
    pub fn counted(&self, counts: &[f64]) -> f64 {
        self.counted_each(&[counts])[0]
    }

    /// The correlation over each of several resamples, sixteen at a time: all visit the rows in the same order.
    pub(super) fn counted_each<C: AsRef<[f64]>>(&self, resamples: &[C]) -> Vec<f64> {
        let each = resamples.chunks(LANES).flat_map(|some| {
            let counts = row_counts(self.by_a.order.len(), some);
            let all = Arch::new().dispatch(Counted { of: self, counts: &counts });
            all.into_iter().take(some.len())
        });
        each.collect()
    }
}

/// Computes the correlation of each of sixteen resamples, given by the count of each row.
struct Counted<'a> {
    of: &'a Kendall,
    counts: &'a [[u32; LANES]],
}

impl WithSimd for Counted<'_> {
    type Output = [f64; LANES];

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> [f64; LANES] {
        let Counted { of, counts } = self;
        let mut taken_below = PrefixSums::new(of.n_places);
        let RankOrder { order, run_ends } = &of.by_a;
        let mut sizes = vec![[0_u32; LANES]; of.n_places];
        let (mut start, mut taken) = (0, [0_u32; LANES]);
        let (mut difference, mut tied_a) = ([0_i64; LANES], [0.0; LANES]);
        for &end in run_ends {
            let mut size = [0_u32; LANES];
            for (&row, &place) in order[start..end].iter().zip(&of.places[start..end]) {
                let (count, below, same) = (&counts[row], taken_below.before(place), &sizes[place]);
                for i in 0..LANES {
                    let above = taken[i] - below[i] - same[i];
                    difference[i] += i64::from(count[i]) * i64::from(below[i] as i32 - above as i32);
                    size[i] += count[i];
                }
            }
            for (&row, &place) in order[start..end].iter().zip(&of.places[start..end]) {
                taken_below.add(place, &counts[row]);
                add(&mut sizes[place], &counts[row]);
            }
            for i in 0..LANES {
                tied_a[i] += pairs(f64::from(size[i]));
            }
            add(&mut taken, &size);
            start = end;
        }
        let mut tied_b = [0.0; LANES];
        for size in &sizes {
            for i in 0..LANES {
                tied_b[i] += pairs(f64::from(size[i]));
            }
        }
        std::array::from_fn(|i| {
            let all = pairs(f64::from(taken[i]));
            let scale = (all - tied_a[i]).sqrt() * (all - tied_b[i]).sqrt();
            if scale > 0.0 { (difference[i] as f64 / scale).clamp(-1.0, 1.0) } else { 0.0 }
        })
    }
}

#[inline(always)]
fn add(to: &mut [u32; LANES], from: &[u32; LANES]) {
    for i in 0..LANES {
        to[i] += from[i];
    }
}

/// The number of pairs among `n` rows.
fn pairs(n: f64) -> f64 {
    n * (n - 1.0) / 2.0
}

/// Number of children of a node of [`PrefixSums`].
const WIDTH: usize = 8;
/// The base-2 logarithm of [`WIDTH`].
const SHIFT: usize = 3;

/// Prefix sums over ranks (`places`) as a tree: each node holds, for each child, the sum of the children before it.
///
/// A query reads one vector per level and an update adds up to [`WIDTH`] vectors per level; a vector holds sixteen
/// resamples.
struct PrefixSums {
    /// The nodes of each level, lowest first; the last level is one node.
    levels: Vec<Vec<[[u32; LANES]; WIDTH]>>,
}

impl PrefixSums {
    fn new(n: usize) -> PrefixSums {
        let mut levels = Vec::new();
        let mut n = n.max(1);
        while levels.is_empty() || n > 1 {
            n = n.div_ceil(WIDTH);
            levels.push(vec![[[0; LANES]; WIDTH]; n]);
        }
        PrefixSums { levels }
    }

    /// Adds a count at a place.
    #[inline(always)]
    fn add(&mut self, mut place: usize, count: &[u32; LANES]) {
        for level in &mut self.levels {
            let (node, child) = (place >> SHIFT, place & (WIDTH - 1));
            for before in &mut level[node][child + 1..] {
                add(before, count);
            }
            place = node;
        }
    }

    /// The sums over all places before `place`.
    #[inline(always)]
    fn before(&self, mut place: usize) -> [u32; LANES] {
        let mut sums = [0; LANES];
        for level in &self.levels {
            add(&mut sums, &level[place >> SHIFT][place & (WIDTH - 1)]);
            place >>= SHIFT;
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::fixture::{Fixture, assert_close};

    /// The correlation by its definition, over all pairs.
    fn by_pairs(a: &[f64], b: &[f64]) -> f64 {
        let (mut difference, mut left, mut right) = (0.0, 0.0, 0.0);
        for i in 0..a.len() {
            for j in 0..i {
                let (x, y) = ((a[i] - a[j]).signum(), (b[i] - b[j]).signum());
                let (x, y) = (if a[i] == a[j] { 0.0 } else { x }, if b[i] == b[j] { 0.0 } else { y });
                difference += x * y;
                left += x * x;
                right += y * y;
            }
        }
        difference / f64::sqrt(left * right)
    }

    fn example() -> (Vec<f64>, Vec<f64>) {
        let a: Vec<f64> = (0..90).map(|i| f64::from(i * 37 % 50)).collect();
        let b: Vec<f64> = (0..90).map(|i| f64::from(i * i * 13 % 17)).collect();
        (a, b)
    }

    #[test]
    fn it_equals_scipys_with_ties() {
        for case in Fixture::load().scores {
            // Measured: within 3e-16.
            assert_close(kendall(&case.truth, &case.predicted), case.kendall);
        }
        let (a, b) = example();
        assert!((kendall(&a, &b) - by_pairs(&a, &b)).abs() < 1e-12);
    }

    #[test]
    fn prefix_sums_equal_plain_sums() {
        for n in [1, 31, 32, 33, 1024, 1025, 3000] {
            let (mut sums, mut plain) = (PrefixSums::new(n), vec![0; n]);
            for step in 0..200 {
                let (place, count) = (step * step * 7 % n, (step % 5) as u32);
                sums.add(place, &std::array::from_fn(|lane| count * lane as u32));
                plain[place] += count;
            }
            for place in 0..n {
                let before: u32 = plain[..place].iter().sum();
                assert_eq!(
                    sums.before(place),
                    std::array::from_fn(|lane| before * lane as u32),
                    "{place} of {n}"
                );
            }
        }
    }

    #[test]
    fn the_score_by_counts_equals_that_of_the_repeated_rows() {
        let (a, b) = example();
        let rows: Vec<usize> = (0..90).map(|i| i * i * 7 % 90).collect();
        let mut counts = vec![0.0; 90];
        rows.iter().for_each(|&row| counts[row] += 1.0);
        let take = |v: &[f64]| rows.iter().map(|&row| v[row]).collect::<Vec<f64>>();
        let ranked = Kendall::of(&a, &b);
        assert!((ranked.counted(&counts) - by_pairs(&take(&a), &take(&b))).abs() < 1e-12);
        // 37 resamples do not fill the last register; each must score as it does alone.
        let several: Vec<Vec<f64>> = (0..37)
            .map(|k| counts.iter().enumerate().map(|(i, count)| (count + (i * k % 3) as f64) % 4.0).collect())
            .collect();
        let alone: Vec<f64> = several.iter().map(|counts| ranked.counted(counts)).collect();
        assert_eq!(ranked.counted_each(&several), alone);
        assert!(alone.iter().any(|found| *found != alone[0]));
    }

    #[test]
    fn constant_sides_and_monotone_scales_are_defined() {
        let (a, b) = example();
        assert_eq!(kendall(&a, &vec![1.0; 90]), 0.0);
        assert!((kendall(&a, &a) - 1.0).abs() < 1e-15);
        let bent: Vec<f64> = b.iter().map(|v| (v / 10.0).exp()).collect();
        assert_eq!(kendall(&a, &b), kendall(&a, &bent));
        let negated: Vec<f64> = b.iter().map(|v| -v).collect();
        assert!((kendall(&a, &b) + kendall(&a, &negated)).abs() < 1e-15);
        assert_eq!(kendall(&[], &[]), 0.0);
    }
}
