//! Activations of a model on a dataset: extracted once, saved, and reused.

use super::folders::Lab;
use super::models::weights_card;
use super::prompted::Prompted;
use super::prompting::Prompting;
use super::written::written;
use crate::activations::{
    ActivationStore, Activations, Division, FillSummary, Pooling, Prepared, Recording, StoredDtype,
    TextModel, TokenScope, save_unplaced,
};
use crate::artefact::{Card, FolderName};
use crate::datasets::Dataset;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::{Model, Spec, Transformer};
use crate::progress::Observer;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Settings of an extraction: texts, tokens, data type, hook points.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ExtractionSettings {
    /// The text around each entity.
    #[serde(flatten)]
    pub prompting: Prompting,
    /// Pooling over the tokens.
    #[serde(deserialize_with = "written")]
    pub read: Pooling,
    /// The tokens to pool.
    #[serde(deserialize_with = "written")]
    pub over: TokenScope,
    /// The data type of the stored numbers.
    #[serde(deserialize_with = "written")]
    pub store: StoredDtype,
    /// Hook points by name or glob; by default the residual stream at every depth.
    pub hook_points: Vec<String>,
}

impl ExtractionSettings {
    /// The pooling, the tokens and the data type of these settings.
    pub fn recording(&self) -> Recording {
        Recording { pooling: self.read, scope: self.over, dtype: self.store }
    }

    /// The same as [`ExtractionSettings::recording`], for probes, which need one row per entity.
    ///
    /// # Errors
    /// [`Error::Invalid`] for [`Pooling::Every`], which stores one row per token.
    pub fn one_row(&self) -> Result<Recording> {
        match self.read {
            Pooling::Every => {
                Err(Error::invalid("--read", "every", "one row per entity: last, first, mean or max"))
            }
            _ => Ok(self.recording()),
        }
    }

    /// The selected hook points of a model.
    ///
    /// # Errors
    /// [`Error::UnknownHookPoint`] if a name or glob matches none of the model's hook points.
    pub fn points(&self, spec: &Spec) -> Result<Vec<HookPoint>> {
        match self.hook_points.is_empty() {
            true => Ok(HookPoint::stream(spec.n_layers)),
            false => HookPoint::choose(&self.hook_points.join(","), &spec.hook_points()),
        }
    }

    /// Applies the prompt to a dataset.
    ///
    /// # Errors
    /// Those of [`Prompting::apply`].
    pub fn apply(&self, dataset: Dataset, model: &Model) -> Result<Prompted> {
        self.prompting.apply(dataset, self.recording(), &model.tokenizer, model.spec())
    }
}

/// The origin of an artefact: this run or an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It was computed now.
    Now,
    /// It was found, from an earlier run.
    Before,
}

/// The extraction of one model on one dataset with one prompt.
#[derive(Clone, Copy)]
pub struct ExtractionJob<'a> {
    /// The lab.
    pub lab: &'a Lab,
    /// The model; its tokenizer is set up for the texts.
    pub model: &'a Model,
    /// The dataset with its prompt.
    pub prompted: &'a Prompted,
    /// The pooling, the tokens and the data type.
    pub recording: Recording,
}

