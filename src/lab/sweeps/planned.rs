//! The sweeps of an experiment, checked before their probes are fitted.

use super::groups::{gazetteer, name_set};
use super::job::{LatentVector, refuse_duplicates};
use super::report::{latent, prompts};
use super::settings::SweepSettings;
use crate::datasets::Dataset;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::Model;
use crate::progress::Observer;
use crate::steering::{LayerSet, Vectors, check_doses};

/// A sweep whose settings suit the model and the dataset.
pub(crate) struct PlannedSweep {
    /// The settings, with entities replaced by their prompts.
    pub settings: SweepSettings,
    /// The dataset.
    pub dataset: Dataset,
    /// A latent of a dictionary, which replaces the probe's direction.
    pub latent: Option<LatentVector>,
}

impl PlannedSweep {
    /// Checks everything that does not depend on the probes.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the setting; those of the files that the settings name.
    pub(crate) fn new(
        settings: &SweepSettings,
        model: &Model,
        dataset: Dataset,
        observer: &mut dyn Observer,
    ) -> Result<PlannedSweep> {
        let settings = SweepSettings { prompts: prompts(settings, &dataset)?, ..settings.clone() };
        check_doses(&settings.doses)?;
        refuse_duplicates("doses", &settings.doses)?;
        refuse_duplicates("prompts", &settings.texts())?;
        refuse_duplicates("layers", &settings.layers)?;
        let layers: Vec<LayerSet> =
            settings.layers.iter().cloned().chain(settings.layer.map(LayerSet::one)).collect();
        layers.iter().try_for_each(|layers| layers.check(model.spec().n_layers))?;
        let targets = dataset.kind.names();
        // Probes of another folder may have other targets.
        if settings.probes.is_none() && !targets.contains(&settings.target.as_str()) {
            let expected = format!("one of {}", targets.join(", "));
            return Err(Error::invalid("target", &settings.target, expected));
        }
        settings.names.as_ref().map(|choice| name_set(&dataset, choice)).transpose()?;
        settings.read.as_ref().map(|column| gazetteer(&dataset, column)).transpose()?;
        if let Some(file) = &settings.direction {
            let vectors = Vectors::load(file, 0)?;
            let mut blocks = layers.iter().flat_map(LayerSet::blocks);
            blocks.try_for_each(|&l| vectors.get(model.spec(), HookPoint::ResidPost(l)).map(drop))?;
        }
        let latent = latent(&settings, model, observer)?;
        Ok(PlannedSweep { settings, dataset, latent })
    }

    /// The layer sets to steer at; `usual` is the block if the settings name none.
    pub(crate) fn layers(&self, usual: usize) -> Vec<LayerSet> {
        match (&self.settings.layers[..], self.settings.layer, &self.latent) {
            (_, _, Some(latent)) => vec![LayerSet::one(latent.layer)],
            ([], layer, None) => vec![LayerSet::one(layer.unwrap_or(usual))],
            (several, ..) => several.to_vec(),
        }
    }
}
