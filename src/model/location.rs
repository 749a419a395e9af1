//! Where a model lies, by the name a user gave.

use super::checkpoint::has_weights;
use super::gguf;
use super::load::BUNDLED_MODEL;
use crate::artefact::{self, folder_name};
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
    /// A GGUF file, or the first of several.
    Gguf(PathBuf),
    /// In the binary.
    Bundled,
}

impl Location {
    /// A model by path or name: a folder or a GGUF file, else `models/NAME` or `models/NAME.gguf` in the lab,
    /// else the bundled one. Of a model in several GGUF files the first stands for all.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none, naming where it was looked for, or a folder with several GGUF models.
    pub fn find(lab: &Path, name: &str) -> Result<Location> {
        let models = lab.join("models");
        let folders = [PathBuf::from(name), models.join(name)];
        if let Some(adapter) = folders.iter().find(|folder| folder.join(ADAPTER).is_file()) {
            return Err(is_adapter(adapter));
        }
        for path in [PathBuf::from(name), models.join(name), models.join(format!("{name}.gguf"))] {
            if let Some(found) = at(&path)? {
                let what = format!("name of the model in {:?}", path.display().to_string());
                folder_name(&what, &found.name())?;
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

    /// What results call the model.
    pub fn name(&self) -> String {
        match self {
            Location::Folder { name, .. } => name.clone(),
            Location::Gguf(path) => stem(path),
            Location::Bundled => BUNDLED_MODEL.into(),
        }
    }
}

/// The model at a path, if there is one: of a folder with a config.json and no other weights than GGUF files, that of these.
///
/// # Errors
/// [`Error::Invalid`] for a folder with several GGUF models and nothing else.
pub(super) fn at(path: &Path) -> Result<Option<Location>> {
    if is_gguf(path) && path.is_file() {
        return Ok(Some(Location::Gguf(gguf::first_part(path))));
    }
    let has_config = path.join("config.json").is_file();
    let file = if has_config && has_weights(path) { None } else { gguf_in(path)? };
    if let Some(file) = file {
        return Ok(Some(Location::Gguf(file)));
    }
    Ok(has_config.then(|| Location::Folder { name: name(path), path: path.to_path_buf() }))
}

/// The GGUF files of a folder: the first of each model, in order.
fn all_gguf(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| is_gguf(path) && path.is_file()).collect();
    files.sort();
    files.dedup_by_key(|path| stem(path));
    files
}

/// The one GGUF model of a folder; projectors and others that are none do not count beside it.
fn gguf_in(folder: &Path) -> Result<Option<PathBuf>> {
    let mut files = all_gguf(folder);
    if files.len() > 1 {
        let models: Vec<PathBuf> = files.iter().filter(|path| !gguf::is_no_model(path)).cloned().collect();
        files = if models.is_empty() { files } else { models };
    }
    if files.len() < 2 {
        return Ok(files.pop());
    }
    let names: Vec<String> = files.iter().map(|path| stem(path)).collect();
    let found = format!("{} with {} GGUF models: {}", folder.display(), files.len(), names.join(", "));
    Err(Error::invalid("model", found, "a folder with one, or the path of one of these files"))
}

/// The first part of a model in several GGUF files, by the path of all without number and ending, or by that of one.
fn first_of(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let wanted = if is_gguf(path) { path.file_stem() } else { path.file_name() }?.to_str()?;
    // A part that is not there stands for its model, which then says so.
    let wanted = gguf::PartName::of(path).map_or_else(|| wanted.to_string(), |part| part.model);
    let is_wanted = |path: &PathBuf| gguf::PartName::of(path).is_some_and(|part| part.model == wanted);
    all_gguf(folder).into_iter().find(is_wanted)
}

/// An adapter in place of a model, with the way to a model.
fn is_adapter(folder: &Path) -> Error {
    let path = folder.join(ADAPTER);
    let config: Option<Value> =
        artefact::load_text(&path).ok().and_then(|text| serde_json::from_str(&text).ok());
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

/// What results call the model of a GGUF file: the file's name without its ending, and without a part's number.
pub(super) fn stem(path: &Path) -> String {
    let whole =
        || path.file_stem().map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned());
    gguf::PartName::of(path).map_or_else(whole, |part| part.model)
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
