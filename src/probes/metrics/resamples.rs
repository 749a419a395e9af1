//! Up to sixteen resamples of the rows, each given by the count of each row.

use std::cell::{OnceCell, RefCell};

/// Number of resamples computed together, so that rows in sorted order need one memory access per row instead of
/// sixteen.
pub(super) const AT_ONCE: usize = 16;

/// The counts of one row in up to sixteen resamples; lanes without a resample are 0.
pub(super) type RowCounts<C> = [C; AT_ONCE];

/// A type for the count of a row.
pub(super) trait Count: Copy + Default + Into<u32> {
    /// The count of 0.
    const NONE: RowCounts<Self>;
}

impl Count for u8 {
    const NONE: RowCounts<u8> = [0; AT_ONCE];
}

impl Count for u32 {
    const NONE: RowCounts<u32> = [0; AT_ONCE];
}

/// The counts of each row, in the narrowest type that holds them: with one byte per count, many rows fit the caches.
pub(super) enum ByRow {
    /// No count exceeds 255.
    Narrow(Vec<RowCounts<u8>>),
    /// Any counts.
    Wide(Vec<RowCounts<u32>>),
}

/// Memory that scores of several resamples use, kept from one batch of resamples to the next.
#[derive(Default)]
pub(super) struct Scratch {
    /// Two copies of the counts, in other orders.
    pub counts: [Vec<RowCounts<u8>>; 2],
    /// The ranks of the rows on both sides.
    pub ranks: [Vec<RowCounts<u32>>; 2],
}

/// Up to sixteen resamples of the rows.
#[derive(Default)]
pub(in crate::probes) struct Resamples {
    /// The count of each row in each resample; counts are whole numbers.
    counts: Vec<Vec<f64>>,
    by_row: OnceCell<ByRow>,
    /// Memory for the scores.
    pub(super) scratch: RefCell<Scratch>,
}

impl Resamples {
    /// One resample, by the count of each row.
    pub(in crate::probes) fn single(counts: &[f64]) -> Resamples {
        Resamples { counts: vec![counts.to_vec()], ..Resamples::default() }
    }

    /// Replaces the resamples by `n` others, at most [`AT_ONCE`]; `fill` writes the counts of each into a vector that
    /// may hold earlier ones.
    pub(super) fn refill(&mut self, n: usize, mut fill: impl FnMut(usize, &mut Vec<f64>)) {
        self.by_row.take();
        self.counts.resize_with(n.min(AT_ONCE), Vec::new);
        self.counts.iter_mut().enumerate().for_each(|(resample, counts)| fill(resample, counts));
    }

    /// The number of resamples.
    pub(in crate::probes) fn len(&self) -> usize {
        self.counts.len()
    }

    /// The counts of the rows in each resample.
    pub(in crate::probes) fn each(&self) -> impl Iterator<Item = &[f64]> {
        self.counts.iter().map(Vec::as_slice)
    }

    /// The counts of each row in all resamples.
    pub(super) fn by_row(&self) -> &ByRow {
        self.by_row.get_or_init(|| {
            let is_narrow = self.counts.iter().flatten().all(|&count| count <= f64::from(u8::MAX));
            match is_narrow {
                true => ByRow::Narrow(self.transposed(|count| count as u8)),
                false => ByRow::Wide(self.transposed(|count| count as u32)),
            }
        })
    }

    fn transposed<C: Count>(&self, of: impl Fn(f64) -> C) -> Vec<RowCounts<C>> {
        let mut rows = vec![C::NONE; self.counts.first().map_or(0, Vec::len)];
        for (lane, counts) in self.counts.iter().enumerate() {
            rows.iter_mut().zip(counts).for_each(|(row, &count)| row[lane] = of(count));
        }
        rows
    }
}
