//! Trains a sparse dictionary on a model's activations; resumes a stopped run from its checkpoint.

use super::super::folders::Lab;
use super::super::models::weights_card;
use super::settings::DictionarySettings;
use super::trained_texts::TextSources;
use crate::artefact::{self, Card, FolderName, Lock};
use crate::error::{Error, Result};
use crate::features::DICTIONARY_FILES;
use crate::features::train::{
    DictionaryTrainer, Explained, RowSource, StepStatistics, TextRows, TokenizedTexts, TrainSettings,
    explained_by_components, explained_by_dictionary, explained_by_random,
};
use crate::hook_point::HookPoint;
use crate::limits::number_words;
use crate::model::Model;
use crate::progress::{Observer, Progress, ProgressUnit};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Inputs that cards of earlier versions lack.
const ADDED_INPUTS: [&str; 1] = ["config_sha256"];

/// The field of the card's record with the duration of the run; of a resumed training, of the last run.
const SECONDS: &str = "seconds";

/// A trained dictionary.
pub struct TrainedDictionary {
    /// The folder of the dictionary.
    pub folder: PathBuf,
    /// The fits on held-out texts; `None` if the dictionary was found already trained.
    pub fits: Option<DictionaryFits>,
}

/// The explained variance on held-out texts, of the dictionary and of two other bases for comparison.
pub struct DictionaryFits {
    /// The fits of the dictionary, of principal components, and of random directions.
    pub fits: [(&'static str, Explained); 3],
    /// The number of dead latents.
    pub n_dead: usize,
}

/// Trains a dictionary, or resumes its training, and saves it with its card.
///
/// # Errors
/// [`Error::StoppedTraining`] if the observer requests a stop; [`Error::Invalid`] naming a bad setting; those of
/// the pass.
pub fn train_dictionary(
    lab: &Lab,
    model: &Model,
    settings: &DictionarySettings,
    observer: &mut dyn Observer,
) -> Result<TrainedDictionary> {
    check(settings)?;
    let tokenizer = model.tokenizer.clone().with_bos(settings.bos)?;
    let point = point(settings, model)?;
    let width = model.spec().width_at(point).unwrap_or_default();
    let training = training(settings, width);
    training.check()?;
    training.check_memory(width)?;
    let texts = sources(settings).encoded(lab, &tokenizer, observer)?;
    let texts = TokenizedTexts::new(model.spec(), texts);
    let DictionarySettings { latents, k, .. } = settings;
    let name = FolderName::of_text(&format!("{point}.{latents}.k{k}"));
    let name = settings.called.clone().unwrap_or(name);
    let folder = lab.features(&model.name).join(name);
    let card = card(model, point, &texts, settings);
    if is_trained(&card, &folder, observer)? {
        // A process that was killed just after it wrote the card has left its checkpoint.
        _ = remove_checkpoint(&folder);
        return Ok(TrainedDictionary { folder, fits: None });
    }
    let _lock = Lock::take(&folder)?;
    // The process that held the lock before may have trained the dictionary.
    if is_trained(&card, &folder, observer)? {
        return Ok(TrainedDictionary { folder, fits: None });
    }
    report_texts(&texts, observer);
    let (rows, held_out) = texts.split(&model.transformer, point, settings.held_out, settings.seed)?;
    observer.info(&format!(
        "{} rows to train on, {} of held-out texts, {} wide",
        rows.n_rows(),
        held_out.n_rows(),
        rows.width()
    ));
    let started = Instant::now();
    let mut run = Run { folder: &folder, card: &card, settings, observer };
    let mut trainer = run.train(&rows, training)?;
    let seconds = started.elapsed().as_secs_f64();
    let mut dictionary = trainer.dictionary(point)?;
    dictionary.model = Some(model.name.to_string());
    dictionary.made_with_bos = Some(model.tokenizer.has_special_prefix());
    dictionary.check()?;
    let observer = run.observer;
    let fits = [
        ("this dictionary", explained_by_dictionary(&dictionary, &held_out, observer)?),
        ("principal components", explained_by_components(trainer.rows(observer)?, *k, &held_out, observer)?),
        ("random directions", explained_by_random(&trainer.untrained(point)?, &held_out, observer)?),
    ];
    dictionary.save(&folder)?;
    let n_dead = trainer.dead().len();
    let mut card = card.note("dead_units", n_dead);
    card.record.insert(SECONDS.into(), format!("{seconds:.1}"));
    save_card(card, &folder, &trainer, &fits)?;
    Ok(TrainedDictionary { folder, fits: Some(DictionaryFits { fits, n_dead }) })
}

fn check(settings: &DictionarySettings) -> Result<()> {
    if !(settings.held_out > 0.0 && settings.held_out < 1.0) {
        let expected = "a share between 0 and 1, such as 0.05";
        return Err(Error::invalid("--held-out", number_words(settings.held_out), expected));
    }
    if !(settings.memory.is_finite() && settings.memory > 0.0) {
        return Err(Error::invalid("--memory", number_words(settings.memory), "GiB, more than 0"));
    }
    Ok(())
}

/// The sources of the texts.
fn sources(settings: &DictionarySettings) -> TextSources<'_> {
    let DictionarySettings { datasets, prompts, sentences, files, seed, .. } = settings;
    TextSources { datasets, prompts, sentences: *sentences, files, seed: *seed }
}

/// The hook point in the settings; refuses a glob that matches several.
fn point(settings: &DictionarySettings, model: &Model) -> Result<HookPoint> {
    match HookPoint::choose(&settings.hook_point, &model.spec().hook_points())?[..] {
        [point] => Ok(point),
        ref several => {
            let found = format!("`{}`, which matches {} hook points", settings.hook_point, several.len());
            Err(Error::invalid("--hook-point", found, "a single hook point"))
        }
    }
}

/// The settings of the optimiser, for rows of width `d_in`.
fn training(settings: &DictionarySettings, d_in: usize) -> TrainSettings {
    TrainSettings {
        n_epochs: settings.epochs,
        batch: settings.batch,
        rate: settings.rate,
        dead_after: settings.dead_after,
        memory: (settings.memory * (1u64 << 30) as f64) as usize,
        seed: settings.seed,
        ..TrainSettings::of(d_in, settings.latents, settings.k)
    }
}

fn card(model: &Model, point: HookPoint, texts: &TokenizedTexts, settings: &DictionarySettings) -> Card {
    let training = training(settings, model.spec().width_at(point).unwrap_or_default());
    weights_card(model, Card::new())
        .input("model", &model.name)
        .input("weights_sha256", &model.weights_sha256)
        .input("config_sha256", &model.config_sha256)
        .input("dtype", model.precision)
        .input("hook_point", point)
        .input("tokens_sha256", texts.sha256())
        .input("held_out", settings.held_out)
        .input("units", training.d_sae)
        .input("k", training.k)
        .input("epochs", training.n_epochs)
        .input("batch", training.batch)
        .input("rate", training.rate)
        .input("dead_after", training.dead_after)
        .input("memory", training.memory)
        .input("seed", training.seed)
}

/// Returns true if this training has written its card, and the named files lie next to it, unchanged.
fn has_made(card: &Card, path: &Path, names: &[&str], observer: &mut dyn Observer) -> Result<bool> {
    let Some(unrecorded) = card.has_made_before(path, names, &ADDED_INPUTS)? else { return Ok(false) };
    for name in unrecorded {
        observer.note(&format!("{} is of an earlier version, which did not record {name}", path.display()));
    }
    Ok(true)
}

fn report_texts(texts: &TokenizedTexts, observer: &mut dyn Observer) {
    observer.info(&format!("{} distinct texts", texts.len()));
    if texts.n_repeated > 0 {
        let n = texts.n_repeated;
        observer.info(&format!("left out: {n} texts, which repeat other texts or have no tokens"));
    }
    if texts.n_cut > 0 {
        observer.info(&format!("cut: {} texts at the end of the model's context", texts.n_cut));
    }
}

/// A training run.
struct Run<'a> {
    folder: &'a Path,
    card: &'a Card,
    settings: &'a DictionarySettings,
    observer: &'a mut dyn Observer,
}

