//! The model that a command works with: its flags, and how it is found.

use super::hub;
use clap::Args;
use mappa::Result;
use mappa::artefact::folder_name;
use mappa::hub::RepoId;
use mappa::model::{BUNDLED_MODEL, Compute, DeviceChoice, LoadOptions, Location, Model, Precision};
use std::path::Path;

/// Which model, how its weights lie in memory, and where it computes.
#[derive(Args)]
pub struct ChosenModel {
    /// A model's name, folder, GGUF file, or hub name such as EleutherAI/pythia-160m[@revision].
    #[arg(long = "model", value_name = "MODEL", default_value = BUNDLED_MODEL)]
    pub name: String,
    /// Numbers that weights lie in: f32, f16, bf16, or auto (as they are stored); auto for a GGUF file, else f32.
    #[arg(long, value_name = "DTYPE")]
    pub dtype: Option<Precision>,
    /// Where the model computes: cpu, or cuda or metal in a program built with --features cuda or metal.
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    pub device: DeviceChoice,
    /// Numbers that blocks multiply in: f32, bf16 (AVX-512 BF16), or q8 (8 bits beside quantised weights, as llama.cpp).
    #[arg(long, default_value = "f32", value_name = "NUMBERS")]
    pub compute: Compute,
}

impl ChosenModel {
    /// The model, ready to run.
    pub fn load(&self, lab: &Path) -> Result<Model> {
        load(lab, &self.name, self.options())
    }

    /// Options for loading it.
    fn options(&self) -> LoadOptions {
        LoadOptions { precision: self.dtype, device: self.device, compute: self.compute }
    }

    /// What the lab's folders call the model, which need not be there: nothing is read or downloaded.
    pub fn folder_name(&self, lab: &Path) -> Result<String> {
        let path = match Location::find(lab, &self.name) {
            Ok(Location::Folder { name, .. }) => return Ok(name),
            Ok(Location::Bundled) => return Ok(BUNDLED_MODEL.into()),
            Ok(Location::Gguf(path)) => path,
            Err(_) => match self.name.parse::<RepoId>() {
                Ok(repo) => return Ok(repo.short_name()),
                Err(_) => self.name.clone().into(),
            },
        };
        let last = path.file_name().map_or(self.name.clone(), |name| name.to_string_lossy().into_owned());
        folder_name("model", last.strip_suffix(".gguf").unwrap_or(&last))
    }
}

/// A model by name, folder or hub name, ready to run.
pub fn load(lab: &Path, name: &str, options: LoadOptions) -> Result<Model> {
    Model::open(&find(lab, name)?, options)
}

/// Where a model lies: on this machine, else on the hub, from where it is downloaded.
pub fn find(lab: &Path, name: &str) -> Result<Location> {
    let here = Location::find(lab, name);
    // A path that is there, a bare name, or a single file is never meant for the hub.
    if here.is_ok() || !name.contains('/') || Path::new(name).exists() || name.ends_with(".gguf") {
        return here;
    }
    match name.parse::<RepoId>() {
        Ok(repo) => Ok(Location::Folder { path: hub::pull(&repo)?.folder, name: repo.short_name() }),
        Err(_) => here,
    }
}
