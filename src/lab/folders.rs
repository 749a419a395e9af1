//! A lab: the folder of all artefacts, and their paths in it.

use crate::activations::ActivationStore;
use crate::artefact::FolderName;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// The environment variable that names an object store for activations, in place of the lab's folder.
pub const ACTIVATIONS: &str = "MAPPA_ACTIVATIONS";

/// A folder for all artefacts: datasets, models, activations, probes, figures, sweeps, dictionaries, lenses.
///
/// # Examples
/// ```
/// # fn main() -> mappa::Result<()> {
/// use mappa::artefact::FolderName;
/// let lab = mappa::Lab::open(".")?;
/// let name = |text| FolderName::new("name", text);
/// assert!(lab.probes(&name("atlas")?, &name("art")?, &name("empty")?).ends_with("probes/atlas/art/empty"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lab {
    root: PathBuf,
}

impl Lab {
    /// Opens a lab; its folder is created when the first artefact is saved.
    ///
    /// # Errors
    /// [`Error::BadFile`] if the path is a file.
    pub fn open(root: impl Into<PathBuf>) -> Result<Lab> {
        let root = root.into();
        match root.is_file() {
            true => Err(Error::bad_file(root, "a file", "the lab's folder")),
            false => Ok(Lab { root }),
        }
    }

    /// The lab's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The store of the activations of a model, dataset and prompt: in the lab, or in the object store that
    /// [`ACTIVATIONS`] names.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the address of the object store is malformed.
    pub fn activations(
        &self,
        model: &FolderName,
        dataset: &FolderName,
        prompt: &FolderName,
    ) -> Result<ActivationStore> {
        let store = ActivationStore::new(&self.root, model, dataset, prompt);
        match std::env::var(ACTIVATIONS) {
            Ok(address) if !address.is_empty() => store.kept_at(&address),
            _ => Ok(store),
        }
    }

    /// The folder of a model's probes.
    pub fn probes_of(&self, model: &FolderName) -> PathBuf {
        self.root.join("probes").join(model)
    }

    /// The folder of the probes, scores and predictions of a model and dataset; `results` is the prompt's name,
    /// followed by settings that are not the default.
    pub fn probes(&self, model: &FolderName, dataset: &FolderName, results: &FolderName) -> PathBuf {
        self.probes_of(model).join(dataset).join(results)
    }

    /// The folder of a model's figures; `folder` is the last folder of the results' path.
    pub fn figures(&self, model: &FolderName, folder: &FolderName) -> PathBuf {
        self.root.join("figures").join(model).join(folder)
    }

    /// The folder of a model's sweeps.
    pub fn sweeps(&self, model: &FolderName) -> PathBuf {
        self.root.join("steering").join(model)
    }

    /// The folder of a model's causal tests.
    pub fn causes(&self, model: &FolderName) -> PathBuf {
        self.root.join("causal").join(model)
    }

    /// The folder of a model's dictionaries and of their result rows.
    pub fn features(&self, model: &FolderName) -> PathBuf {
        self.root.join("features").join(model)
    }

    /// The folder of a model's lenses.
    pub fn lenses(&self, model: &FolderName) -> PathBuf {
        self.root.join("lenses").join(model)
    }

    /// The file of learned word vectors.
    pub fn word_vectors(&self, name: &FolderName) -> PathBuf {
        self.root.join("vectors").join(format!("{name}.txt"))
    }

    /// The folder of a model that the lab itself has.
    pub fn model_folder(&self, name: &FolderName) -> PathBuf {
        self.root.join("models").join(name)
    }

    /// A path inside the lab; the caller checks names from outside with [`FolderName`] first.
    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }
}
