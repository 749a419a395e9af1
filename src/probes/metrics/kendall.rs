//! Kendall's rank correlation τ-b, over all rows or over sixteen resamples at once.
//!
//! With the rows in order of one side, the discordant pairs are the inversions of the other side, which a merge sort
//! counts (Knight 1966). All resamples are merged in the same order, so it is found once; a resample then needs only a
//! sum per step, and memory is read in sequence.

use super::predicted::Predicted;
use super::ranks::RankOrder;
use super::resamples::{AT_ONCE as LANES, ByRow, Count, Resamples, RowCounts};
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
    /// The rows in ascending order of the first side, equal ones of the second.
    order: Vec<usize>,
    /// The ends of the runs of rows that are equal on the first side, in `order`.
    equal_a: Vec<usize>,
    /// The ends of the runs of rows that are equal on both sides, in `order`.
    equal_both: Vec<usize>,
    /// The ends of the runs of rows that are equal on the second side, in its ascending order.
    equal_b: Vec<usize>,
    merges: Vec<Merges>,
}

/// One level of the merge sort: for each place of its output, a bit that is 1 if the row comes from the right run.
#[derive(Debug, Clone)]
struct Merges {
    /// The length of the sorted runs.
    width: usize,
    from_right: Vec<u64>,
}

impl Kendall {
    /// Sorts both sides.
    pub fn of(a: &[f64], b: &[f64]) -> Kendall {
        let (RankOrder { mut order, run_ends: equal_a }, by_b) = (RankOrder::of(a), RankOrder::of(b));
        let places = places(&by_b);
        let (mut equal_both, mut start) = (Vec::new(), 0);
        for &end in &equal_a {
            order[start..end].sort_by_key(|&row| places[row]);
            let is_end = |&at: &usize| at == end || places[order[at]] != places[order[at - 1]];
            equal_both.extend((start + 1..=end).filter(is_end));
            start = end;
        }
        let merges = merges(order.iter().map(|&row| places[row]).collect());
        Kendall { order, equal_a, equal_both, equal_b: by_b.run_ends, merges }
    }

    /// The correlation over rows, each repeated `counts` times; counts are whole numbers.
    pub fn counted(&self, counts: &[f64]) -> f64 {
        self.counted_each(&Resamples::single(counts))[0]
    }

    /// The correlation over each of several resamples.
    pub(super) fn counted_each(&self, resamples: &Resamples) -> [f64; LANES] {
        match resamples.by_row() {
            ByRow::Narrow(counts) => {
                let buffers = &mut resamples.scratch.borrow_mut().counts;
                Arch::new().dispatch(Counted { of: self, counts, buffers })
            }
            ByRow::Wide(counts) => {
                Arch::new().dispatch(Counted { of: self, counts, buffers: &mut Default::default() })
            }
        }
    }
}

/// The rank, from 0, of each row's value among the distinct values.
fn places(by_value: &RankOrder) -> Vec<usize> {
    let (mut places, mut start) = (vec![0; by_value.order.len()], 0);
    for (place, &end) in by_value.run_ends.iter().enumerate() {
        by_value.order[start..end].iter().for_each(|&row| places[row] = place);
        start = end;
    }
    places
}

/// The levels of a merge sort of the values, lowest first; of equal values, the left one comes first.
fn merges(mut values: Vec<usize>) -> Vec<Merges> {
    let (n, mut levels, mut width) = (values.len(), Vec::new(), 1);
    let mut sorted = values.clone();
    while width < n {
        let mut from_right = vec![0; n.div_ceil(BITS)];
        for start in (0..n).step_by(2 * width) {
            let (middle, end) = ((start + width).min(n), (start + 2 * width).min(n));
            let (mut left, mut right) = (start, middle);
            for (at, place) in (start..end).zip(&mut sorted[start..end]) {
                let is_left = left < middle && (right == end || values[left] <= values[right]);
                from_right[at / BITS] |= u64::from(!is_left) << (at % BITS);
                let next = if is_left { &mut left } else { &mut right };
                *place = values[*next];
                *next += 1;
            }
        }
        std::mem::swap(&mut values, &mut sorted);
        levels.push(Merges { width, from_right });
        width *= 2;
    }
    levels
}

/// Bits in a word of [`Merges`].
const BITS: usize = u64::BITS as usize;
/// Number of rows that are sorted at a time while they fit the cache of a core.
const BLOCK: usize = 1 << 13;

/// Computes the correlation of each of sixteen resamples, given by the count of each row.
struct Counted<'a, C> {
    of: &'a Kendall,
    counts: &'a [RowCounts<C>],
    buffers: &'a mut [Vec<RowCounts<C>>; 2],
}

