//! A sweep with its rows, for printing and drawing.

use super::super::figures::{Canvas, draw_sweep};
use super::super::folders::Lab;
use super::super::saved_probes::{ProbeChoice, ProbeFinder};
use super::groups::entities;
use super::job::{LatentVector, SweepJob, SweepRows};
use super::settings::SweepSettings;
use crate::datasets::Dataset;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::Model;
use crate::progress::Observer;
use crate::results::SweepRow;
use crate::steering::{LayerSet, RequiredTarget};
use std::path::PathBuf;

/// A sweep with its rows.
pub struct SweepReport {
    /// The settings, with entities replaced by their prompts.
    pub settings: SweepSettings,
    /// The layer sets.
    pub layers: Vec<LayerSet>,
    /// The rows.
    pub rows: Vec<SweepRow>,
    /// The number of layer sets computed by this run.
    pub n_new: usize,
    /// The folder of the rows.
    pub folder: PathBuf,
}

impl SweepReport {
    /// Runs a sweep in its folder of the lab.
    ///
    /// # Errors
    /// Those of the probes and of steering.
    pub fn of(lab: &Lab, job: SweepJob, observer: &mut dyn Observer) -> Result<SweepReport> {
        let folder = lab.sweeps(&job.model.name).join(job.settings.folder()?);
        let SweepRows { rows, n_new } = job.rows(&folder, observer)?;
        Ok(SweepReport { settings: job.settings.clone(), layers: job.layers, rows, n_new, folder })
    }
}

/// Runs a sweep along saved probes, and saves its figures next to its rows.
///
/// # Errors
/// [`Error::Invalid`] if the lab has no such probes, or the settings have no prompts or entities; those of steering.
pub fn sweep(
    lab: &Lab,
    model: &Model,
    settings: &SweepSettings,
    observer: &mut dyn Observer,
) -> Result<SweepReport> {
    let dataset = Some(&settings.dataset).filter(|name| !name.is_empty()).cloned();
    let choice = ProbeChoice { dataset, probes: settings.probes.clone() };
    let finder = ProbeFinder::new(lab, model, &choice);
    let probes = finder.best(&RequiredTarget::of_target(&settings.target))?;
    probes.note_changes(&finder, observer);
    let dataset = finder.dataset(&probes, observer)?;
    let mut settings = settings.clone();
    settings.prompts = prompts(&settings, &dataset)?;
    for prompt in &settings.prompts {
        model.tokenizer.doubled_bos(prompt).iter().for_each(|note| observer.note(note));
    }
    let latent = latent(&settings, model, observer)?;
    let layers = match &latent {
        Some(latent) => vec![LayerSet::one(latent.layer)],
        None if settings.layers.is_empty() => (0..model.spec().n_layers).map(LayerSet::one).collect(),
        None => settings.layers.clone(),
    };
    let job = SweepJob { model, dataset: &dataset, probes: &probes, settings: &settings, layers, latent };
    let report = SweepReport::of(lab, job, observer)?;
    draw_sweep(&report.rows, &mut Canvas::new(report.folder.clone(), observer))?;
    Ok(report)
}

/// The texts of a sweep: its prompts, or the names of entities.
pub(super) fn prompts(settings: &SweepSettings, dataset: &Dataset) -> Result<Vec<String>> {
    match (settings.entities.is_empty(), settings.prompts.is_empty()) {
        (true, true) => Err(Error::invalid("texts to continue", "none", "--prompts or --entities")),
        (true, false) => Ok(settings.prompts.clone()),
        (false, _) => {
            let each = settings.entities.iter().map(|choice| entities(dataset, choice, |e| e.is_test));
            Ok(each.collect::<Result<Vec<_>>>()?.concat())
        }
    }
}

/// The vector of a dictionary's latent, and the block after which it is added.
pub(super) fn latent(
    settings: &SweepSettings,
    model: &Model,
    observer: &mut dyn Observer,
) -> Result<Option<LatentVector>> {
    let Some(feature) = &settings.feature else { return Ok(None) };
    let given = match &settings.layers[..] {
        [layers] if layers.blocks().len() == 1 => Some(HookPoint::ResidPost(layers.first())),
        _ => None,
    };
    match feature.vector(model, given, observer)? {
        (HookPoint::ResidPost(layer), vector) => {
            Ok(Some(LatentVector { name: feature.to_string(), layer, vector }))
        }
        (other, _) => Err(Error::invalid(
            "dictionary",
            format!("a dictionary of {other}"),
            "a dictionary of a block's output",
        )),
    }
}
