//! Settings of learned word vectors.

use crate::error::{Error, Result};
use crate::limits::{COUNTS, VECTOR_WIDTH, VOCABULARY, WINDOW, number_words};
use std::fmt;
use std::str::FromStr;

/// The weight of a pair of words by their distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weighting {
    /// 1 divided by the distance, as GloVe counts.
    #[default]
    Harmonic,
    /// The share of windows of 1 to `window` words that contain the pair, as word2vec draws them.
    Dynamic,
    /// 1 at every distance.
    Flat,
}

impl Weighting {
    /// All weightings with their names.
    const ALL: [(Weighting, &'static str); 3] =
        [(Weighting::Harmonic, "harmonic"), (Weighting::Dynamic, "dynamic"), (Weighting::Flat, "flat")];

    /// The weight of two words at a distance from 1 to `window`.
    pub(super) fn of(self, distance: usize, window: usize) -> f64 {
        match self {
            Weighting::Harmonic => 1.0 / distance as f64,
            Weighting::Dynamic => (window + 1 - distance) as f64 / window as f64,
            Weighting::Flat => 1.0,
        }
    }
}

impl fmt::Display for Weighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Weighting::ALL.iter().find(|(one, _)| one == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

impl FromStr for Weighting {
    type Err = Error;

    fn from_str(name: &str) -> Result<Weighting> {
        let found = Weighting::ALL.iter().find(|(_, known)| *known == name).map(|(one, _)| *one);
        found.ok_or_else(|| Error::invalid("--weighting", name, "harmonic, dynamic or flat"))
    }
}

/// Settings of learned word vectors.
///
/// # Source
/// O. Levy, Y. Goldberg, I. Dagan, "Improving Distributional Similarity with Lessons Learned from Word Embeddings"
/// (2015): `cds`, `neg` and `eig` are named as in their program, hyperwords.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LearnSettings {
    /// The width of a vector.
    pub dim: usize,
    /// The greatest distance of two words that are counted as a pair.
    pub window: usize,
    /// The weight of a pair by its distance.
    pub weighting: Weighting,
    /// The smallest number of times that a word of the vocabulary occurs.
    pub min_count: usize,
    /// The largest number of words in the vocabulary; the most frequent ones are kept.
    pub max_words: usize,
    /// The exponent of the smoothed distribution of contexts; 1 does not smooth.
    pub cds: f64,
    /// The number whose logarithm is subtracted from the mutual information before it is cut at 0; 1 does not shift.
    pub neg: f64,
    /// The exponent of the singular values; 0 gives each dimension the same weight.
    pub eig: f64,
    /// The seed of the decomposition's first vector.
    pub seed: u64,
}

impl Default for LearnSettings {
    fn default() -> LearnSettings {
        LearnSettings {
            dim: 100,
            window: 5,
            weighting: Weighting::Harmonic,
            min_count: 5,
            max_words: 100_000,
            cds: 0.75,
            neg: 1.0,
            eig: 0.5,
            seed: 0,
        }
    }
}

impl LearnSettings {
    /// Checks the range of each number, before any file is read.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the flag.
    pub fn check(&self) -> Result<()> {
        VECTOR_WIDTH.check("--dim", self.dim as u64)?;
        WINDOW.check("--window", self.window as u64)?;
        COUNTS.check("--min-count", self.min_count as u64)?;
        VOCABULARY.check("--max-words", self.max_words as u64)?;
        for (flag, value, least, most) in
            [("--cds", self.cds, 0.0, 1.0), ("--neg", self.neg, 1.0, 1e6), ("--eig", self.eig, 0.0, 1.0)]
        {
            if !(least..=most).contains(&value) {
                let expected = format!("a number from {} to {}", number_words(least), number_words(most));
                return Err(Error::invalid(flag, number_words(value), expected));
            }
        }
        Ok(())
    }
}
