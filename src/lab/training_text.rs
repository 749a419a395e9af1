//! The training text of a model that `mappa train` made.

use super::datasets::find as find_dataset;
use super::folders::Lab;
use crate::artefact::{Card, FolderName, save_bytes};
use crate::datasets::Dataset;
use crate::error::{Error, Result};
use crate::model::Location;
use crate::progress::{Observer, Progress};
use crate::training::{CORPUS_FILE, Corpus, text_of_stanzas};
use std::path::{Path, PathBuf};

/// The card of the bundled model.
const BUNDLED_CARD: &str = include_str!("../../models/atlas/card.json");

/// Finds the training text in the model's folder, or writes it again into the lab from the settings in the model's card.
///
/// # Errors
/// Those of [`Location::find`]; [`Error::Invalid`] for a model that `mappa train` did not make, or if a dataset has changed
/// since then.
pub(super) fn training_text(lab: &Lab, model: &str, observer: &mut dyn Observer) -> Result<PathBuf> {
    let location = Location::find(lab.root(), model)?;
    let name = FolderName::new("--model", &location.name())?;
    let (path, card) = match &location {
        Location::Folder { path, .. } if path.join(CORPUS_FILE).is_file() => {
            return Ok(path.join(CORPUS_FILE));
        }
        Location::Folder { path, .. } => (path.join("card.json"), Card::load(&path.join("card.json"))?),
        Location::Bundled => {
            let path = PathBuf::from("card.json of the bundled model");
            let card = Card::parse(&path, BUNDLED_CARD.as_bytes())?;
            (path, Some(card))
        }
        Location::Gguf(path) => (path.clone(), None),
    };
    let Some(written) = card.as_ref().and_then(Written::of) else {
        let found = format!("`{model}`, without a {CORPUS_FILE} or a card of `mappa train`");
        let expected =
            "a model that `mappa train` made; for another one, name files of its training text instead";
        return Err(Error::invalid("--model", found, expected));
    };
    if written.from_weights {
        observer.note(&format!("{name} was trained in several runs; this is the text of the last one"));
    }
    let stage = format!("writing the text of {name}");
    observer.progress(&Progress::counted(&stage, 0, 1));
    let text = written.text(lab, &path, observer)?;
    observer.progress(&Progress::counted(&stage, 1, 1));
    let file = lab.word_vectors(&FolderName::new("--model", &format!("{name}.corpus"))?);
    save_bytes(&file, text.as_bytes())?;
    Ok(file)
}

/// The settings in a card from which a corpus is written.
struct Written {
    /// Each dataset's name and SHA-256.
    datasets: Vec<[String; 2]>,
    sentences: usize,
    seed: u64,
    /// True if the training started from the weights of another one.
    from_weights: bool,
}

impl Written {
    fn of(card: &Card) -> Option<Written> {
        let input = |name: &str| card.inputs.get(name);
        let dataset = |words: &str| {
            let (name, sha256) = words.trim().rsplit_once(' ')?;
            Some([name.to_string(), sha256.to_string()])
        };
        Some(Written {
            datasets: input("datasets")?.split(';').map(dataset).collect::<Option<_>>()?,
            sentences: input("sentences")?.parse().ok()?,
            seed: input("seed")?.parse().ok()?,
            from_weights: input("from")? != "random weights",
        })
    }

    fn text(&self, lab: &Lab, card: &Path, observer: &mut dyn Observer) -> Result<String> {
        let mut datasets: Vec<Dataset> = Vec::new();
        for [name, sha256] in &self.datasets {
            let dataset = find_dataset(lab, name, observer)?;
            if dataset.sha256 != *sha256 {
                let found = format!("another {name} than the one in this lab");
                return Err(Error::bad_file(card, found, "the datasets that the model was trained on"));
            }
            datasets.push(dataset);
        }
        Ok(text_of_stanzas(&Corpus::new(&datasets, self.seed).stanzas(self.sentences)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::bundled;
    use crate::progress::Silent;

    #[test]
    fn the_text_of_the_bundled_model_is_written_from_its_card() {
        let card = Card::parse(Path::new("card.json"), BUNDLED_CARD.as_bytes()).unwrap();
        let written = Written::of(&card).unwrap();
        assert_eq!((written.datasets.len(), written.sentences, written.seed), (13, 28, 8));
        assert!(written.from_weights && Written::of(&Card::new()).is_none());
    }

    #[test]
    fn a_text_without_a_file_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::open(folder.path()).unwrap();
        let model = folder.path().join("models/small");
        for name in ["config.json", "tokenizer.json", "model.safetensors"] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/atlas").join(name);
            std::fs::create_dir_all(&model).unwrap();
            std::fs::copy(from, model.join(name)).unwrap();
        }
        let refusal = training_text(&lab, "small", &mut Silent).unwrap_err().to_string();
        assert!(refusal.contains("without a corpus.txt"), "{refusal}");
        let datasets = vec![bundled("nyc_place").unwrap()];
        let card = |sha256: &str| {
            Card::new()
                .input("datasets", format!("nyc_place {sha256}"))
                .input("sentences", 2)
                .input("seed", 3)
                .input("from", "random weights")
        };
        card("0").save(&model.join("card.json")).unwrap();
        let refusal = training_text(&lab, "small", &mut Silent).unwrap_err().to_string();
        assert!(refusal.contains("another nyc_place"), "{refusal}");
        card(&datasets[0].sha256).save(&model.join("card.json")).unwrap();
        let file = training_text(&lab, "small", &mut Silent).unwrap();
        let expected = text_of_stanzas(&Corpus::new(&datasets, 3).stanzas(2).unwrap());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
        std::fs::write(model.join(CORPUS_FILE), "a text\n").unwrap();
        assert_eq!(training_text(&lab, "small", &mut Silent).unwrap(), model.join(CORPUS_FILE));
    }
}
