//! Word vectors learned from texts, and their file.

use super::corpus::Texts;
use super::pairs::count_pairs;
use super::ppmi::Ppmi;
use super::settings::LearnSettings;
use super::svd::LeftSvd;
use super::vocabulary::Vocabulary;
use crate::artefact::save_bytes;
use crate::error::{Error, Result};
use crate::limits::{check_memory, product};
use crate::progress::Observer;
use ndarray::Array2;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The largest remaining error of a decomposition that is not worth a note.
const LARGE_ERROR: f64 = 1e-4;

/// Word vectors learned from texts.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnedVectors {
    /// The words, the most frequent first.
    pub words: Vec<String>,
    /// The number of times that each word occurs.
    pub counts: Vec<u64>,
    /// Their vectors, `[n_words, dim]`.
    pub vectors: Array2<f32>,
    /// The singular values, descending.
    pub singular_values: Vec<f64>,
    /// The number of words in the texts.
    pub n_tokens: u64,
    /// The number of distinct words in the texts.
    pub n_distinct: usize,
    /// The number of pairs of words with positive mutual information, in both orders.
    pub n_pairs: usize,
}

impl LearnedVectors {
    /// Learns vectors from text files, plain or compressed: counts pairs of words in a window, turns the counts into
    /// positive pointwise mutual information, and keeps its largest singular values.
    ///
    /// The same texts and settings give the same vectors on any number of threads.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a setting out of its range, too few words, or more pairs than fit into the free memory;
    /// those of the files.
    ///
    /// # Source
    /// O. Levy, Y. Goldberg, I. Dagan, "Improving Distributional Similarity with Lessons Learned from Word Embeddings"
    /// (2015).
    pub fn learn(
        paths: &[PathBuf],
        settings: &LearnSettings,
        observer: &mut dyn Observer,
    ) -> Result<LearnedVectors> {
        settings.check()?;
        let texts = Texts { paths };
        let vocabulary = Vocabulary::of(texts, settings, observer)?;
        let pairs = count_pairs(texts, &vocabulary, settings, observer)?;
        let n_words = vocabulary.words.len();
        let matrix = Ppmi::of(pairs, n_words, settings)?;
        let svd = LeftSvd::of(&matrix, settings.dim, settings.seed, observer)?;
        let dim = svd.values.len();
        if dim == 0 {
            let found = "no two words that are near each other more often than by chance";
            return Err(Error::invalid("texts", found, "sentences of several words, one or more on a line"));
        }
        if dim < settings.dim {
            observer.note(&format!(
                "the counts have only {dim} dimensions, so that vectors have fewer than --dim"
            ));
        }
        if svd.error > LARGE_ERROR {
            observer.note(&format!("the last dimensions are exact only within {:.0e}", svd.error));
        }
        let weights: Vec<f64> = svd.values.iter().map(|value| value.powf(settings.eig)).collect();
        let vectors =
            Array2::from_shape_fn((n_words, dim), |(i, j)| (svd.vectors[(i, j)] * weights[j]) as f32);
        Ok(LearnedVectors {
            words: vocabulary.words,
            counts: vocabulary.counts,
            vectors,
            singular_values: svd.values,
            n_tokens: vocabulary.n_tokens,
            n_distinct: vocabulary.n_distinct,
            n_pairs: matrix.n_stored(),
        })
    }

    /// Writes the vectors as word2vec's text, the most frequent word first; numbers are written exactly.
    ///
    /// # Errors
    /// Those of the file.
    pub fn save(&self, path: &Path) -> Result<()> {
        // A number has about ten characters, a word with its spaces about sixteen.
        let (n_words, width) = self.vectors.dim();
        check_memory("the text of the vectors", product([n_words, 10 * width + 16]), "a smaller --dim")?;
        let mut text = format!("{n_words} {width}\n");
        for (word, vector) in self.words.iter().zip(self.vectors.rows()) {
            text += word;
            vector.iter().for_each(|value| _ = write!(text, " {value}"));
            text.push('\n');
        }
        save_bytes(path, text.as_bytes())
    }

    /// The words whose vectors have the greatest cosines with a word's vector, nearest first; none for an unknown word.
    pub fn nearest(&self, word: &str, n: usize) -> Vec<&str> {
        let Some(at) = self.words.iter().position(|known| known == word) else { return Vec::new() };
        let length = |i: usize| self.vectors.row(i).dot(&self.vectors.row(i)).sqrt();
        let cosine = |i: usize| match length(i) * length(at) {
            0.0 => 0.0,
            lengths => self.vectors.row(i).dot(&self.vectors.row(at)) / lengths,
        };
        let mut others: Vec<(f32, usize)> =
            (0..self.words.len()).filter(|i| *i != at).map(|i| (cosine(i), i)).collect();
        others.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        others.into_iter().take(n).map(|(_, i)| self.words[i].as_str()).collect()
    }
}