impl<C: Count> WithSimd for Counted<'_, C> {
    type Output = [f64; LANES];

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> [f64; LANES] {
        let Counted { of, counts, buffers: [sorted, other] } = self;
        sorted.clear();
        sorted.extend(of.order.iter().map(|&row| counts[row]));
        other.resize(sorted.len(), C::NONE);
        let all = pairs_within(sorted, &[sorted.len()]);
        let (in_a, in_both) = (pairs_within(sorted, &of.equal_a), pairs_within(sorted, &of.equal_both));
        let inversions = sort(&of.merges, sorted, other);
        let in_b = pairs_within(sorted, &of.equal_b);
        std::array::from_fn(|i| {
            // Pairs that are equal on both sides were subtracted twice.
            let untied = (all[i] + in_both[i] - in_a[i] - in_b[i]) as i64;
            let scale = ((all[i] - in_a[i]) as f64).sqrt() * ((all[i] - in_b[i]) as f64).sqrt();
            let difference = (untied - 2 * inversions[i] as i64) as f64;
            if scale > 0.0 { (difference / scale).clamp(-1.0, 1.0) } else { 0.0 }
        })
    }
}

/// The number of pairs within the runs that end at `ends`.
#[inline(always)]
fn pairs_within<C: Count>(rows: &[RowCounts<C>], ends: &[usize]) -> [u64; LANES] {
    let (mut pairs, mut start) = ([0; LANES], 0);
    for &end in ends {
        let mut size = [0; LANES];
        for row in &rows[start..end] {
            for i in 0..LANES {
                size[i] += row[i].into();
            }
        }
        for i in 0..LANES {
            let size = u64::from(size[i]);
            pairs[i] += size * size.saturating_sub(1) / 2;
        }
        start = end;
    }
    pairs
}

/// Sorts the counts by all levels and returns the number of inversions.
#[inline(always)]
fn sort<C: Count>(
    levels: &[Merges],
    sorted: &mut Vec<RowCounts<C>>,
    other: &mut Vec<RowCounts<C>>,
) -> [u64; LANES] {
    let mut inversions = Inversions::of(sorted);
    let n_low = levels.iter().take_while(|level| level.width < BLOCK).count();
    let (low, high) = levels.split_at(n_low);
    for first in (0..sorted.len()).step_by(BLOCK) {
        let end = (first + BLOCK).min(sorted.len());
        let (mut from, mut to) = (&mut sorted[first..end], &mut other[first..end]);
        for level in low {
            inversions.merge(level.width, &level.from_right[first / BITS..], from, to);
            std::mem::swap(&mut from, &mut to);
        }
    }
    if low.len() % 2 == 1 {
        std::mem::swap(sorted, other);
    }
    for level in high {
        inversions.merge(level.width, &level.from_right, sorted, other);
        std::mem::swap(sorted, other);
    }
    inversions.sums
}

/// The number of inversions so far.
struct Inversions {
    sums: [u64; LANES],
    /// Number of rows whose products with a sum of counts cannot exceed 32 bits together; 0 if one product may.
    n_in_32_bits: usize,
}

impl Inversions {
    fn of<C: Count>(rows: &[RowCounts<C>]) -> Inversions {
        let (mut most, mut total) = (1, [1; LANES]);
        for row in rows {
            for i in 0..LANES {
                let count: u32 = row[i].into();
                most = most.max(count);
                total[i] += u64::from(count);
            }
        }
        let largest = u64::from(most) * total.into_iter().max().unwrap_or(1);
        Inversions { sums: [0; LANES], n_in_32_bits: (u64::from(u32::MAX) / largest) as usize }
    }

    /// Merges neighbouring runs of `width` rows, and adds the pairs of a left row with the right rows before it.
    #[inline(always)]
    fn merge<C: Count>(
        &mut self,
        width: usize,
        from_right: &[u64],
        from: &[RowCounts<C>],
        to: &mut [RowCounts<C>],
    ) {
        // Sums in 32 bits take half the time.
        let (mut short, mut left_in_short) = ([0_u32; LANES], self.n_in_32_bits);
        for start in (0..from.len()).step_by(2 * width) {
            let end = (start + 2 * width).min(from.len());
            let mut run = Merge { left: start, right: (start + width).min(from.len()), n_right: [0; LANES] };
            let mut at = start;
            while at < end {
                let stop = (at + left_in_short.max(1)).min(end);
                if self.n_in_32_bits == 0 {
                    let (left, before) = run.step(from_right, at, from, to);
                    for i in 0..LANES {
                        self.sums[i] += u64::from(left[i]) * u64::from(before[i]);
                    }
                } else {
                    for at in at..stop {
                        let (left, before) = run.step(from_right, at, from, to);
                        for i in 0..LANES {
                            short[i] += left[i] * before[i];
                        }
                    }
                    left_in_short -= stop - at;
                    if left_in_short == 0 {
                        self.take(&mut short);
                        left_in_short = self.n_in_32_bits;
                    }
                }
                at = stop;
            }
        }
        self.take(&mut short);
    }

