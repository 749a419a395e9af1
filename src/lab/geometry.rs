//! The geometry of probes: principal components, and angles between probes.

use super::comparison::{probes, store_of};
use super::folders::Lab;
use super::suggest;
use crate::activations::ActivationStore;
use crate::artefact::FolderName;
use crate::error::{Error, Result};
use crate::probes::{
    Decomposition, PROBES_FILE, ProbeSet, cosines_of_datasets, cosines_of_layers, cosines_of_targets,
    participation_rows,
};
use crate::results::{
    CosineRow, DATASET_COSINES_FILE, LAYER_COSINES_FILE, PARTICIPATION_FILE, ParticipationRow,
    TARGET_COSINES_FILE, save_rows,
};
use std::path::{Path, PathBuf};

/// The geometry of one dataset's probes.
pub struct Geometry {
    /// The dataset.
    pub dataset: FolderName,
    /// Participation ratios of the stream and of each prediction.
    pub participation: Vec<ParticipationRow>,
    /// Cosines between the probes of the targets.
    pub targets: Vec<CosineRow>,
    /// The folder of the rows.
    pub folder: PathBuf,
}

/// Computes and saves the geometry of a model's probes under a prompt; if `datasets` is empty, of all probed datasets.
///
/// # Errors
/// [`Error::Invalid`] if a dataset has no probes; those of the activations.
pub fn geometry(lab: &Lab, model: &str, prompt: &str, datasets: &[String]) -> Result<Vec<Geometry>> {
    let (model, prompt) = (&FolderName::new("--model", model)?, &FolderName::new("--prompt", prompt)?);
    let datasets = match datasets.is_empty() {
        true => probed(&lab.probes_of(model), prompt)?,
        false => datasets.to_vec(),
    };
    let named = datasets.iter().map(|dataset| FolderName::new("--dataset", dataset));
    let datasets = named.collect::<Result<Vec<FolderName>>>()?;
    let folder = |dataset: &FolderName| lab.probes(model, dataset, prompt);
    let missing = |dataset: &&FolderName| !folder(dataset).join(PROBES_FILE).is_file();
    if let Some(dataset) = datasets.iter().find(missing) {
        let found = format!("no probes in {}", folder(dataset).display());
        let (model, rest) = (suggest::of_name(model), suggest::flag("dataset", dataset));
        let make = suggest::command_in_error(lab, &model, "probe", &rest);
        let expected = format!("a probed dataset; run `{make}` first");
        return Err(Error::invalid("--dataset", found, expected));
    }
    let load = |dataset: &FolderName| probes(&folder(dataset));
    let sets = datasets.iter().map(load).collect::<Result<Vec<_>>>()?;
    let mut all = Vec::new();
    for (dataset, set) in datasets.iter().zip(&sets) {
        let out = folder(dataset).join("geometry");
        let participation = participation(&store_of(lab, &folder(dataset))?, set)?;
        let mut others = Vec::new();
        for other in sets.iter().filter(|other| other.about.dataset != set.about.dataset) {
            others.extend(cosines_of_datasets(set, other)?);
        }
        let targets = cosines_of_targets(set)?;
        save_rows(&out.join(PARTICIPATION_FILE), &participation)?;
        save_rows(&out.join(LAYER_COSINES_FILE), &cosines_of_layers(set)?)?;
        save_rows(&out.join(TARGET_COSINES_FILE), &targets)?;
        save_rows(&out.join(DATASET_COSINES_FILE), &others)?;
        all.push(Geometry { dataset: dataset.clone(), participation, targets, folder: out });
    }
    Ok(all)
}

/// Finds the datasets with probes of a model under a prompt.
fn probed(model: &Path, prompt: &FolderName) -> Result<Vec<String>> {
    let has_probes = |path: &PathBuf| path.join(prompt).join(PROBES_FILE).is_file();
    let entries = match model.is_dir() {
        true => Some(std::fs::read_dir(model).map_err(Error::io("read the folder", model))?),
        false => None,
    };
    let mut names: Vec<String> = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(has_probes)
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    if names.is_empty() {
        let found = format!("no probes of prompt {prompt} in {}", model.display());
        return Err(Error::invalid("--model", found, "a probed model; run `mappa probe` first"));
    }
    Ok(names)
}

fn participation(store: &ActivationStore, set: &ProbeSet) -> Result<Vec<ParticipationRow>> {
    let mut rows = Vec::new();
    for point in set.points() {
        let layer = store.load(point)?;
        let entities: Vec<usize> = (0..layer.nrows()).collect();
        let decomposition = Decomposition::of_rows(layer.view(), &entities)?;
        rows.extend(participation_rows(set, point, &decomposition)?);
    }
    Ok(rows)
}