impl<'a> ExtractionJob<'a> {
    /// The dataset.
    pub fn dataset(&self) -> &'a Dataset {
        &self.prompted.dataset
    }

    /// The hook points to probe.
    pub fn points(&self) -> Vec<HookPoint> {
        HookPoint::stream(self.model.spec().n_layers)
    }

    /// The last folder of the activations' path.
    pub fn folder(&self) -> FolderName {
        self.recording.folder(&self.prompted.prompt.name)
    }

    /// The store of the activations.
    ///
    /// # Errors
    /// Those of [`Lab::activations`].
    pub fn activations(&self) -> Result<ActivationStore> {
        self.lab.activations(&self.model.name, &self.dataset().name, &self.folder())
    }

    /// The store of one shard, or of the whole dataset if `division` has no shard.
    ///
    /// # Errors
    /// Those of [`Lab::activations`].
    pub fn store(&self, division: Division) -> Result<ActivationStore> {
        let whole = self.activations()?;
        Ok(match division.shard {
            Some(shard) => whole.of_shard(shard),
            None => whole,
        })
    }

    /// The card with all inputs that determine the activations, except the batch size.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the tokenizer cannot encode a text of one letter, which shows its BOS token.
    pub fn card(&self) -> Result<Card> {
        let (tokenizer, Prompted { dataset, unplaced, prompt }) = (&self.model.tokenizer, self.prompted);
        let mut card = weights_card(self.model, Card::new());
        if let Some(sha256) = tokenizer.chat_sha256() {
            card = card.input("chat_template_sha256", sha256);
        }
        if let Some(date) = tokenizer.chat_date() {
            card = card.input("chat_date", date);
        }
        if !unplaced.is_empty() {
            card = card.input("n_entities_left_out", unplaced.len());
        }
        let card = card
            .input("model", &self.model.name)
            .input("weights_sha256", &self.model.weights_sha256)
            .input("config_sha256", &self.model.config_sha256)
            .input("tokenizer_sha256", &tokenizer.sha256)
            .input("bos", tokenizer.special_prefix()?)
            .input("dataset", &dataset.name)
            .input("dataset_sha256", &dataset.sha256)
            .input("prompt", prompt.template());
        Ok(self.recording.describe(card))
    }

    /// Extracts the residual stream at every depth, unless the store has it.
    ///
    /// # Errors
    /// Those of [`ExtractionJob::record`].
    pub fn extract(&self, observer: &mut dyn Observer) -> Result<Done> {
        self.record(&self.points(), Division::of(&self.model.transformer), observer)
    }

    /// As [`ExtractionJob::extract`], for a caller that reads the rows.
    ///
    /// # Errors
    /// Those of [`ExtractionJob::record`].
    pub(super) fn provide_stream(&self, observer: &mut dyn Observer) -> Result<Done> {
        self.provide(&self.points(), Division::of(&self.model.transformer), observer)
    }

    /// Extracts hook points; if the store already has them, compares their rows with their hashes instead.
    ///
    /// # Errors
    /// [`Error::EntityNotPlaced`] naming the row; [`Error::Stopped`] if the observer requests a stop; those of the
    /// store.
    pub fn record(
        &self,
        points: &[HookPoint],
        division: Division,
        observer: &mut dyn Observer,
    ) -> Result<Done> {
        let done = self.provide(points, division, observer)?;
        if done == Done::Before {
            self.store(division)?.check(points, &self.dataset().name, observer)?;
        }
        Ok(done)
    }

    /// Refuses a folder of activations that were made from other inputs, before anything is computed.
    ///
    /// # Errors
    /// [`Error::CardMismatch`] naming the input.
    pub(super) fn check_card(&self) -> Result<()> {
        let card = Division::of(&self.model.transformer).describe(self.card()?);
        let agrees = self.activations()?.agrees_with(&card);
        agrees.map_err(|error| self.if_dataset_changed(error))
    }

    /// Compares recorded rows that the caller does not read with their hashes.
    ///
    /// # Errors
    /// Those of [`ActivationStore::check`].
    pub(super) fn check(&self, points: &[HookPoint], observer: &mut dyn Observer) -> Result<()> {
        self.activations()?.check(points, &self.dataset().name, observer)
    }

    /// As [`ExtractionJob::record`], for a caller that reads the rows and so compares them with their hashes.
    pub(super) fn provide(
        &self,
        points: &[HookPoint],
        division: Division,
        observer: &mut dyn Observer,
    ) -> Result<Done> {
        let store = self.store(division)?;
        let card = division.describe(self.card()?);
        let is_done = store.is_done(&card, points).map_err(|error| self.if_dataset_changed(error))?;
        let (unplaced, file) = (&self.prompted.unplaced, self.activations()?.folder.join("unplaced.csv"));
        if !(unplaced.is_empty() || is_done && file.is_file()) {
            // In the folder of the whole store, also for shards: unplaced entities belong to no shard.
            save_unplaced(&file, unplaced)?;
        }
        if is_done {
            store.clean_up()?;
            store.restore_blocks(points)?;
            return Ok(Done::Before);
        }
        let prepared = self.prepared(&self.model.transformer, division)?;
        self.report_work(&prepared, observer)?;
        let filled = store.extract(&prepared, points, &card, observer);
        let filled = filled.map_err(|error| self.if_dataset_changed(error))?;
        self.report_result(&prepared, filled, observer);
        Ok(Done::Now)
    }

    /// The same error; if the dataset has changed, its advice names the folders of the earlier results.
    pub(super) fn if_dataset_changed(&self, error: Error) -> Error {
        let is_dataset = |field: &str| field == "dataset_sha256";
        if !matches!(&error, Error::CardMismatch { field, .. } if is_dataset(field)) {
            return error;
        }
        let place = self.activations().map(|store| store.place()).unwrap_or_default();
        let activations = place.parent().unwrap_or(&place); // of all prompts
        let probes = self.lab.probes_of(&self.model.name).join(&self.dataset().name);
        error.with_way_out(format!(
            "the dataset has changed: move its earlier results away ({} and {}), and the same command computes them \
             again; or give the new file another name, or name another lab with --lab",
            activations.display(),
            probes.display()
        ))
    }

    /// Computes hook points of another model with the same shape, in memory.
    ///
    /// # Errors
    /// Those of the pass.
    pub fn through(
        &self,
        model: &Transformer,
        points: &[HookPoint],
        stage: &str,
        observer: &mut dyn Observer,
    ) -> Result<BTreeMap<HookPoint, Activations>> {
        let prepared = self.prepared(model, Division::of(&self.model.transformer))?;
        Ok(prepared.with_stage(stage).extract(points, observer)?.arrays)
    }

    /// Prepares the dataset's texts for a transformer, which may be a baseline instead of the model's own.
    fn prepared<'m>(&self, transformer: &'m Transformer, division: Division) -> Result<Prepared<'m>>
    where
        'a: 'm,
    {
        let model = TextModel { transformer, tokenizer: &self.model.tokenizer };
        Prepared::new(model, self.prompted.texts(), self.recording, division)
    }

    /// Reports the number of tokens to compute, and the BOS token.
    fn report_work(&self, prepared: &Prepared, observer: &mut dyn Observer) -> Result<()> {
        let (name, n_layers) = (&self.dataset().name, self.model.spec().n_layers);
        let (n_tokens, n_computed) = (prepared.n_tokens(), prepared.n_computed());
        let shared = match n_tokens - n_computed {
            0 => String::new(),
            _ => format!(" of {n_tokens}, because texts share prefixes"),
        };
        let bos = match self.model.tokenizer.special_prefix()?.as_str() {
            "none" => "no BOS".to_string(),
            token => format!("BOS {token}"),
        };
        observer.info(&format!("{name}: {n_layers} layers, {n_computed} tokens{shared}; {bos}"));
        if let Some(remark) = self.model.tokenizer.bos_conflict() {
            observer.note(&remark);
        }
        Ok(())
    }

    /// Reports resumed work, entities left out, and names with unknown characters.
    fn report_result(&self, prepared: &Prepared, filled: FillSummary, observer: &mut dyn Observer) {
        let (name, n_unknown) = (&self.dataset().name, prepared.n_unknown());
        report_filled(name, "batches", filled, observer);
        if !self.prompted.unplaced.is_empty() {
            let n = self.prompted.unplaced.len();
            observer.info(&format!(
                "{name}: {n} entities left out, which have no tokens of their own; see unplaced.csv"
            ));
        }
        if n_unknown > 0 {
            observer.info(&format!(
                "{name}: {n_unknown} names contain characters without a token; see `decoded` in spans.csv"
            ));
        }
    }
}

