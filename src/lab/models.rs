//! Models by name: of the lab, of this machine, or of the hub.

use super::folders::Lab;
use super::written::{maybe, written};
use crate::artefact::{Card, folder_name};
use crate::error::Result;
use crate::hub::HubSettings;
use crate::hub::{self, RepoId, Snapshot};
use crate::model::{BUNDLED_MODEL, Compute, DeviceChoice, LoadOptions, Location, Model, Precision};
use crate::progress::{Observer, Progress, ProgressUnit};
use serde::Deserialize;
use std::path::Path;

/// The model, the numbers its weights are held in, and the device it computes on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ModelSettings {
    /// A name, a folder, a GGUF file, or a name on the hub.
    #[serde(rename = "model")]
    pub name: String,
    /// The model's name in folders and result rows; by default that of its folder or file.
    #[serde(default)]
    pub model_name: Option<String>,
    /// The numbers that weights are held in; by default as they are stored for a GGUF file, else f32.
    #[serde(default, deserialize_with = "maybe")]
    pub dtype: Option<Precision>,
    /// The device.
    #[serde(default, deserialize_with = "written")]
    pub device: DeviceChoice,
    /// The numbers that blocks multiply in.
    #[serde(default, deserialize_with = "written")]
    pub compute: Compute,
}

impl Default for ModelSettings {
    fn default() -> ModelSettings {
        ModelSettings::named(BUNDLED_MODEL)
    }
}

impl ModelSettings {
    /// Default settings for a model of that name.
    pub fn named(name: &str) -> ModelSettings {
        ModelSettings {
            name: name.into(),
            model_name: None,
            dtype: None,
            device: DeviceChoice::default(),
            compute: Compute::default(),
        }
    }

    /// Opens the model, downloading it if it is on the hub alone.
    ///
    /// # Errors
    /// Those of [`Location::find`], of the hub, and of [`Model::open`].
    pub fn open(&self, lab: &Lab, observer: &mut dyn Observer) -> Result<Model> {
        let location = find(lab, &self.name, observer)?;
        let stage = format!("loading {}", location.name());
        let unit = ProgressUnit::Count;
        observer.progress(&Progress { stage: &stage, done: 0, total: 0, unit, detail: "" });
        let options = LoadOptions { precision: self.dtype, device: self.device, compute: self.compute };
        let model = Model::open(&location, options);
        observer.progress(&Progress { stage: &stage, done: 1, total: 1, unit, detail: "" });
        let model = model?;
        if let [first, others @ ..] = &model.unused[..] {
            let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
            observer.note(&format!(
                "tensors of the model's files that nothing reads: {first}{more}; an adapter's have to be merged first"
            ));
        }
        let name = self.model_name.clone().unwrap_or_else(|| model.name.clone());
        Ok(Model { name, given: self.name.clone(), ..model })
    }

    /// The model's name in the lab's folders; nothing is opened or downloaded.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] if the name cannot be a folder's.
    pub fn folder_name(&self, lab: &Lab) -> Result<String> {
        let name = self.model_name.clone().unwrap_or_else(|| name_in_lab(lab, &self.name));
        folder_name("model", &name)
    }
}

/// The name of a model's folders in the lab, for a model given by that name, a path, or a name on the hub.
pub fn name_in_lab(lab: &Lab, given: &str) -> String {
    let is_known = |of: &str| !given.contains('/') && lab.join(of).join(given).is_dir();
    if is_known("probes") || is_known("activations") {
        return given.into();
    }
    let path = match Location::find(lab.root(), given) {
        Ok(location) => return location.name(),
        Err(_) => match given.parse::<RepoId>() {
            Ok(repo) => return repo.short_name(),
            Err(_) => Path::new(given),
        },
    };
    let last = path.file_name().map_or(given.into(), |name| name.to_string_lossy().into_owned());
    last.strip_suffix(".gguf").map_or(last.clone(), String::from)
}

/// Finds a model on this machine, else on the hub, from where it is downloaded.
///
/// # Errors
/// Those of [`Location::find`], and those of the hub.
pub fn find(lab: &Lab, name: &str, observer: &mut dyn Observer) -> Result<Location> {
    let here = Location::find(lab.root(), name);
    // A path that exists, or a single file, is never meant for the hub.
    if here.is_ok() || Path::new(name).exists() || name.ends_with(".gguf") {
        return here;
    }
    let Ok(repo) = name.parse::<RepoId>() else { return here };
    match (pull(&repo, observer), here) {
        (Ok(found), _) => Ok(Location::Folder { path: found.folder, name: repo.short_name() }),
        // A name without `org/` is more often one of this lab than one of the hub's oldest repos.
        (Err(failure), Err(here)) if !name.contains('/') => {
            observer.note(&format!("as a repo on the hub: {failure}"));
            Err(here)
        }
        (Err(failure), _) => Err(failure),
    }
}

/// Downloads a repo's files where the cache lacks them.
///
/// # Errors
/// Those of [`hub::snapshot`].
pub fn pull(repo: &RepoId, observer: &mut dyn Observer) -> Result<Snapshot> {
    let settings = HubSettings::from_env()?;
    let found = hub::snapshot(repo, &settings, observer)?;
    if let Some(reason) = &found.unchecked {
        observer.note(&format!("{repo} is taken from the cache as it was last seen: {reason}"));
    }
    Ok(found)
}

/// Notes in a card how weights are held and multiplied, where that is not in f32 and on the CPU.
pub fn weights_card(model: &Model, card: Card) -> Card {
    let card = match model.precision {
        Precision::F32 => card,
        other => card.input("weights_dtype", other),
    };
    let card = match model.device {
        DeviceChoice::Cpu => card,
        other => card.input("device", other),
    };
    // Cards of GGUF files without `compute` come from versions that rounded the stream to 8 bits.
    match (model.compute, &model.location) {
        (Compute::F32, Location::Folder { .. } | Location::Bundled) => card,
        (compute, _) => card.input("compute", compute),
    }
}