impl Run<'_> {
    /// Takes all steps; resumes from the checkpoint of an earlier run.
    fn train<'r>(&mut self, rows: &'r TextRows, training: TrainSettings) -> Result<DictionaryTrainer<'r>> {
        let (path, path_of_card) =
            (self.folder.join("checkpoint.safetensors"), self.folder.join("checkpoint.json"));
        let memory = self.settings.memory;
        let is_begun = has_made(self.card, &path_of_card, &["checkpoint.safetensors"], self.observer)?;
        let mut trainer = match is_begun {
            true => DictionaryTrainer::resume(rows, training, &path)?,
            false => DictionaryTrainer::begin(rows, training, self.observer)?,
        };
        self.card.save(&path_of_card)?;
        let (done, n_steps) = trainer.steps();
        if done > 0 {
            self.observer.info(&format!("resumed from step {done}"));
        }
        if !trainer.has_all_rows() {
            let line = format!("the rows do not fit into --memory {memory}: each epoch computes them again");
            self.observer.info(&line);
        }
        let (mut smooth, mut saved) = (None, Instant::now());
        loop {
            if self.observer.should_stop() {
                trainer.save(&path)?;
                return Err(Error::StoppedTraining { kept: trainer.steps().0, of: n_steps });
            }
            match trainer.step(self.observer) {
                Ok(None) => break,
                Ok(Some(progress)) => show(&progress, &mut smooth, self.observer),
                // Stopped while rows were computed: the next iteration saves a checkpoint and reports the stop.
                Err(Error::StoppedTraining { .. }) => continue,
                Err(error) => return Err(error),
            }
            if saved.elapsed() > self.settings.checkpoint_every {
                trainer.save(&path)?;
                saved = Instant::now();
            }
        }
        trainer.save(&path)?;
        Ok(trainer)
    }
}

