//! Finds models by name: in the lab, on this machine, or on the Hugging Face hub.

use super::folders::Lab;
use super::written::{maybe, written};
use crate::artefact::{Card, FolderName};
use crate::error::{Error, Result};
use crate::hub::HubSettings;
use crate::hub::{self, RepoId, Snapshot};
use crate::model::{BUNDLED_MODEL, Compute, DeviceChoice, LoadOptions, Location, Model, Precision};
use crate::progress::{Observer, Progress};
use crate::shown::without_secrets;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::path::Path;

/// Settings of a model: its name, data types and device.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ModelSettings {
    /// A name, a folder, a GGUF file, or a hub name.
    #[serde(rename = "model")]
    pub name: String,
    /// The model's name in folders and result rows; by default the name of its folder or file.
    #[serde(default, deserialize_with = "model_name")]
    pub model_name: Option<FolderName>,
    /// The data type of the weights in memory; by default as stored for a GGUF file, otherwise f32.
    #[serde(default, deserialize_with = "maybe")]
    pub dtype: Option<Precision>,
    /// The device.
    #[serde(default, deserialize_with = "written")]
    pub device: DeviceChoice,
    /// The data type of the blocks' matrix products.
    #[serde(default, deserialize_with = "written")]
    pub compute: Compute,
}

impl Default for ModelSettings {
    fn default() -> ModelSettings {
        ModelSettings::named(BUNDLED_MODEL)
    }
}

impl ModelSettings {
    /// Default settings for the model `name`.
    pub fn named(name: &str) -> ModelSettings {
        ModelSettings {
            name: name.into(),
            model_name: None,
            dtype: None,
            device: DeviceChoice::default(),
            compute: Compute::default(),
        }
    }

    /// Opens the model; downloads it if it is only on the hub.
    ///
    /// # Errors
    /// Those of [`Location::find`], of the hub, and of [`Model::open`].
    pub fn open(&self, lab: &Lab, observer: &mut dyn Observer) -> Result<Model> {
        let location = find(lab, &self.name, observer)?;
        let stage = format!("loading {}", location.name());
        observer.progress(&Progress::counted(&stage, 0, 0));
        let options = LoadOptions { precision: self.dtype, device: self.device, compute: self.compute };
        let model = Model::open(&location, options);
        observer.progress(&Progress::counted(&stage, 1, 1));
        let model = model?;
        if let [first, others @ ..] = &model.unused[..] {
            let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
            observer.note(&format!(
                "unused tensors in the model's files: {first}{more}; merge an adapter into the model first"
            ));
        }
        let name = self.model_name.clone().unwrap_or_else(|| model.name.clone());
        Ok(Model { name, given: self.name.clone(), ..model })
    }

    /// The model's name in the lab's folders; opens and downloads nothing.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] if the name is not a valid folder name.
    pub fn folder_name(&self, lab: &Lab) -> Result<FolderName> {
        self.model_name.clone().map_or_else(|| name_in_lab(lab, &self.name), Ok)
    }
}

/// The name of a model's folders in the lab, for a model given by this name, a path, or a hub name.
///
/// # Errors
/// [`crate::Error::Invalid`] if the name is not a valid folder name.
pub fn name_in_lab(lab: &Lab, given: &str) -> Result<FolderName> {
    let what = "model";
    if let Ok(name) = FolderName::new(what, given) {
        let is_known = |of: &str| lab.join(of).join(&name).is_dir();
        if is_known("probes") || is_known("activations") {
            return Ok(name);
        }
    }
    let path = match Location::find(lab.root(), given) {
        Ok(location) => return FolderName::new(what, &location.name()),
        Err(_) => match given.parse::<RepoId>() {
            Ok(repo) => return FolderName::new(what, &repo.short_name()),
            // The last part of an address is not a name, and may be a secret.
            Err(_) if without_secrets(given) != given => {
                return Err(Error::invalid(
                    what,
                    given,
                    "a name, a folder, a GGUF file or a name on the hub",
                ));
            }
            Err(_) => Path::new(given),
        },
    };
    let last = path.file_name().map_or(given.into(), |name| name.to_string_lossy().into_owned());
    FolderName::new(what, last.strip_suffix(".gguf").unwrap_or(&last))
}

/// Reads the key `model_name`.
fn model_name<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<FolderName>, D::Error> {
    let name = Option::<String>::deserialize(from)?;
    name.map(|name| FolderName::new("model_name", &name)).transpose().map_err(D::Error::custom)
}

/// Finds a model on this machine; otherwise downloads it from the hub.
///
/// # Errors
/// Those of [`Location::find`], and those of the hub.
pub fn find(lab: &Lab, name: &str, observer: &mut dyn Observer) -> Result<Location> {
    let here = Location::find(lab.root(), name);
    // An existing path and a name that ends in `.gguf` never mean the hub.
    if here.is_ok() || Path::new(name).exists() || name.ends_with(".gguf") {
        return here;
    }
    let Ok(repo) = name.parse::<RepoId>() else { return here };
    match (pull(&repo, observer), here) {
        (Ok(found), _) => Ok(Location::Folder { path: found.folder, name: repo.short_name() }),
        // Only the hub's oldest repos have names without `org/`; more often a model of this lab is meant.
        (Err(failure), Err(here)) if !name.contains('/') => {
            observer.note(&format!("as a repo on the hub: {failure}"));
            Err(here)
        }
        (Err(failure), _) => Err(failure),
    }
}

/// Downloads the files of a repo that the cache lacks.
///
/// # Errors
/// Those of [`hub::snapshot`].
pub fn pull(repo: &RepoId, observer: &mut dyn Observer) -> Result<Snapshot> {
    let settings = HubSettings::from_env()?;
    let found = hub::snapshot(repo, &settings, observer)?;
    if let Some(reason) = &found.unchecked {
        observer.note(&format!("{repo} is taken from the cache, at its last known commit: {reason}"));
    }
    Ok(found)
}

/// Adds the data types and the device to a card, unless they are f32 and the CPU; the data type of products is always
/// added for a GGUF file.
pub fn weights_card(model: &Model, card: Card) -> Card {
    let card = match model.precision {
        Precision::F32 => card,
        other => card.input("weights_dtype", other),
    };
    let card = match model.device {
        DeviceChoice::Cpu => card,
        other => card.input("device", other),
    };
    // Cards of GGUF files without `compute` were written by versions that rounded the stream to 8 bits.
    match (model.compute, &model.location) {
        (Compute::F32, Location::Folder { .. } | Location::Bundled) => card,
        (compute, _) => card.input("compute", compute),
    }
}
