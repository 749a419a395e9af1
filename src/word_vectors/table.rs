//! The vectors of the words that names need.

use std::collections::HashMap;

/// Static word vectors, of the needed words only.
#[derive(Debug, Clone, PartialEq)]
pub struct WordVectors {
    /// The name in cards and messages: the file's name.
    pub name: String,
    /// The SHA-256 of the file.
    pub sha256: String,
    /// The width of a vector.
    pub width: usize,
    /// The index of a word's vector.
    index: HashMap<String, usize>,
    /// The vectors one after the other, `[n_words, width]`.
    values: Vec<f32>,
    /// The rank of each word, from 1: its position in the file. Usual files are sorted by frequency.
    ranks: Vec<u64>,
}

/// One word of a file with its vector.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub word: &'a str,
    pub vector: &'a [f32],
    pub rank: u64,
}

impl WordVectors {
    /// An empty table.
    pub(super) fn new(name: &str, sha256: String, width: usize) -> WordVectors {
        let (index, values, ranks) = (HashMap::new(), Vec::new(), Vec::new());
        WordVectors { name: name.into(), sha256, width, index, values, ranks }
    }

    /// Adds a word, unless the table already has it.
    pub(super) fn add(&mut self, entry: Entry) {
        if !self.index.contains_key(entry.word) {
            self.index.insert(entry.word.to_string(), self.ranks.len());
            self.values.extend_from_slice(entry.vector);
            self.ranks.push(entry.rank);
        }
    }

    /// The number of words with a vector.
    pub fn n_words(&self) -> usize {
        self.ranks.len()
    }

    /// The vector of a word in this form.
    pub fn get(&self, word: &str) -> Option<&[f32]> {
        self.index.get(word).map(|&at| &self.values[at * self.width..(at + 1) * self.width])
    }

    /// The rank of a word in this form.
    pub fn rank(&self, word: &str) -> Option<u64> {
        self.index.get(word).map(|&at| self.ranks[at])
    }
}
