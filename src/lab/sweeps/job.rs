//! A sweep and its folder: computes the missing layers, reuses the others, and saves all rows.

use super::super::models::weights_card;
use super::super::saved_probes::SavedProbes;
use super::groups::{gazetteer, name_set};
use super::settings::SweepSettings;
use crate::artefact::{self, Card, Lock};
use crate::datasets::{Dataset, TargetKind};
use crate::error::{Error, Result};
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

/// Inputs that cards of earlier versions lack.
const ADDED_INPUTS: [&str; 7] = [
    "config_sha256",
    "bos",
    "end_tokens",
    "chat_template_sha256",
    "chat_date",
    "prompts_sha256",
    "feature_sha256",
];

/// The inputs that the card of an earlier version lacks; the card of another sweep is refused.
fn unrecorded(card: &Card, found: &Card, path: &Path) -> Result<Vec<String>> {
    const WAY_OUT: &str = "`called` in the sweep of an experiment, or --called NAME, gives this sweep a folder of \
                           its own; or move the folder away";
    card.unrecorded_in(found, path, &ADDED_INPUTS).map_err(|e| match &e {
        Error::CardMismatch { field, .. } if field == "probes_sha256" => e.with_way_out(format!(
            "the same settings, but other probes: of another prompt or split, or fitted again; {WAY_OUT}"
        )),
        _ => e.with_way_out(WAY_OUT),
    })
}

/// Returns true if the folder has this sweep's card; false if there is no card, or one of an earlier version that lacks
/// inputs, so that the sweep is made again.
fn is_begun(card: &Card, path: &Path, observer: &mut dyn Observer) -> Result<bool> {
    let Some(found) = Card::load(path)? else { return Ok(false) };
    let unrecorded = unrecorded(card, &found, path)?;
    if !unrecorded.is_empty() {
        let (path, names) = (path.display(), unrecorded.join(", "));
        observer.note(&format!(
            "{path} is of an earlier version, which did not record {names}: the sweep is made again"
        ));
    }
    Ok(unrecorded.is_empty())
}

/// Saves the card of a sweep, if it is not there yet; refuses a folder in which another sweep has begun meanwhile.
fn begin(card: &Card, path: &Path) -> Result<()> {
    let _lock = Lock::take_file(path)?;
    match Card::load(path)? {
        Some(found) if unrecorded(card, &found, path)?.is_empty() => Ok(()),
        _ => card.save(path),
    }
}

/// Refuses a value that is given twice: the rows of the two could not be distinguished.
pub(super) fn refuse_duplicates<T: PartialEq + std::fmt::Display>(what: &str, values: &[T]) -> Result<()> {
    let mut rest = values;
    while let Some((first, others)) = rest.split_first() {
        if others.contains(first) {
            return Err(Error::invalid(what, format!("`{first}` twice"), "each value once"));
        }
        rest = others;
    }
    Ok(())
}

/// Saves the rows of all layers, and the hash of their file in the card, unless both are there already.
fn save_all(folder: &Path, rows: &[SweepRow]) -> Result<()> {
    let (file, path) = (folder.join(SWEEP_FILE), folder.join("card.json"));
    let card = Card::load(&path)?.unwrap_or_default();
    let is_there =
        artefact::is_there(&file)? && card.files.contains_key(SWEEP_FILE) && card.check_file(&file).is_ok();
    if is_there && load_rows::<SweepRow>(&file)? == rows {
        return Ok(());
    }
    save_rows(&file, rows)?;
    card.with_files(folder, &[SWEEP_FILE])?.save(&path)
}

impl SweepJob<'_> {
    /// Computes the rows of all layers and saves them in a folder, one layer at a time; reuses layers that the
    /// folder has.
    ///
    /// # Errors
    /// [`crate::Error::CardMismatch`] if the folder contains another sweep; those of steering.
    pub fn rows(&self, folder: &Path, observer: &mut dyn Observer) -> Result<SweepRows> {
        let spec = self.model.spec();
        refuse_duplicates("doses", &self.settings.doses)?;
        refuse_duplicates("prompts", &self.settings.texts())?;
        refuse_duplicates("layers", &self.layers)?;
        self.layers.iter().try_for_each(|layers| layers.check(spec.n_layers))?;
        let (card, card_file) = (self.card()?, folder.join("card.json"));
        let mut is_begun = is_begun(&card, &card_file, observer)?;
        let (mut rows, mut n_new): (Vec<SweepRow>, usize) = (Vec::new(), 0);
        for layers in &self.layers {
            let (of_layers, name) = (folder.join("layers"), format!("{layers}.csv"));
            // Each layer has a card of its own, so that several processes may sweep different layers.
            let own = (card.clone().input("layers", layers), of_layers.join(format!("{layers}.json")));
            let (own_card, own_file) = own;
            let file = of_layers.join(&name);
            if !own_card.has_made(&own_file, &[&name])? {
                let rows = self.layer(layers, observer)?;
                // The card is saved after the first layer succeeded, so that a refused sweep does not reserve the
                // folder.
                if !std::mem::replace(&mut is_begun, true) {
                    begin(&card, &card_file)?;
                }
                save_rows(&file, &rows)?;
                own_card.with_files(&of_layers, &[&name])?.save(&own_file)?;
                n_new += 1;
            }
            rows.extend(load_rows::<SweepRow>(&file)?);
        }
        save_all(folder, &rows)?;
        Ok(SweepRows { rows, n_new })
    }

    /// The card with all inputs that determine the rows of a layer.
    fn card(&self) -> Result<Card> {
        let (model, plan) = (self.model, self.settings);
        let tokenizer = &model.tokenizer;
        let texts: String = plan.texts().iter().map(|text| format!("{} {text}", text.len())).collect();
        let mut card = weights_card(model, Card::new());
        if let Some(sha256) = tokenizer.chat_sha256() {
            card = card.input("chat_template_sha256", sha256);
        }
        if let Some(date) = tokenizer.chat_date() {
            card = card.input("chat_date", date);
        }
        let card = card
            .input("weights_sha256", &model.weights_sha256)
            .input("config_sha256", &model.config_sha256)
            .input("tokenizer_sha256", &tokenizer.sha256)
            .input("bos", tokenizer.special_prefix()?)
            .input("end_tokens", format!("{:?}", tokenizer.end_tokens()))
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
            .input("prompts", plan.texts().join(" | "))
            // The joined prompts are ambiguous, since a prompt may contain the separator.
            .input("prompts_sha256", artefact::hash(texts.as_bytes()));
        let card = match &self.latent {
            Some(latent) => {
                let vector: Vec<u8> = latent.vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                card.input("feature", &latent.name).input("feature_sha256", artefact::hash(&vector))
            }
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
