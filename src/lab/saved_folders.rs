//! The folders of a model's saved rows: probes, sweeps, lenses.

use super::folders::Lab;
use crate::artefact::FolderName;
use crate::datasets::BUNDLED;
use crate::error::{Error, Result};
use crate::results::{LENS_SCORES_FILE, SCORES_FILE};
use std::path::{Path, PathBuf};

/// The folders of a model's sweeps, by name.
///
/// # Errors
/// [`Error::Io`] naming the folder.
pub fn saved_sweeps(lab: &Lab, model: &FolderName) -> Result<Vec<PathBuf>> {
    folders_with(&lab.sweeps(model), "sweep.csv")
}

/// The folders of a model's lenses that have scores, by name.
///
/// # Errors
/// [`Error::Io`] naming the folder.
pub fn saved_lenses(lab: &Lab, model: &FolderName) -> Result<Vec<PathBuf>> {
    folders_with(&lab.lenses(model), LENS_SCORES_FILE)
}

/// The folders within a folder that have a file of this name, sorted.
fn folders_with(folder: &Path, file: &str) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).map_err(Error::io("read the folder", folder))?;
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    folders.retain(|folder| folder.join(file).is_file());
    folders.sort();
    Ok(folders)
}

/// The datasets for which the lab has a folder of a model's probes, by name.
pub fn probed_datasets(lab: &Lab, model: &FolderName) -> Vec<FolderName> {
    let entries = std::fs::read_dir(lab.probes_of(model)).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        FolderName::new("dataset", &name).ok().filter(|_| entry.path().is_dir())
    });
    let mut names: Vec<FolderName> = names.collect();
    names.sort();
    names
}

/// The order of datasets in figures: the bundled ones first, then the others by name.
pub(super) fn place(dataset: &str) -> (usize, String) {
    (BUNDLED.iter().position(|known| *known == dataset).unwrap_or(BUNDLED.len()), dataset.to_string())
}

/// The datasets of a model with scores in a folder of this name.
pub fn scored_datasets(lab: &Lab, model: &FolderName, results: &FolderName) -> Vec<FolderName> {
    let mut all: Vec<FolderName> = subfolders(&lab.probes_of(model))
        .filter_map(|folder| FolderName::new("dataset", &folder.file_name()?.to_string_lossy()).ok())
        .filter(|dataset| lab.probes(model, dataset, results).join(SCORES_FILE).is_file())
        .collect();
    all.sort_by_key(|dataset| place(dataset));
    all
}

/// The folders within a folder.
pub(super) fn subfolders(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir())
}