/// Refuses extractions of different texts into the same folder, such as those of two files of one name.
///
/// # Errors
/// [`Error::Invalid`] naming the dataset.
pub(super) fn refuse_shared<'a>(jobs: impl IntoIterator<Item = ExtractionJob<'a>>) -> Result<()> {
    let mut cards: BTreeMap<PathBuf, Card> = BTreeMap::new();
    for job in jobs {
        let (place, card) = (job.activations()?.place(), job.card()?);
        let before = cards.entry(place).or_insert_with(|| card.clone());
        if before.inputs != card.inputs {
            let differs = |name: &&String| before.inputs.get(*name) != card.inputs.get(*name);
            let fields: Vec<&str> = card.inputs.keys().filter(differs).map(String::as_str).collect();
            let found =
                format!("two datasets or prompts with this name, which differ in {}", fields.join(", "));
            let expected = "different names, since the names are those of folders; rename one file";
            return Err(Error::invalid(
                format!("{} with {}", job.dataset().name, job.folder()),
                found,
                expected,
            ));
        }
    }
    Ok(())
}

/// Reports resumed work, damaged parts, and a file system without locks; `parts` is the kind of the parts.
fn report_filled(name: &str, parts: &str, filled: FillSummary, observer: &mut dyn Observer) {
    if filled.n_kept > 0 {
        observer.info(&format!("{name}: {} {parts} were kept from an earlier run", filled.n_kept));
    }
    if filled.n_damaged > 0 {
        let n = filled.n_damaged;
        observer.info(&format!("{name}: {n} {parts} of an earlier run had changed and were computed again"));
    }
    report_locked(filled.locked, observer);
}

/// Adds a note if the file system has no locks.
pub(super) fn report_locked(is_locked: bool, observer: &mut dyn Observer) {
    if !is_locked {
        observer.note("this file system has no locks; do not let a second process write to the same folder");
    }
}

/// Merges the shards of a store.
///
/// # Errors
/// Those of [`ActivationStore::merge`].
pub fn merge_shards(store: &ActivationStore, observer: &mut dyn Observer) -> Result<FillSummary> {
    let filled = store.merge(observer)?;
    if filled.n_points == 0 {
        store.check(&store.hook_points()?, "merge", observer)?;
    }
    report_filled("merge", "shards", filled, observer);
    Ok(filled)
}
