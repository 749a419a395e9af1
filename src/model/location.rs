//! Where a model lies, by the name a user gave.

use super::load::BUNDLED_MODEL;
use crate::artefact::{folder_name, folder_name_of};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

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
    /// A model by path or name: a folder or a GGUF file, else `models/NAME` or `models/NAME.gguf` in the lab,
    /// else the bundled one.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none, naming where it was looked for.
    pub fn find(lab: &Path, name: &str) -> Result<Location> {
        let models = lab.join("models");
        let folders = [PathBuf::from(name), models.join(name)];
        let files = [PathBuf::from(name), models.join(name), models.join(format!("{name}.gguf"))];
        if let Some(path) = folders.into_iter().find(|folder| folder.join("config.json").is_file()) {
            let name = folder_name(
                &format!("name of the model in {:?}", path.display().to_string()),
                &self::name(&path),
            )?;
            return Ok(Location::Folder { name, path });
        }
        if let Some(file) = files.into_iter().find(|path| is_gguf(path) && path.is_file()) {
            folder_name_of("name of the model", &file)?;
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
