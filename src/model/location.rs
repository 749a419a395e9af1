//! The location of a model, from the name that a user gave.

use super::gguf::{PartName, first_part, is_no_model};
use super::weights::has_weights;
use crate::artefact::{self, FolderName};
use crate::error::{Error, Result};
use crate::limits::CONFIG_BYTES;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The name of the model inside the binary.
pub const BUNDLED_MODEL: &str = "atlas";

/// The file that marks a folder as a peft adapter.
const ADAPTER: &str = "adapter_config.json";

/// The location of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder in Hugging Face layout.
    Folder {
        /// The folder.
        path: PathBuf,
        /// The model's name in results.
        name: String,
    },
    /// A GGUF file, or the first of several.
    Gguf(PathBuf),
    /// Inside the binary.
    Bundled,
}

impl Location {
    /// Finds a model by path or name: a folder or a GGUF file, else `models/NAME` or `models/NAME.gguf` in the lab,
    /// else the bundled one. A model in several GGUF files is found by the first of them.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none, if its name cannot be a folder's name, or for a folder with several GGUF
    /// models; [`Error::BadFile`] for a peft adapter.
    pub fn find(lab: &Path, name: &str) -> Result<Location> {
        let models = lab.join("models");
        let folders = [PathBuf::from(name), models.join(name)];
        if let Some(adapter) = folders.iter().find(|folder| folder.join(ADAPTER).is_file()) {
            return Err(is_adapter(adapter));
        }
        for path in [PathBuf::from(name), models.join(name), models.join(format!("{name}.gguf"))] {
            if let Some(found) = at(&path)? {
                let what = format!("name of the model in {:?}", path.display().to_string());
                FolderName::new(&what, &found.name())?;
                return Ok(found);
            }
        }
        for path in [PathBuf::from(name), models.join(name)] {
            if let Some(first) = first_of(&path) {
                return Ok(Location::Gguf(first));
            }
        }
        if name == BUNDLED_MODEL {
            return Ok(Location::Bundled);
        }
        let expected = format!(
            "a folder with config.json, tokenizer.json and model.safetensors, a .gguf file or a folder with one, \
             the name of any of these in {}, `org/name` on the hub, or `{BUNDLED_MODEL}`",
            models.display()
        );
        Err(Error::invalid("model", name, expected))
    }

    /// The model's name in results.
    pub fn name(&self) -> String {
        match self {
            Location::Folder { name, .. } => name.clone(),
            Location::Gguf(path) => stem(path),
            Location::Bundled => BUNDLED_MODEL.into(),
        }
    }
}

/// The model at a path, if there is one. If a folder's only weights are GGUF files, the model is the GGUF file, even
/// next to a config.json.
///
/// # Errors
/// [`Error::Invalid`] for a folder with several GGUF models and no other weights.
pub(crate) fn at(path: &Path) -> Result<Option<Location>> {
    if is_gguf(path) && path.is_file() {
        return Ok(Some(Location::Gguf(first_part(path))));
    }
    let has_config = path.join("config.json").is_file();
    let file = if has_config && has_weights(path) { None } else { gguf_in(path)? };
    if let Some(file) = file {
        return Ok(Some(Location::Gguf(file)));
    }
    Ok(has_config.then(|| Location::Folder { name: name(path), path: path.to_path_buf() }))
}

/// The GGUF files of a folder, sorted by name: only the first file of each model.
fn all_gguf(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| is_gguf(path) && path.is_file()).collect();
    files.sort();
    files.dedup_by_key(|path| stem(path));
    files
}

/// The only GGUF model of a folder. Projectors and other GGUF files that are not models count only if there is no
/// model.
fn gguf_in(folder: &Path) -> Result<Option<PathBuf>> {
    let mut files = all_gguf(folder);
    if files.len() > 1 {
        let models: Vec<PathBuf> = files.iter().filter(|path| !is_no_model(path)).cloned().collect();
        files = if models.is_empty() { files } else { models };
    }
    if files.len() < 2 {
        return Ok(files.pop());
    }
    let names: Vec<String> = files.iter().map(|path| stem(path)).collect();
    let found = format!("{} with {} GGUF models: {}", folder.display(), files.len(), names.join(", "));
    Err(Error::invalid("model", found, "a folder with one GGUF model, or the path of one of these files"))
}

/// The first part of a model in several GGUF files, from a path without number and extension, or from the path of a
/// part.
fn first_of(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let wanted = if is_gguf(path) { path.file_stem() } else { path.file_name() }?.to_str()?;
    // The path of a missing part leads to its model, which reports the missing part.
    let wanted = PartName::of(path).map_or_else(|| wanted.to_string(), |part| part.model);
    let is_wanted = |path: &PathBuf| PartName::of(path).is_some_and(|part| part.model == wanted);
    all_gguf(folder).into_iter().find(is_wanted)
}

/// The error for an adapter instead of a model; it says how to merge the adapter into its base.
fn is_adapter(folder: &Path) -> Error {
    let path = folder.join(ADAPTER);
    let config: Option<Value> =
        artefact::load_bytes(&path).and_then(|bytes| artefact::json_of(&path, &bytes, CONFIG_BYTES, "")).ok();
    let field = |key: &str| Some(config.as_ref()?.get(key)?.as_str()?.to_string());
    let kind = field("peft_type").unwrap_or_else(|| "PEFT".into());
    let base = field("base_model_name_or_path").map_or(String::new(), |base| format!(" of {base}"));
    let found = format!("a {kind} adapter{base}, which is not a model by itself");
    let expected = "a model; merge the adapter into its base with peft: \
                    AutoPeftModelForCausalLM.from_pretrained(FOLDER).merge_and_unload().save_pretrained(MERGED), \
                    and use MERGED";
    Error::bad_file(path, found, expected)
}

/// True if a path names a GGUF file.
pub(crate) fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
}

/// The name of a GGUF file's model in results: the file's name without extension and part number.
fn stem(path: &Path) -> String {
    let whole =
        || path.file_stem().map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned());
    PartName::of(path).map_or_else(whole, |part| part.model)
}

/// The name of a folder's model in results: the folder's own name, not that of a link's target.
pub(crate) fn name(folder: &Path) -> String {
    let named = folder.file_name().map(ToOwned::to_owned);
    // Only `.` and `..` have to be resolved.
    let whole = || folder.canonicalize().ok()?.file_name().map(ToOwned::to_owned);
    named.or_else(whole).map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_link_has_its_own_name_and_a_dot_the_name_of_its_folder() {
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
