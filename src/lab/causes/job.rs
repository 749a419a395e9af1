//! A causal test and its folder: computes the missing layers, reuses the others, and saves all rows.

use super::super::extraction::ExtractionJob;
use super::super::folders::Lab;
use super::super::prompted::Prompted;
use super::super::saved_probes::SavedProbes;
use super::asked::Asked;
use super::controls::Controls;
use super::measured::{MeasuredLayer, Names, Pairs};
use super::settings::CauseSettings;
use crate::activations::Recording;
use crate::artefact::{Card, Lock, hash_file};
use crate::causal::{Interchange, Pair, SourceStreams, Subspace, answers_of};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::Model;
use crate::progress::{Observer, Progress};
use crate::results::{
    ANGLES_FILE, AngleRow, DAS, INTERCHANGE_FILE, InterchangeRow, SUBSPACE_ABLATIONS_FILE,
    SubspaceAblationRow, load_rows, save_rows,
};
use std::path::PathBuf;

/// A causal test, ready to run.
pub(super) struct CauseJob<'a> {
    /// The lab.
    pub(super) lab: &'a Lab,
    /// The model; its tokenizer is set up for the texts.
    pub(super) model: &'a Model,
    /// The dataset with its prompt.
    pub(super) prompted: &'a Prompted,
    /// The probes.
    pub(super) probes: &'a SavedProbes,
    /// The settings.
    pub(super) settings: &'a CauseSettings,
}

/// The rows of a test.
pub(super) struct CauseRows {
    /// One row per layer and exchange, then those of the controls.
    pub(super) interchange: Vec<InterchangeRow>,
    /// One row per layer and angle.
    pub(super) angles: Vec<AngleRow>,
    /// One row per ablation at the reported layer.
    pub(super) ablations: Vec<SubspaceAblationRow>,
    /// The reported layer.
    pub(super) layer: usize,
    /// The number of layers computed by this run.
    pub(super) n_new: usize,
}

/// The share of correct answers of the model itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OwnAnswers {
    /// The number of test entities.
    pub n: usize,
    /// The number of correct answers about them.
    pub n_right: usize,
}

/// The question with its pairs, and the model's own answers.
pub(super) struct Prepared {
    pub(super) asked: Asked,
    training: Vec<Pair>,
    pub(super) test: Vec<Pair>,
    pub(super) own: OwnAnswers,
    /// The number of test pairs before those with wrong answers were left out.
    pub(super) n_all: usize,
    pub(super) n_right_pairs: usize,
}

