//! A lab: the folder under which all artefacts lie, and their places in it.

use crate::activations::ActivationStore;
use crate::artefact::folder_name;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// The variable that names an object store for activations, in place of the lab's folder.
pub const ACTIVATIONS: &str = "MAPPA_ACTIVATIONS";

/// A folder under which all artefacts lie: datasets, models, activations, probes, figures, sweeps, dictionaries.
///
/// # Examples
/// ```
/// # fn main() -> mappa::Result<()> {
/// let lab = mappa::Lab::open(".")?;
/// assert!(lab.probes("atlas", "art", "empty").ends_with("probes/atlas/art/empty"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lab {
    root: PathBuf,
}

impl Lab {
    /// Opens a lab; its folder is made when the first artefact is saved.
    ///
    /// # Errors
    /// [`Error::BadFile`] if the path is that of a file.
    pub fn open(root: impl Into<PathBuf>) -> Result<Lab> {
        let root = root.into();
        match root.is_file() {
            true => Err(Error::bad_file(root, "a file", "the lab's folder")),
            false => Ok(Lab { root }),
        }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The store of the activations of a model, dataset and prompt: in the lab, or in the object store that
    /// [`ACTIVATIONS`] names.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a name cannot be a folder's.
    pub fn activations(&self, model: &str, dataset: &str, prompt: &str) -> Result<ActivationStore> {
        for (what, name) in [("model", model), ("dataset", dataset), ("prompt", prompt)] {
            folder_name(what, name)?;
        }
        let store = ActivationStore::new(&self.root, model, dataset, prompt);
        match std::env::var(ACTIVATIONS) {
            Ok(address) if !address.is_empty() => store.kept_at(&address),
            _ => Ok(store),
        }
    }

    /// The folder of a model's probes.
    pub fn probes_of(&self, model: &str) -> PathBuf {
        self.root.join("probes").join(model)
    }

    /// The folder of the probes, scores and predictions of a model and dataset; `results` is the prompt's name with the
    /// settings that are not the default.
    pub fn probes(&self, model: &str, dataset: &str, results: &str) -> PathBuf {
        self.probes_of(model).join(dataset).join(results)
    }

    /// The folder of a model's figures; `folder` is that of the results they show.
    pub fn figures(&self, model: &str, folder: &str) -> PathBuf {
        self.root.join("figures").join(model).join(folder)
    }

    /// The folder of a model's sweeps.
    pub fn sweeps(&self, model: &str) -> PathBuf {
        self.root.join("steering").join(model)
    }

    /// The folder of a model's dictionaries, and of the rows about them.
    pub fn features(&self, model: &str) -> PathBuf {
        self.root.join("features").join(model)
    }

    /// A folder below the lab's own.
    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }
}
