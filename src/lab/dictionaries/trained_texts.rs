//! The texts for training a dictionary or a lens: prompts with entities, sentences about entities, and files.

use super::super::datasets::find;
use super::super::folders::Lab;
use crate::artefact;
use crate::datasets::{BUNDLED, Dataset, Entity, Prompt};
use crate::error::{Error, Result};
use crate::progress::{Observer, Progress};
use crate::tokenizer::{Encoded, Tokenizer};
use crate::training::Corpus;
use std::path::PathBuf;

/// The sources of texts.
pub(in crate::lab) struct TextSources<'a> {
    /// Datasets whose entities give the texts; by default, if `files` is empty, the bundled datasets.
    pub datasets: &'a [String],
    /// The prompts around each name.
    pub prompts: &'a [String],
    /// The number of additional sentences that begin with each entity.
    pub sentences: usize,
    /// Files of texts, one text per line.
    pub files: &'a [PathBuf],
    /// The seed of the sentences.
    pub seed: u64,
}

impl TextSources<'_> {
    /// Collects all texts.
    ///
    /// # Errors
    /// [`Error::EntityNotPlaced`] naming the row; those of datasets and files.
    pub(in crate::lab) fn texts(&self, lab: &Lab, observer: &mut dyn Observer) -> Result<Vec<String>> {
        let names = match (self.datasets.is_empty(), self.files.is_empty()) {
            (true, true) => BUNDLED.map(String::from).to_vec(),
            _ => self.datasets.to_vec(),
        };
        let datasets =
            names.iter().map(|name| find(lab, name, observer)).collect::<Result<Vec<Dataset>>>()?;
        let mut texts = Vec::new();
        for dataset in &datasets {
            for prompt in self.prompts {
                texts.extend(entity_texts(dataset, prompt)?);
            }
        }
        if self.sentences > 0 && !datasets.is_empty() {
            let corpus = Corpus::new(&datasets, self.seed);
            texts.extend(corpus.stanzas(self.sentences)?.into_iter().flatten());
        }
        for path in self.files {
            let text = artefact::load_text(path)?;
            texts.extend(text.lines().filter(|line| !line.trim().is_empty()).map(String::from));
        }
        Ok(texts)
    }

    /// Collects and tokenises all texts.
    ///
    /// # Errors
    /// As [`TextSources::texts`]; those of the tokenizer.
    pub(super) fn encoded(
        &self,
        lab: &Lab,
        tokenizer: &Tokenizer,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Encoded>> {
        let texts = self.texts(lab, observer)?;
        let total = texts.len() as u64;
        let mut encoded = Vec::with_capacity(texts.len());
        for (done, text) in texts.iter().enumerate() {
            if done % 256 == 0 {
                let done = done as u64;
                observer.progress(&Progress::counted("tokens", done, total));
            }
            encoded.push(tokenizer.encode(text)?);
        }
        observer.progress(&Progress::counted("tokens", total, total));
        Ok(encoded)
    }
}

/// The texts of a dataset's entities under a prompt.
fn entity_texts(dataset: &Dataset, prompt: &str) -> Result<Vec<String>> {
    let prompt = Prompt::find(prompt, dataset)?;
    if prompt.random_tokens().is_some() {
        return Err(Error::invalid("--prompt", "random tokens", "a prompt with text"));
    }
    let prompted = prompt.texts(dataset)?;
    let text = |entity: &Entity| {
        let refused = |problem| Error::EntityNotPlaced {
            dataset: dataset.name.to_string(),
            row: entity.row,
            name: entity.name.clone(),
            text: String::new(),
            problem,
        };
        Ok(prompted.of(entity).map_err(refused)?.text)
    };
    dataset.entities.iter().map(text).collect()
}
