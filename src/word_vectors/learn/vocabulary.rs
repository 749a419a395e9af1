//! The frequent words of a corpus.

use super::corpus::Texts;
use super::settings::LearnSettings;
use crate::error::{Error, Result};
use crate::progress::Observer;
use std::collections::HashMap;

/// The number of distinct words at which the rarest are dropped, so that names, numbers and misspellings of a large
/// corpus do not fill the memory.
const MOST: usize = 20_000_000;

/// The frequent words, from the most to the least frequent, and among equal ones in alphabetical order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vocabulary {
    pub words: Vec<String>,
    /// The number of times that each word occurs.
    pub counts: Vec<u64>,
    /// The index of each word.
    pub index: HashMap<String, u32>,
    /// The number of words in the corpus, with those outside the vocabulary.
    pub n_tokens: u64,
    /// The number of distinct words in the corpus.
    pub n_distinct: usize,
}

impl Vocabulary {
    /// Counts the words of texts.
    ///
    /// # Errors
    /// Those of the files; [`Error::Invalid`] if fewer words than dimensions remain.
    pub(super) fn of(
        texts: Texts,
        settings: &LearnSettings,
        observer: &mut dyn Observer,
    ) -> Result<Vocabulary> {
        let mut counts: HashMap<String, u64> = HashMap::new();
        let (mut n_tokens, mut least) = (0, 1);
        texts.each_word("counting words", observer, &mut |word| {
            let Some(word) = word else { return Ok(()) };
            n_tokens += 1;
            match counts.get_mut(word) {
                Some(count) => *count += 1,
                None => {
                    counts.insert(word.to_string(), 1);
                }
            }
            if counts.len() > MOST {
                counts.retain(|_, count| *count > least);
                least += 1;
            }
            Ok(())
        })?;
        if least > 1 {
            observer.note(&format!(
                "more than {MOST} distinct words: those seen fewer than {least} times by then were dropped"
            ));
        }
        let n_distinct = counts.len();
        let mut kept: Vec<(String, u64)> =
            counts.into_iter().filter(|(_, count)| *count >= settings.min_count as u64).collect();
        kept.sort_by(|(word, count), (other, of_other)| of_other.cmp(count).then(word.cmp(other)));
        kept.truncate(settings.max_words);
        if kept.len() <= settings.dim {
            let found = format!(
                "{} words that occur at least {} times, among {n_tokens} words",
                kept.len(),
                settings.min_count
            );
            let expected = format!(
                "more words than dimensions ({}): more text, a smaller --dim or a smaller --min-count",
                settings.dim
            );
            return Err(Error::invalid("vocabulary of the texts", found, expected));
        }
        let (words, counts): (Vec<String>, Vec<u64>) = kept.into_iter().unzip();
        let index = words.iter().cloned().zip(0..).collect();
        Ok(Vocabulary { words, counts, index, n_tokens, n_distinct })
    }
}
