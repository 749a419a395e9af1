//! The model that a command works with: its flags, and how it is found.

use super::{hub, suggest, terminal};
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
    /// The model's name in folders and rows of results [default: that of its folder or file].
    #[arg(long, value_name = "NAME", value_parser = |name: &str| folder_name("--model-name", name))]
    pub model_name: Option<String>,
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
        let model = load(lab, &self.name, self.options())?;
        Ok(Model { name: self.model_name.clone().unwrap_or(model.name), ..model })
    }

    /// The flags that are not the usual ones, as they are written.
    pub fn flags(&self) -> String {
        let numbers = (self.dtype, self.device, self.compute);
        suggest::flags((&self.name, self.model_name.as_ref()), numbers)
    }

    /// Options for loading it.
    fn options(&self) -> LoadOptions {
        LoadOptions { precision: self.dtype, device: self.device, compute: self.compute }
    }

    /// What the lab's folders call the model, which need not be there: nothing is read or downloaded.
    pub fn folder_name(&self, lab: &Path) -> Result<String> {
        let name = self.model_name.clone().unwrap_or_else(|| name_in_lab(lab, &self.name));
        folder_name("model", &name)
    }
}

/// The name of a model's folders in the lab, of a model that is given by that name, a path, or a name on the hub.
pub fn name_in_lab(lab: &Path, given: &str) -> String {
    let is_known = |of: &str| !given.contains('/') && lab.join(of).join(given).is_dir();
    if is_known("probes") || is_known("activations") {
        return given.into();
    }
    let path = match Location::find(lab, given) {
        Ok(location) => return location.name(),
        Err(_) => match given.parse::<RepoId>() {
            Ok(repo) => return repo.short_name(),
            Err(_) => Path::new(given),
        },
    };
    let last = path.file_name().map_or(given.into(), |name| name.to_string_lossy().into_owned());
    last.strip_suffix(".gguf").map_or(last.clone(), String::from)
}

/// A model by name, folder or hub name, ready to run.
pub fn load(lab: &Path, name: &str, options: LoadOptions) -> Result<Model> {
    let location = find(lab, name)?;
    let waiting = terminal::spinner(&format!("loading {}", location.name()));
    let model = Model::open(&location, options);
    waiting.finish_and_clear();
    let model = model?;
    if let [first, others @ ..] = &model.unused[..] {
        let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
        terminal::note(&format!(
            "tensors of the model's files that nothing reads: {first}{more}; an adapter's have to be merged first"
        ));
    }
    Ok(Model { given: name.into(), ..model })
}

/// Where a model lies: on this machine, else on the hub, from where it is downloaded.
pub fn find(lab: &Path, name: &str) -> Result<Location> {
    let here = Location::find(lab, name);
    // A path that is there or a single file is never meant for the hub.
    if here.is_ok() || Path::new(name).exists() || name.ends_with(".gguf") {
        return here;
    }
    let Ok(repo) = name.parse::<RepoId>() else { return here };
    match (hub::pull(&repo), here) {
        (Ok(found), _) => Ok(Location::Folder { path: found.folder, name: repo.short_name() }),
        // A name without `org/` is more often one of this lab than one of the hub's oldest repos.
        (Err(failure), Err(here)) if !name.contains('/') => {
            terminal::note(&format!("as a repo on the hub: {failure}"));
            Err(here)
        }
        (Err(failure), _) => Err(failure),
    }
}