/// Reports a step, with the FVE (fraction of variance explained) smoothed over the last batches.
fn show(step: &StepStatistics, smooth: &mut Option<f64>, observer: &mut dyn Observer) {
    let StepStatistics { step, n_steps, n_rows, fve, l0, n_dead } = *step;
    let fve = smooth.map_or(fve, |before| 0.98 * before + 0.02 * fve);
    *smooth = Some(fve);
    let detail = format!("FVE {fve:.3}, L0 {l0:.1}, {n_dead} dead");
    observer.progress(&Progress {
        stage: "training",
        // An estimate: assumes that every step has as many rows as this one.
        done: (step * n_rows) as u64,
        total: (n_steps * n_rows) as u64,
        unit: ProgressUnit::Count,
        detail: &detail,
    });
}

/// True if the folder has the dictionary of this card; refuses another one.
fn is_trained(card: &Card, folder: &Path, observer: &mut dyn Observer) -> Result<bool> {
    let way_out = "--name NAME gives this dictionary a folder of its own, or move the folder away";
    let found = has_made(card, &folder.join("card.json"), &DICTIONARY_FILES, observer);
    found.map_err(|e| e.with_way_out(way_out))
}

/// Removes a checkpoint, which is several times as large as the weights, and is not needed after the last step.
fn remove_checkpoint(folder: &Path) -> Result<()> {
    artefact::remove(&folder.join("checkpoint.safetensors"))?;
    artefact::remove(&folder.join("checkpoint.json"))
}

/// Saves the card with the fits, then removes the checkpoint.
fn save_card(
    mut card: Card,
    folder: &Path,
    trainer: &DictionaryTrainer,
    fits: &[(&str, Explained); 3],
) -> Result<()> {
    let number = |x: f64| format!("{x:.4}");
    for (name, fit) in fits {
        card = card.note(&format!("fve_of_{}", name.replace(' ', "_")), number(fit.fve));
    }
    card = card.note("rows_kept_out", fits[0].1.n_rows).note("l0", number(fits[0].1.l0));
    card = card.note("steps", trainer.steps().1).with_files(folder, &DICTIONARY_FILES)?;
    card.save(&folder.join("card.json"))?;
    remove_checkpoint(folder)
}