impl CauseJob<'_> {
    /// The folder of the rows.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that a folder cannot have.
    pub(super) fn folder(&self) -> Result<PathBuf> {
        let name = match &self.settings.called {
            Some(name) => name.clone(),
            None => {
                let answers = self.settings.answers.to_string().replace(['|', ' '], "_");
                self.prompted.prompt.name.with(&format!(".{answers}"))
            }
        };
        Ok(self.lab.causes(&self.model.name).join(&self.prompted.dataset.name).join(name))
    }

    /// The blocks after which the stream is exchanged.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a block that the model lacks, or a list with a block twice.
    pub(super) fn layers(&self) -> Result<Vec<usize>> {
        let n_layers = self.model.spec().n_layers;
        if self.settings.layers.is_empty() {
            return Ok((0..n_layers).collect());
        }
        let mut layers = self.settings.layers.clone();
        layers.sort_unstable();
        layers.dedup();
        match layers.last() {
            Some(last) if *last >= n_layers => {
                Err(Error::invalid("--layers", last, format!("blocks from 0 to {}", n_layers - 1)))
            }
            _ if layers.len() < self.settings.layers.len() => {
                Err(Error::invalid("--layers", "a block twice", "each block once"))
            }
            _ => Ok(layers),
        }
    }

    /// Refuses settings that do not suit the model or the probes.
    pub(super) fn check(&self) -> Result<()> {
        let spec = self.model.spec();
        if let Some(rank) = self.settings.rank.filter(|rank| *rank == 0 || *rank > spec.d_model / 2) {
            let expected = format!("1 to {}, half of the stream's width", spec.d_model / 2);
            return Err(Error::invalid("--rank", rank, expected));
        }
        self.layers()?
            .into_iter()
            .try_for_each(|layer| self.probes.set.get(HookPoint::ResidPost(layer)).map(drop))
    }

    /// Draws the pairs, and asks the model about the test entities.
    pub(super) fn prepare(&self, observer: &mut dyn Observer) -> Result<Prepared> {
        let asked = Asked::new(self.model, self.prompted, self.settings)?;
        let (training, all) = (asked.training_pairs(self.settings), asked.test_pairs(self.settings));
        let mut texts: Vec<usize> = all.iter().flat_map(|pair| [pair.base, pair.source]).collect();
        texts.sort_unstable();
        texts.dedup();
        observer.progress(&Progress::counted("the model's own answers", 0, 1));
        let answers = answers_of(&self.model.transformer, &asked.question, &texts)?;
        observer.progress(&Progress::counted("the model's own answers", 1, 1));
        let right: Vec<usize> = texts
            .iter()
            .zip(&answers)
            .filter(|(text, answer)| asked.question.texts[**text].answer == **answer)
            .map(|(text, _)| *text)
            .collect();
        let own = OwnAnswers { n: texts.len(), n_right: right.len() };
        let is_right =
            |pair: &Pair| [pair.base, pair.source].iter().all(|text| right.binary_search(text).is_ok());
        let (n_all, n_right_pairs) = (all.len(), all.iter().filter(|pair| is_right(pair)).count());
        let mut test = all;
        if self.settings.correct_only {
            test.retain(is_right);
        }
        if test.is_empty() || training.is_empty() {
            let found = format!("{} for training and {} for the test", training.len(), test.len());
            let expected = "some of both: without --correct-only, or of a question that the model can answer";
            return Err(Error::invalid("pairs", found, expected));
        }
        Ok(Prepared { asked, training, test, own, n_all, n_right_pairs })
    }

    /// The card with all inputs that determine the rows of a layer.
    fn card(&self, prepared: &Prepared) -> Result<Card> {
        let (settings, recording) = (self.settings, Recording::default());
        let extraction =
            ExtractionJob { lab: self.lab, model: self.model, prompted: self.prompted, recording };
        let at = settings.at.as_ref().map(ToString::to_string).unwrap_or_default();
        Ok(extraction
            .card()?
            .input("probes_sha256", hash_file(&self.probes.file())?)
            .input("answers", &settings.answers)
            .input("at", at)
            .input("answer_words", prepared.asked.words.join(" | "))
            .input("pairs", settings.pairs)
            .input("rank", settings.rank.map_or("as the probe".into(), |rank| rank.to_string()))
            .input("epochs", settings.epochs)
            .input("random", settings.random)
            .input("seed", settings.seed)
            .input("resamples", settings.resamples)
            .input("correct_only", settings.correct_only))
    }

    fn names(&self) -> Names {
        Names {
            dataset: self.prompted.dataset.name.to_string(),
            model: self.model.name.to_string(),
            prompt: self.prompted.prompt.name.to_string(),
        }
    }

    /// Computes the rows of all layers and saves them, one layer at a time; reuses layers that the folder has.
    ///
    /// # Errors
    /// [`Error::CardMismatch`] if the folder contains another test; [`Error::StoppedCause`] if the observer requests it.
    pub(super) fn rows(&self, prepared: &Prepared, observer: &mut dyn Observer) -> Result<CauseRows> {
        let (folder, layers, card) = (self.folder()?, self.layers()?, self.card(prepared)?);
        let saved = Saved { folder: folder.join("layers"), card: card.clone() };
        let mut missing = Vec::new();
        for layer in &layers {
            if !saved.has(*layer)? {
                missing.push(*layer);
            }
        }
        if !missing.is_empty() {
            let _lock = Lock::take(&folder)?;
            self.measure(prepared, &missing, &saved, observer)?;
        }
        let (mut interchange, mut angles): (Vec<InterchangeRow>, Vec<AngleRow>) = (vec![], vec![]);
        for layer in &layers {
            interchange.extend(load_rows::<InterchangeRow>(&saved.file(*layer, Part::Interchange))?);
            angles.extend(load_rows::<AngleRow>(&saved.file(*layer, Part::Angles))?);
        }
        let layer = reported(&interchange);
        let (controls, ablations) = self.controls(prepared, layer, &saved, observer)?;
        interchange.extend(controls);
        save_rows(&folder.join(INTERCHANGE_FILE), &interchange)?;
        save_rows(&folder.join(ANGLES_FILE), &angles)?;
        save_rows(&folder.join(SUBSPACE_ABLATIONS_FILE), &ablations)?;
        let files = [INTERCHANGE_FILE, ANGLES_FILE, SUBSPACE_ABLATIONS_FILE];
        // Relative, so that the lab may be moved.
        let probes =
            self.probes.folder.strip_prefix(self.lab.root()).unwrap_or(&self.probes.folder).display();
        card.note("probes", probes).with_files(&folder, &files)?.save(&folder.join("card.json"))?;
        Ok(CauseRows { interchange, angles, ablations, layer, n_new: missing.len() })
    }

    /// Measures layers and saves each as soon as it is done.
    fn measure(
        &self,
        prepared: &Prepared,
        layers: &[usize],
        saved: &Saved,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let (model, question) = (&self.model.transformer, &prepared.asked.question);
        let total: usize = layers.iter().map(|layer| self.work(*layer)).sum();
        let stage = format!("{}: exchanges", self.prompted.dataset.name);
        let mut done = 0;
        observer.progress(&Progress::counted(&stage, 0, total as u64));
        // The last block always: the answers without an exchange continue from there.
        let last = model.spec.n_layers - 1;
        let with_last: Vec<usize> =
            layers.iter().copied().filter(|layer| *layer != last).chain([last]).collect();
        let sources = SourceStreams::new(model, question, &with_last)?;
        let interchange = |pairs| Interchange::new(model, question, &sources, pairs);
        let (training, test) = (interchange(&prepared.training)?, interchange(&prepared.test)?);
        let (names, labels) = (&self.names(), &question.labels());
        let (settings, chance) = (self.settings, question.chance());
        let pairs = Pairs { training: &training, test: &test, names, settings, labels, chance };
        for &layer in layers {
            let work = self.work(layer);
            let mut report = |step: usize, steps: usize| {
                let now = done + work * step / (steps + 1);
                observer.progress(&Progress::counted(&stage, now as u64, total as u64));
                if observer.should_stop() { Err(Error::StoppedCause) } else { Ok(()) }
            };
            let stored = self.probes.set.get(HookPoint::ResidPost(layer))?;
            saved.save(layer, &pairs.measure(layer, stored, &mut report)?)?;
            done += work;
            observer.progress(&Progress::counted(&stage, done as u64, total as u64));
        }
        Ok(())
    }

    /// The expected work at a layer: the blocks after it.
    fn work(&self, layer: usize) -> usize {
        100 * (self.model.spec().n_layers - layer)
    }

    /// The controls and ablations at the reported layer.
    fn controls(
        &self,
        prepared: &Prepared,
        layer: usize,
        saved: &Saved,
        observer: &mut dyn Observer,
    ) -> Result<(Vec<InterchangeRow>, Vec<SubspaceAblationRow>)> {
        let [rows, ablations] = [Part::Controls, Part::Ablations].map(|part| saved.file(layer, part));
        let (card, path) = (
            saved.card.clone().input("controls_of_layer", layer),
            saved.folder.join(format!("{layer}_controls.json")),
        );
        let names = [Part::Controls, Part::Ablations].map(|part| part.name(layer));
        if !card.has_made(&path, &names.each_ref().map(String::as_str))? {
            let das = saved.das(layer)?;
            let controls = Controls {
                model: self.model,
                asked: &prepared.asked,
                settings: self.settings,
                names: &self.names(),
                pairs: [&prepared.training, &prepared.test],
                layer,
                stored: self.probes.set.get(HookPoint::ResidPost(layer))?,
                das: &das,
            };
            let mut report_of = |stage: &str, done: usize, of: usize| {
                observer.progress(&Progress::counted(stage, done as u64, of as u64));
                if observer.should_stop() { Err(Error::StoppedCause) } else { Ok(()) }
            };
            let found = controls.interchange(&mut |done, of| report_of("controls", done, of))?;
            save_rows(&rows, &found)?;
            let found = controls.ablations(&mut |done, of| report_of("ablations", done, of))?;
            save_rows(&ablations, &found)?;
            card.with_files(&saved.folder, &names.each_ref().map(String::as_str))?.save(&path)?;
        }
        Ok((load_rows(&rows)?, load_rows(&ablations)?))
    }
}

