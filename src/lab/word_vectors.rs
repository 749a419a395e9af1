//! Word vectors learned from texts, saved with a card, and reused.

use super::extraction::Done;
use super::folders::Lab;
use super::training_text::training_text;
use crate::artefact::{Card, FolderName, hash_file};
use crate::error::{Error, Result};
use crate::progress::Observer;
use crate::word_vectors::{LearnSettings, LearnedVectors};
use std::path::PathBuf;

/// The texts to learn from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LearnSource {
    /// Text files, plain or compressed.
    Files(Vec<PathBuf>),
    /// The training text of a model that `mappa train` made.
    Model(String),
}

/// A request for word vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnJob {
    /// The texts.
    pub source: LearnSource,
    /// The name of the vectors in the lab; by default that of the model.
    pub name: Option<FolderName>,
    /// The file to write, in place of the lab's.
    pub out: Option<PathBuf>,
    /// The window, the weights, the number of dimensions.
    pub settings: LearnSettings,
}

/// Learned word vectors in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnReport {
    /// The file.
    pub file: PathBuf,
    /// Its card, with the counts of words and pairs.
    pub card: Card,
    /// The origin: this run or an earlier one.
    pub done: Done,
    /// Some frequent words, each with those of the nearest vectors; empty if an earlier run learned the vectors.
    pub nearest: Vec<Vec<String>>,
}

/// The ranks of the words whose nearest words are shown.
const SHOWN: [usize; 4] = [50, 100, 200, 400];
/// The number of nearest words that are shown.
const NEAREST: usize = 5;

/// Learns word vectors, unless the file has them; writes a card next to it.
///
/// # Errors
/// Those of [`LearnedVectors::learn`] and of the files; [`Error::CardMismatch`] if the file was learned from other texts
/// or with other settings.
pub fn learn_vectors(lab: &Lab, job: &LearnJob, observer: &mut dyn Observer) -> Result<LearnReport> {
    job.settings.check()?;
    let file = job.file(lab)?;
    let paths = match &job.source {
        LearnSource::Files(paths) => paths.clone(),
        LearnSource::Model(model) => vec![training_text(lab, model, observer)?],
    };
    let card_file = file.with_extension("json");
    let card = job.card(&paths)?;
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if card.has_made(&card_file, &[&name])? {
        let card = Card::load(&card_file)?.unwrap_or(card);
        return Ok(LearnReport { file, card, done: Done::Before, nearest: Vec::new() });
    }
    let learned = LearnedVectors::learn(&paths, &job.settings, observer)?;
    learned.save(&file)?;
    let ends = learned.singular_values.first().zip(learned.singular_values.last());
    let (first, last) = ends.unwrap_or((&0.0, &0.0));
    let folder = file.parent().unwrap_or(std::path::Path::new("."));
    let card = card
        .note("words", learned.words.len())
        .note("words_in_texts", learned.n_tokens)
        .note("distinct_words_in_texts", learned.n_distinct)
        .note("pairs", learned.n_pairs)
        .note("dimensions", learned.vectors.ncols())
        .note("singular_values", format!("{first:.2} to {last:.2}"))
        .with_files(folder, &[&name])?;
    card.save(&card_file)?;
    let shown = SHOWN.iter().filter_map(|rank| learned.words.get(rank - 1));
    let near = |word: &String| {
        let near = learned.nearest(word, NEAREST);
        [word.as_str()].into_iter().chain(near).map(String::from).collect()
    };
    let nearest = shown.map(near).collect();
    Ok(LearnReport { file, card, done: Done::Now, nearest })
}

impl LearnJob {
    /// The file to write.
    fn file(&self, lab: &Lab) -> Result<PathBuf> {
        match (&self.out, &self.name, &self.source) {
            (Some(out), ..) if out.extension().is_some_and(|ending| ending == "json") => {
                let expected = "another ending, such as .txt: the card is written next to it as .json";
                Err(Error::invalid("--out", out.display(), expected))
            }
            (Some(out), ..) => Ok(out.clone()),
            (None, Some(name), _) => Ok(lab.word_vectors(name)),
            (None, None, LearnSource::Model(model)) => {
                Ok(lab.word_vectors(&super::models::name_in_lab(lab, model)?))
            }
            (None, None, LearnSource::Files(_)) => {
                Err(Error::invalid("vectors to write", "no name", "--name NAME or --out FILE"))
            }
        }
    }

    /// The card with all inputs that decide the vectors.
    fn card(&self, paths: &[PathBuf]) -> Result<Card> {
        let hashes = paths.iter().map(|path| hash_file(path)).collect::<Result<Vec<String>>>()?;
        let LearnSettings { dim, window, weighting, min_count, max_words, cds, neg, eig, seed } =
            self.settings;
        Ok(Card::new()
            .input("texts_sha256", hashes.join(" "))
            .input("dim", dim)
            .input("window", window)
            .input("weighting", weighting)
            .input("min_count", min_count)
            .input("max_words", max_words)
            .input("cds", cds)
            .input("neg", neg)
            .input("eig", eig)
            .input("seed", seed))
    }
}
