//! The texts for training a dictionary: prompts with entities, sentences about entities, and files.

use super::super::datasets::find;
use super::super::folders::Lab;
use super::settings::DictionarySettings;
use crate::artefact;
use crate::datasets::{BUNDLED, Dataset, Entity, Prompt};
use crate::error::{Error, Result};
use crate::progress::{Observer, Progress};
use crate::tokenizer::{Encoded, Tokenizer};
use crate::training::Corpus;

/// Collects and tokenises all texts.
///
/// # Errors
/// [`Error::EntityNotPlaced`] naming the row; those of datasets and files.
pub(super) fn encoded_texts(
    lab: &Lab,
    settings: &DictionarySettings,
    tokenizer: &Tokenizer,
    observer: &mut dyn Observer,
) -> Result<Vec<Encoded>> {
    let names = match (settings.datasets.is_empty(), settings.files.is_empty()) {
        (true, true) => BUNDLED.map(String::from).to_vec(),
        _ => settings.datasets.clone(),
    };
    let datasets = names.iter().map(|name| find(lab, name, observer)).collect::<Result<Vec<Dataset>>>()?;
    let mut texts = Vec::new();
    for dataset in &datasets {
        for prompt in &settings.prompts {
            texts.extend(entity_texts(dataset, prompt)?);
        }
    }
    if settings.sentences > 0 && !datasets.is_empty() {
        let corpus = Corpus::new(&datasets, settings.seed);
        texts.extend(corpus.stanzas(settings.sentences)?.into_iter().flatten());
    }
    for path in &settings.files {
        let text = artefact::load_text(path)?;
        texts.extend(text.lines().filter(|line| !line.trim().is_empty()).map(String::from));
    }
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
