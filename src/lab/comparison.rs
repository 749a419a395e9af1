//! Comparison of two layers, prompts or models: paired differences on the same test entities.

use super::folders::Lab;
use super::placed::{check_fitted_to, check_place};
use super::suggest;
use crate::activations::ActivationStore;
use crate::artefact::{Card, FolderName};
use crate::datasets::TargetKind;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::probes::{PROBES_FILE, best_point};
use crate::probes::{ProbeSet, Resampling, compare};
use crate::results::{ComparisonRow, PREDICTIONS_FILE, PredictionRow, SCORES_FILE, load_unchanged_rows};
use std::path::{Path, PathBuf};

/// A comparison of two sides.
pub struct Comparison {
    /// The folder and hook point of each side.
    pub sides: [(PathBuf, HookPoint); 2],
    /// One row per score and target.
    pub rows: Vec<ComparisonRow>,
}

/// Compares two folders of probes, each `MODEL/DATASET/PROMPT`, optionally followed by `@` and a hook point.
///
/// # Errors
/// [`Error::Invalid`] if a side has no probes, or the targets or test entities differ.
pub fn compare_probes(lab: &Lab, sides: [&str; 2], resampling: Resampling) -> Result<Comparison> {
    let [a, b] = sides;
    let (a, b) = (Side::find(lab, a)?, Side::find(lab, b)?);
    let (kind, other) = (a.probes.about.kind()?, b.probes.about.kind()?);
    if kind != other {
        let words = |kind: &TargetKind| format!("{} in {}", kind.names().join(" and "), kind.unit());
        let found = format!("{} in A, {} in B", words(&kind), words(&other));
        return Err(Error::invalid("probes to compare", found, "probes of the same targets"));
    }
    let rows = compare(&kind, &a.predictions(lab)?, &b.predictions(lab)?, resampling)?;
    Ok(Comparison { sides: [(a.folder, a.point), (b.folder, b.point)], rows })
}

/// A folder of probes and one of its hook points.
struct Side {
    folder: PathBuf,
    point: HookPoint,
    probes: ProbeSet,
}

impl Side {
    fn find(lab: &Lab, text: &str) -> Result<Side> {
        let probed = |path: &str| {
            let folders = [lab.join("probes").join(path), PathBuf::from(path)];
            folders.into_iter().find(|folder| folder.join(PREDICTIONS_FILE).is_file())
        };
        // A revision may also follow an @, so an existing folder takes precedence.
        if let Some(folder) = probed(text) {
            let point = best_point(&load_unchanged_rows(&folder.join(SCORES_FILE))?)?;
            let probes = probes(&folder)?;
            return Ok(Side { folder, point, probes });
        }
        let behind = text.rsplit_once('@').and_then(|(path, point)| Some((probed(path)?, point)));
        let Some((folder, name)) = behind else {
            let expected =
                format!("MODEL/DATASET/PROMPT below {}, with probes", lab.join("probes").display());
            return Err(Error::invalid("folder of probes", text, expected));
        };
        let probes = probes(&folder)?;
        let known: Vec<HookPoint> = probes.points().collect();
        match HookPoint::choose(name, &known)?[..] {
            [point] => Ok(Side { folder, point, probes }),
            ref several => {
                let found = format!("`{name}`, which means {} hook points", several.len());
                Err(Error::invalid("hook point after @", found, "the name of a single hook point"))
            }
        }
    }

    /// The predictions at the hook point: the saved ones, or computed again from the activations.
    fn predictions(&self, lab: &Lab) -> Result<Vec<PredictionRow>> {
        let file = self.folder.join(PREDICTIONS_FILE);
        let rows: Vec<PredictionRow> = load_unchanged_rows(&file)?;
        let name = self.point.to_string();
        if rows.iter().all(|row| row.hook_point == name) {
            return Ok(rows);
        }
        let layer = store_of(lab, &self.folder)?.load(self.point)?;
        let predicted = self.probes.get(self.point)?.probe.predict_all(layer.view());
        let n_targets = self.probes.about.targets.len();
        if rows.len() != predicted.nrows() * n_targets {
            let found = format!("{} rows for {} activations", rows.len(), predicted.nrows());
            let expected = "a prediction per entity; with several folds, only the best layer has predictions";
            return Err(Error::bad_file(file, found, expected));
        }
        let pairs = rows.into_iter().zip(predicted.iter());
        Ok(pairs
            .map(|(row, value)| PredictionRow { hook_point: name.clone(), prediction: *value, ..row })
            .collect())
    }
}

/// Loads the probes of a folder, unless they were changed after they were written.
pub(super) fn probes(folder: &Path) -> Result<ProbeSet> {
    check_place(folder)?;
    let file = folder.join(PROBES_FILE);
    Card::check_beside(&file)?;
    ProbeSet::load(&file)
}

/// The activations that the probes of a folder were fitted to.
///
/// # Errors
/// [`Error::BadFile`] if they are not in the lab; [`Error::CardMismatch`] if they were made from other inputs.
pub(super) fn store_of(lab: &Lab, folder: &Path) -> Result<ActivationStore> {
    let mut parts = folder.iter().rev().map(|part| part.to_string_lossy().into_owned());
    let names = (parts.next(), parts.next(), parts.next());
    let (Some(results), Some(dataset), Some(model)) = names else {
        return Err(Error::invalid("folder of probes", folder.display(), "MODEL/DATASET/PROMPT"));
    };
    // The prompt's name is followed by settings that only results have, such as `.split_random`.
    let (model, dataset) = (&FolderName::new("model", &model)?, &FolderName::new("dataset", &dataset)?);
    let mut prompt = results.as_str();
    loop {
        let store = lab.activations(model, dataset, &FolderName::new("prompt", prompt)?)?;
        if !store.hook_points()?.is_empty() {
            check_fitted_to(folder, &store)?;
            return Ok(store);
        }
        prompt = match prompt.rsplit_once('.') {
            Some((before, _)) => before,
            None => {
                let rest = suggest::flag("dataset", dataset);
                let make = suggest::command_in_error(lab, &suggest::of_name(model), "extract", &rest);
                let advice = format!("activations; make them with `{make}`");
                return Err(Error::bad_file(store.place(), "nothing", advice));
            }
        };
    }
}
