//! A sweep and its folder: computes the missing layers, reuses the others, and saves all rows.

use super::super::models::weights_card;
use super::super::saved_probes::SavedProbes;
use super::groups::{gazetteer, name_set};
use super::settings::SweepSettings;
use crate::artefact::{self, Card};
use crate::datasets::{Dataset, TargetKind};
use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::model::Model;
use crate::progress::Observer;
use crate::results::{SWEEP_FILE, SweepRow, load_rows, save_rows};
use crate::steering::{DoseSweep, LayerSet, SweepDirection, UnitDirection, Vectors, sweep};
use std::path::Path;

/// A sweep's settings with the model, dataset and probes to run it on.
pub struct SweepJob<'a> {
    /// The model.
    pub model: &'a Model,
    /// The dataset of the probes; its columns give names and answers.
    pub dataset: &'a Dataset,
    /// The probes that steer and predict.
    pub probes: &'a SavedProbes,
    /// The settings.
    pub settings: &'a SweepSettings,
    /// The layer sets to steer at, one after the other; a set may join several layers.
    pub layers: Vec<LayerSet>,
    /// A latent of a dictionary, which replaces the probe's direction.
    pub latent: Option<LatentVector>,
}

/// The decoder vector of a latent of a sparse dictionary at a block's output.
pub struct LatentVector {
    /// The dictionary and the latent.
    pub name: String,
    /// The block.
    pub layer: usize,
    /// The vector.
    pub vector: Vec<f64>,
}

/// The rows of a sweep.
pub struct SweepRows {
    /// The rows of all layers.
    pub rows: Vec<SweepRow>,
    /// The number of layer sets computed by this run.
    pub n_new: usize,
}

impl SweepJob<'_> {
    /// Computes the rows of all layers and saves them in a folder, one layer at a time; reuses layers that the
    /// folder has.
    ///
    /// # Errors
    /// [`crate::Error::CardMismatch`] if the folder contains another sweep; those of steering.
    pub fn rows(&self, folder: &Path, observer: &mut dyn Observer) -> Result<SweepRows> {
        let spec = self.model.spec();
        self.layers.iter().try_for_each(|layers| layers.check(spec.n_layers))?;
        let (card, card_file) = (self.card()?, folder.join("card.json"));
        let way_out = "--called NAME gives this sweep a folder of its own, or move the folder away";
        let mut is_begun = card.is_done(&card_file).map_err(|e| e.with_way_out(way_out))?;
        let (mut rows, mut n_new): (Vec<SweepRow>, usize) = (Vec::new(), 0);
        for layers in &self.layers {
            let file = folder.join("layers").join(format!("{layers}.csv"));
            if !file.is_file() {
                let rows = self.layer(layers, observer)?;
                // The card is saved after the first layer succeeded, so that a refused sweep does not reserve the
                // folder.
                if !std::mem::replace(&mut is_begun, true) {
                    card.save(&card_file)?;
                }
                save_rows(&file, &rows)?;
                n_new += 1;
            }
            rows.extend(load_rows::<SweepRow>(&file)?);
        }
        save_rows(&folder.join(SWEEP_FILE), &rows)?;
        Ok(SweepRows { rows, n_new })
    }

    /// The card with all inputs that determine the rows of a layer.
    fn card(&self) -> Result<Card> {
        let (model, plan) = (self.model, self.settings);
        let card = weights_card(model, Card::new())
            .input("weights_sha256", &model.weights_sha256)
            .input("tokenizer_sha256", &model.tokenizer.sha256)
            .input("dataset_sha256", &self.dataset.sha256)
            .input("probes_sha256", artefact::hash_file(&self.probes.file())?)
            .input("target", &plan.target)
            .input("doses", format!("{:?}", plan.doses))
            .input("along", format!("{:?}", plan.along))
            .input("at", format!("{:?}", plan.at))
            .input("random", plan.random)
            .input("tokens", plan.tokens)
            .input("names", plan.names.as_deref().unwrap_or_default())
            .input("read", plan.read.as_deref().unwrap_or_default())
            .input("chat", model.tokenizer.chat_sha256().is_some())
            .input("template", &plan.template)
            .input("prompts", plan.texts().join(" | "));
        let card = match &self.latent {
            Some(latent) => card.input("feature", &latent.name),
            None => card,
        };
        Ok(match &plan.direction {
            Some(file) => card.input("direction_sha256", artefact::hash(&artefact::load_bytes(file)?)),
            None => card,
        })
    }

    /// The directions at the given layers.
    fn directions(&self, layers: &LayerSet) -> Result<Vec<SweepDirection>> {
        if let Some(latent) = &self.latent {
            let at_layer = [(latent.layer, UnitDirection::of(&latent.vector)?)].into();
            return Ok(vec![SweepDirection::Named("probe".into(), at_layer)]);
        }
        let Some(file) = &self.settings.direction else {
            return Ok(self.settings.along.iter().map(|along| SweepDirection::Probe(*along)).collect());
        };
        let vectors = Vectors::load(file, 0)?;
        let at_block = |&block: &usize| {
            let vector = vectors.get(self.model.spec(), HookPoint::ResidPost(block))?;
            Ok((block, UnitDirection::of(vector)?))
        };
        Ok(vec![SweepDirection::Named(
            "probe".into(),
            layers.blocks().iter().map(at_block).collect::<Result<_>>()?,
        )])
    }

    /// The rows of one layer set; its layers are changed together.
    fn layer(&self, layers: &LayerSet, observer: &mut dyn Observer) -> Result<Vec<SweepRow>> {
        let (dataset, plan, directions) = (self.dataset, self.settings, self.directions(layers)?);
        let names = plan.names.as_ref().map(|choice| name_set(dataset, choice)).transpose()?;
        let gazetteer = plan.read.as_ref().map(|column| gazetteer(dataset, column)).transpose()?;
        let whole = DoseSweep {
            kind: match dataset.kind {
                TargetKind::Place => "place",
                TargetKind::Year => "year",
                TargetKind::Quantity(_) => "quantity",
            },
            probes: &self.probes.set,
            target: &plan.target,
            layers,
            directions: &directions,
            doses: &plan.doses,
            prompts: &plan.texts(),
            parts: &plan.parts(),
            at: plan.at.clone(),
            n_random: plan.random,
            n_tokens: plan.tokens,
            names: names.as_ref(),
            gazetteer: gazetteer.as_ref(),
        };
        sweep(self.model, &whole, observer)
    }
}
