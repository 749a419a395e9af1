//! The range of each kind of number that a file, a flag or an experiment may state.

use crate::error::{Error, Result};
use std::fmt;

/// A range of whole numbers, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The smallest allowed number.
    pub least: u64,
    /// The largest allowed number.
    pub most: u64,
}

impl Limit {
    /// The numbers from `least` to `most`.
    pub const fn new(least: u64, most: u64) -> Limit {
        Limit { least, most }
    }

    /// The number as a size, if it is in the range.
    pub fn size(self, number: u64) -> Option<usize> {
        usize::try_from(number).ok().filter(|_| (self.least..=self.most).contains(&number))
    }

    /// Refuses a number outside the range; `what` is the flag or the setting.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the number and the range.
    ///
    /// # Examples
    /// ```
    /// use mappa::limits::RESAMPLES;
    /// assert!(RESAMPLES.check("--resamples", 500).is_ok());
    /// let refusal = RESAMPLES.check("--resamples", 1_000_000_000_000).unwrap_err().to_string();
    /// assert!(refusal.contains("from 2 to 1000000"));
    /// ```
    pub fn check(self, what: &str, number: u64) -> Result<()> {
        match self.size(number) {
            Some(_) => Ok(()),
            None => Err(Error::invalid(what, number, self)),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {} to {}", self.least, self.most)
    }
}

// Sizes of models. The largest models have some hundreds of blocks and heads, and widths below 100,000.

/// Blocks of a model.
pub const LAYERS: Limit = Limit::new(1, 10_000);
/// Heads of a block.
pub const HEADS: Limit = Limit::new(1, 1 << 16);
/// The width of a stream, a head or an MLP.
pub const WIDTH: Limit = Limit::new(1, 1 << 24);
/// Token ids of a model.
pub const VOCABULARY: Limit = Limit::new(1, 1 << 28);
/// Token ids of a tokenizer to train: at least the 256 byte values and the token between texts.
pub const TRAINED_VOCABULARY: Limit = Limit::new(257, 1 << 28);
/// Tokens of a text, and other numbers that are counted in tokens; positions are stored in 32 bits.
pub const POSITIONS: Limit = Limit::new(1, u32::MAX as u64);
/// Other whole numbers of a model's config, which do not determine a size.
pub const ANY: Limit = Limit::new(0, u32::MAX as u64);
/// Files of one model; their names number them with five digits.
pub const MODEL_FILES: Limit = Limit::new(1, 99_999);
/// T5's sentinel tokens, which mark omitted parts of a text.
pub const SENTINELS: Limit = Limit::new(0, 100_000);
/// Bytes of one token of a vocabulary; the longest in use have some hundreds.
pub const TOKEN_BYTES: Limit = Limit::new(0, 1 << 16);

// Texts and tables.

/// Bytes of one text that is divided into tokens: the tokenizer needs about 200 times as much memory.
pub const TEXT_BYTES: Limit = Limit::new(0, 4 << 20);
/// Bytes of the config.json of a model; the longest in use name 20,000 classes, in less than 2 MiB.
pub const CONFIG_BYTES: Limit = Limit::new(0, 16 << 20);
/// Bytes of a JSON file of a tokenizer's settings; the longest in use list 100,000 added tokens, in about 20 MiB.
pub const TOKENIZER_BYTES: Limit = Limit::new(0, 64 << 20);
/// Numbers of a static word vector; the widest in use have some thousands.
pub const VECTOR_WIDTH: Limit = Limit::new(1, 4096);
/// Columns of a table.
pub const COLUMNS: Limit = Limit::new(1, 100_000);
/// Cells of a JSON table with more cells than bytes in its file, which is possible if rows lack fields.
pub const CELLS: Limit = Limit::new(0, 1 << 25);
/// Bytes that are read from a pipe.
pub const PIPE_BYTES: Limit = Limit::new(0, 4 << 30);
/// Bytes that are read from a device, such as a terminal.
pub const DEVICE_BYTES: Limit = Limit::new(0, 16 << 20);

// Settings.

/// Parts of a dataset that are extracted separately.
pub const SHARDS: Limit = Limit::new(1, 10_000);
/// Rows of an array of activations.
pub const ROWS: Limit = Limit::new(0, 1 << 40);
/// Bootstrap resamples of an interval.
pub const RESAMPLES: Limit = Limit::new(2, 1_000_000);
/// Dimensions of a sparse probe.
pub const SPARSE_UNITS: Limit = Limit::new(1, 4096);
/// Texts that are generated from one prompt.
pub const SAMPLES: Limit = Limit::new(0, 100_000);
/// Random directions, latents or sets of neurons for comparison.
pub const RANDOM: Limit = Limit::new(0, 10_000);
/// Pairs of texts of a causal test.
pub const PAIRS: Limit = Limit::new(1, 1 << 20);
/// Answers among which a model chooses.
pub const CHOICES: Limit = Limit::new(2, 1000);
/// Passes over the training rows.
pub const EPOCHS: Limit = Limit::new(1, 100_000);
/// Sentences about each entity.
pub const SENTENCES: Limit = Limit::new(0, 1_000_000);
/// Latents of a dictionary.
pub const LATENTS: Limit = Limit::new(1, 1 << 28);
/// Tokens that a lens is fitted to.
pub const LENS_TOKENS: Limit = Limit::new(3, 1 << 28);
/// Rows or tokens per training step.
pub const BATCH: Limit = Limit::new(1, 1 << 28);
/// Words on each side of a word that count as its context.
pub const WINDOW: Limit = Limit::new(1, 1000);
/// Times that a word occurs in a text.
pub const COUNTS: Limit = Limit::new(1, 1 << 40);
/// Steps between checkpoints.
pub const STEPS: Limit = Limit::new(1, u32::MAX as u64);

/// The smallest temperature and repetition penalty above 0: a logit divided by it stays finite.
pub const SMALLEST_DIVISOR: f64 = 1e-20;

/// A number for a message; one with many zeros is written with its exponent.
pub fn number_words(number: f64) -> String {
    match number.abs() {
        size if size == 0.0 || (1e-6..1e15).contains(&size) => number.to_string(),
        _ => format!("{number:e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_are_in_the_range_and_their_neighbours_are_not() {
        let limit = Limit::new(2, 9);
        assert_eq!((limit.size(2), limit.size(9)), (Some(2), Some(9)));
        for outside in [0, 1, 10, u64::MAX] {
            assert_eq!(limit.size(outside), None);
            let refusal = limit.check("--n", outside).unwrap_err().to_string();
            assert_eq!(refusal, format!("--n: found {outside}; expected a whole number from 2 to 9"));
        }
        let numbers = [0.0, -1.5, 1e-320, 1e300, f64::NAN].map(number_words);
        assert_eq!(numbers, ["0", "-1.5", "1e-320", "1e300", "NaN"]);
    }
}
