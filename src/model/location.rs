//! Where a model lies, by the name a user gave.

use super::load::BUNDLED_MODEL;
use crate::artefact;
use crate::error::{Error, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What a folder of an adapter made by peft has, and a model's has not.
const ADAPTER: &str = "adapter_config.json";

/// Where a model lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder in Hugging Face layout.
    Folder {
        /// The folder.
        path: PathBuf,
        /// What results call the model.
        name: String,
    },
    /// A GGUF file.
    Gguf(PathBuf),
    /// In the binary.
    Bundled,
}

impl Location {
    /// What results call the model.
    pub fn name(&self) -> String {
        match self {
            Location::Folder { name, .. } => name.clone(),
            Location::Gguf(path) => stem(path),
            Location::Bundled => BUNDLED_MODEL.into(),
        }
    }

    /// A model by path or name: a folder or a GGUF file, else `models/NAME` or `models/NAME.gguf` in the lab,
    /// else the bundled one.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none, naming where it was looked for.
    pub fn find(lab: &Path, name: &str) -> Result<Location> {
        let models = lab.join("models");
        let folders = [PathBuf::from(name), models.join(name)];
        if let Some(adapter) = folders.iter().find(|folder| folder.join(ADAPTER).is_file()) {
            return Err(is_adapter(adapter));
        }
        let files = [PathBuf::from(name), models.join(name), models.join(format!("{name}.gguf"))];
        if let Some(path) = folders.into_iter().find(|folder| folder.join("config.json").is_file()) {
            return Ok(Location::Folder { name: self::name(&path), path });
        }
        if let Some(file) = files.into_iter().find(|path| is_gguf(path) && path.is_file()) {
            return Ok(Location::Gguf(file));
        }
        if name == BUNDLED_MODEL {
            return Ok(Location::Bundled);
        }
        let expected = format!(
            "a folder with config.json, tokenizer.json and model.safetensors, a .gguf file, \
             the name of either in {}, `org/name` on the hub, or `{BUNDLED_MODEL}`",
            models.display()
        );
        Err(Error::invalid("model", name, expected))
    }
}

/// An adapter in place of a model, with the way to a model.
fn is_adapter(folder: &Path) -> Error {
    let path = folder.join(ADAPTER);
    let config: Option<Value> =
        artefact::load_bytes(&path).ok().and_then(|b| serde_json::from_slice(&b).ok());
    let said = |key: &str| Some(config.as_ref()?.get(key)?.as_str()?.to_string());
    let kind = said("peft_type").unwrap_or_else(|| "PEFT".into());
    let base = said("base_model_name_or_path").map_or(String::new(), |base| format!(" of {base}"));
    let found = format!("a {kind} adapter{base}, which is no model by itself");
    let expected = "a model; merge it into its base with peft: AutoPeftModelForCausalLM.from_pretrained(FOLDER)\
                    .merge_and_unload().save_pretrained(MERGED), and give MERGED";
    Error::bad_file(path, found, expected)
}

/// Whether a path names a GGUF file.
pub(super) fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
}

/// What results call the model of a GGUF file: the file's name without its ending.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned())
}

/// What results call the model of a folder: the folder's own name, not that of what a link leads to.
pub(super) fn name(folder: &Path) -> String {
    let named = folder.file_name().map(ToOwned::to_owned);
    // Only `.` and `..` have to be looked up.
    let whole = || folder.canonicalize().ok()?.file_name().map(ToOwned::to_owned);
    named.or_else(whole).map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_link_has_its_own_name_and_a_dot_that_of_the_folder() {
        let lab = tempfile::tempdir().unwrap();
        let (folder, link) = (lab.path().join("model"), lab.path().join("minilm"));
        std::fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        assert_eq!((name(&folder), name(&link)), ("model".into(), "minilm".into()));
        assert_eq!(
            (name(&folder.join(".")), name(&folder.join("../model/"))),
            ("model".into(), "model".into())
        );
        std::fs::create_dir(folder.join("deep")).unwrap();
        assert_eq!(name(&folder.join("deep/..")), "model");
    }
}