/// The layer at which the search succeeded best on the training pairs; test pairs have no part in the choice.
fn reported(rows: &[InterchangeRow]) -> usize {
    let of_das = rows.iter().filter(|row| row.exchanged == DAS);
    let score = |row: &InterchangeRow| row.train_accuracy.unwrap_or(0.0);
    let best = of_das.max_by(|a, b| score(a).total_cmp(&score(b)).then(b.layer.cmp(&a.layer)));
    best.map_or(0, |row| row.layer)
}

/// A file of one layer.
#[derive(Clone, Copy)]
enum Part {
    Interchange,
    Angles,
    Das,
    Controls,
    Ablations,
}

impl Part {
    fn name(self, layer: usize) -> String {
        match self {
            Part::Interchange => format!("{layer}.csv"),
            Part::Angles => format!("{layer}_angles.csv"),
            Part::Das => format!("{layer}.safetensors"),
            Part::Controls => format!("{layer}_controls.csv"),
            Part::Ablations => format!("{layer}_ablations.csv"),
        }
    }
}

/// The files of all layers, each with a card of its own.
struct Saved {
    folder: PathBuf,
    card: Card,
}

/// The files that a measured layer has.
const PARTS: [Part; 3] = [Part::Interchange, Part::Angles, Part::Das];

