//! The weighted counts of pairs of words that are near each other in a text.
//!
//! Pairs are collected in a buffer. A full buffer is sorted, equal pairs are added up, and the result is one sorted run;
//! two runs of similar length are merged, so that the memory is at most about three times that of the final counts.

use super::corpus::Texts;
use super::settings::LearnSettings;
use super::vocabulary::Vocabulary;
use crate::error::Result;
use crate::limits::{check_memory, product};
use crate::progress::Observer;
use rayon::prelude::*;
use std::collections::VecDeque;

/// The number of pairs in the buffer, 128 MiB.
const BUFFER: usize = 1 << 23;

/// A pair of words with its weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pair {
    /// The index of the more frequent word, then that of the other, in one number.
    key: u64,
    pub weight: f64,
}

impl Pair {
    fn new(a: u32, b: u32, weight: f64) -> Pair {
        Pair { key: u64::from(a.min(b)) << 32 | u64::from(a.max(b)), weight }
    }

    /// The index of the more frequent word.
    pub(super) fn first(&self) -> usize {
        (self.key >> 32) as usize
    }

    /// The index of the less frequent word.
    pub(super) fn second(&self) -> usize {
        (self.key & u64::from(u32::MAX)) as usize
    }
}

/// Counts pairs of words of the vocabulary; each unordered pair once, sorted by the first and the second word.
///
/// A word outside the vocabulary is skipped, but still counts as distance.
///
/// # Errors
/// Those of the files; [`crate::Error::Invalid`] if the counts may not fit into the free memory.
pub(super) fn count_pairs(
    texts: Texts,
    vocabulary: &Vocabulary,
    settings: &LearnSettings,
    observer: &mut dyn Observer,
) -> Result<Vec<Pair>> {
    let window = settings.window;
    let weights: Vec<f64> = (1..=window).map(|distance| settings.weighting.of(distance, window)).collect();
    let mut runs = Runs::default();
    // The words before the current one, the nearest first; `None` for one outside the vocabulary.
    let mut before: VecDeque<Option<u32>> = VecDeque::with_capacity(window + 1);
    texts.each_word("counting pairs", observer, &mut |word| {
        let Some(word) = word else {
            before.clear();
            return Ok(());
        };
        let word = vocabulary.index.get(word).copied();
        if let Some(word) = word {
            let near = before.iter().zip(&weights);
            let pairs = near.filter_map(|(other, weight)| Some(Pair::new(word, (*other)?, *weight)));
            runs.buffer.extend(pairs);
        }
        before.push_front(word);
        before.truncate(window);
        if runs.buffer.len() >= BUFFER { runs.flush() } else { Ok(()) }
    })?;
    runs.finish()
}

/// Sorted runs of pairs, each at least twice as long as the next.
#[derive(Default)]
struct Runs {
    buffer: Vec<Pair>,
    runs: Vec<Vec<Pair>>,
}

impl Runs {
    /// Turns the buffer into a run.
    fn flush(&mut self) -> Result<()> {
        let mut pairs = std::mem::take(&mut self.buffer);
        // A stable sort, so that equal pairs are added in the order of the text on any number of threads.
        pairs.par_sort_by_key(|pair| pair.key);
        pairs.dedup_by(|next, kept| {
            let is_same = next.key == kept.key;
            if is_same {
                kept.weight += next.weight;
            }
            is_same
        });
        self.runs.push(pairs);
        while let [.., longer, last] = &self.runs[..]
            && longer.len() < 2 * last.len()
        {
            self.merge_last()?;
        }
        Ok(())
    }

    /// Merges the last two runs.
    fn merge_last(&mut self) -> Result<()> {
        let (Some(last), Some(before)) = (self.runs.pop(), self.runs.pop()) else { return Ok(()) };
        let bytes = product([last.len() + before.len(), size_of::<Pair>()]);
        check_memory(
            "the counts of pairs",
            bytes,
            "a larger --min-count, or a smaller --max-words or --window",
        )?;
        self.runs.push(merged(before, last));
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Pair>> {
        self.flush()?;
        while self.runs.len() > 1 {
            self.merge_last()?;
        }
        Ok(self.runs.pop().unwrap_or_default())
    }
}

/// Merges two sorted runs; the weights of equal pairs are added.
fn merged(a: Vec<Pair>, b: Vec<Pair>) -> Vec<Pair> {
    let mut all = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.into_iter().peekable(), b.into_iter().peekable());
    while let (Some(from_a), Some(from_b)) = (a.peek().copied(), b.peek().copied()) {
        if from_a.key <= from_b.key {
            a.next();
        }
        if from_b.key <= from_a.key {
            b.next();
        }
        all.push(match from_a.key.cmp(&from_b.key) {
            std::cmp::Ordering::Less => from_a,
            std::cmp::Ordering::Greater => from_b,
            std::cmp::Ordering::Equal => Pair { weight: from_a.weight + from_b.weight, ..from_a },
        });
    }
    all.extend(a);
    all.extend(b);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::collections::BTreeMap;

    #[test]
    fn runs_of_any_lengths_add_up_to_the_same_counts() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let (mut runs, mut expected) = (Runs::default(), BTreeMap::<u64, f64>::new());
        for _ in 0..40 {
            for _ in 0..rng.random_range(0..200) {
                let (a, b) = (rng.random_range(0..30), rng.random_range(0..30));
                let pair = Pair::new(a, b, f64::from(rng.random_range(1..5u32)));
                assert!(pair.first() <= pair.second());
                *expected.entry(pair.key).or_default() += pair.weight;
                runs.buffer.push(pair);
            }
            runs.flush().unwrap();
            assert!(runs.runs.windows(2).all(|two| two[0].len() >= 2 * two[1].len()));
        }
        let found = runs.finish().unwrap();
        assert_eq!(found.iter().map(|pair| (pair.key, pair.weight)).collect::<BTreeMap<_, _>>(), expected);
        assert!(found.windows(2).all(|two| two[0].key < two[1].key));
    }
}