    #[inline(always)]
    fn take(&mut self, short: &mut [u32; LANES]) {
        for (sum, short) in self.sums.iter_mut().zip(short) {
            *sum += u64::from(std::mem::take(short));
        }
    }
}

/// The state of one merge: the next rows of both runs, and the sum of the right rows so far.
struct Merge {
    left: usize,
    right: usize,
    n_right: [u32; LANES],
}

impl Merge {
    /// Moves the next row; returns its counts if it is a left row (otherwise 0), and the sum of the right rows before it.
    #[inline(always)]
    fn step<C: Count>(
        &mut self,
        from_right: &[u64],
        at: usize,
        from: &[RowCounts<C>],
        to: &mut [RowCounts<C>],
    ) -> ([u32; LANES], [u32; LANES]) {
        // Without a branch, because the processor could not predict it.
        let bit = from_right[at / BITS] >> (at % BITS) & 1;
        let row = from[if bit == 1 { self.right } else { self.left }];
        (self.left, self.right) = (self.left + 1 - bit as usize, self.right + bit as usize);
        to[at] = row;
        let (mask, before) = (0_u32.wrapping_sub(bit as u32), self.n_right);
        let mut left = [0; LANES];
        for i in 0..LANES {
            let count: u32 = row[i].into();
            left[i] = count & !mask;
            self.n_right[i] += count & mask;
        }
        (left, before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::fixture::{Fixture, assert_close};

    /// The correlation by its definition, over all pairs of rows that are repeated `counts` times.
    fn by_pairs(a: &[f64], b: &[f64], counts: &[f64]) -> f64 {
        let (mut difference, mut left, mut right) = (0.0, 0.0, 0.0);
        let sign = |x: f64, y: f64| if x == y { 0.0 } else { (x - y).signum() };
        for i in 0..a.len() {
            for j in 0..i {
                let (x, y, pairs) = (sign(a[i], a[j]), sign(b[i], b[j]), counts[i] * counts[j]);
                difference += pairs * x * y;
                left += pairs * x * x;
                right += pairs * y * y;
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
    }

    #[test]
    fn it_equals_the_definition_for_any_number_of_rows_and_any_counts() {
        // More rows than a block; one row; counts that need more than a byte, and products that need 64 bits.
        for (n, scale) in [(1, 1.0), (2, 1.0), (63, 1.0), (65, 1.0), (9000, 1.0), (90, 200.0), (90, 90_000.0)]
        {
            let of = |factor: usize, n_values: usize| {
                (0..n).map(|i| (i * factor % 99_991 % n_values) as f64 - 3.0).collect::<Vec<f64>>()
            };
            let counts: Vec<f64> = (0..n).map(|i| scale * (i * i % 5) as f64).collect();
            for (a, b) in [(of(7919, 50), of(331, 17)), (of(7919, 99_991), of(331, 99_991))] {
                let (found, expected) = (Kendall::of(&a, &b).counted(&counts), by_pairs(&a, &b, &counts));
                let is_defined = expected.is_finite();
                assert!(
                    if is_defined { (found - expected).abs() < 1e-12 } else { found == 0.0 },
                    "{n} {scale}"
                );
            }
        }
    }

    #[test]
    fn both_zeros_are_equal() {
        let (a, b) = ([-0.0, 0.0, 0.0, -0.0, 1.0], [3.0, -0.0, 0.0, 5.0, 4.0]);
        assert!((kendall(&a, &b) - by_pairs(&a, &b, &[1.0; 5])).abs() < 1e-15);
    }

    #[test]
    fn the_score_by_counts_equals_that_of_the_repeated_rows() {
        let (a, b) = example();
        let rows: Vec<usize> = (0..90).map(|i| i * i * 7 % 90).collect();
        let mut counts = vec![0.0; 90];
        rows.iter().for_each(|&row| counts[row] += 1.0);
        let take = |v: &[f64]| rows.iter().map(|&row| v[row]).collect::<Vec<f64>>();
        let ranked = Kendall::of(&a, &b);
        let listed = by_pairs(&take(&a), &take(&b), &[1.0; 90]);
        assert!((ranked.counted(&counts) - listed).abs() < 1e-12);
        // Several resamples at once, fewer than there are lanes; each must score as it does alone.
        let of = |k: usize| -> Vec<f64> {
            counts.iter().enumerate().map(|(i, count)| (count + (i * k % 3) as f64) % 4.0).collect()
        };
        let mut resamples = Resamples::default();
        resamples.refill(13, |k, counts| *counts = of(k));
        let alone: Vec<f64> = (0..13).map(|k| ranked.counted(&of(k))).collect();
        assert_eq!(ranked.counted_each(&resamples)[..13], alone);
        assert!(alone.iter().any(|found| *found != alone[0]));
        // Refilled with fewer, nothing of the earlier ones is left.
        resamples.refill(2, |k, counts| *counts = of(k + 5));
        assert_eq!(ranked.counted_each(&resamples)[..2], alone[5..7]);
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