impl Saved {
    fn file(&self, layer: usize, part: Part) -> PathBuf {
        self.folder.join(part.name(layer))
    }

    fn card(&self, layer: usize) -> (Card, PathBuf) {
        (self.card.clone().input("layer", layer), self.folder.join(format!("{layer}.json")))
    }

    /// Returns true if a layer is done; refuses the layer of another test.
    fn has(&self, layer: usize) -> Result<bool> {
        const WAY_OUT: &str = "--called NAME gives this test a folder of its own; or move the folder away";
        let names = PARTS.map(|part| part.name(layer));
        let (card, path) = self.card(layer);
        card.has_made(&path, &names.each_ref().map(String::as_str)).map_err(|e| e.with_way_out(WAY_OUT))
    }

    fn save(&self, layer: usize, measured: &MeasuredLayer) -> Result<()> {
        save_rows(&self.file(layer, Part::Interchange), &measured.interchange)?;
        save_rows(&self.file(layer, Part::Angles), &measured.angles)?;
        measured.das.save(&self.file(layer, Part::Das))?;
        let (card, path) = self.card(layer);
        let names = PARTS.map(|part| part.name(layer));
        card.with_files(&self.folder, &names.each_ref().map(String::as_str))?.save(&path)
    }

    /// The subspace that was found at a layer.
    fn das(&self, layer: usize) -> Result<Subspace> {
        Subspace::load(&self.file(layer, Part::Das))
    }
}
