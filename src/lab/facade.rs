//! The main operations of a lab, one method per operation.

use super::datasets::find;
use super::experiment::Experiment;
use super::extraction::{Done, ExtractionJob, ExtractionSettings};
use super::folders::Lab;
use super::models::ModelSettings;
use super::probing::{ProbeReport, ProbeRequest};
use super::run::{Report, run};
use super::steering::{Change, SteeredText};
use crate::activations::{ActivationStore, Division};
use crate::datasets::Dataset;
use crate::error::Result;
use crate::model::Model;
use crate::progress::{Observer, Silent};

impl Lab {
    /// Opens a model by name, folder, GGUF file or hub name.
    ///
    /// # Errors
    /// Those of [`ModelSettings::open`].
    pub fn model(&self, name: &str) -> Result<Model> {
        ModelSettings::named(name).open(self, &mut Silent)
    }

    /// Finds a dataset by name or file.
    ///
    /// # Errors
    /// Those of [`crate::datasets::find`].
    pub fn dataset(&self, name: &str) -> Result<Dataset> {
        find(self, name, &mut Silent)
    }

    /// Extracts a dataset's activations with default settings, unless the lab has them; returns their store.
    ///
    /// # Errors
    /// Those of [`ExtractionJob::extract`].
    pub fn extract(&self, model: &Model, dataset: &str) -> Result<ActivationStore> {
        self.extract_with(&ExtractionSettings::default(), model, self.dataset(dataset)?, &mut Silent)
            .map(|(store, _)| store)
    }

    /// Extracts a dataset's activations, unless the lab has them; `model` must come from
    /// [`super::Prompting::set_up`].
    ///
    /// # Errors
    /// Those of [`ExtractionJob::record`].
    pub fn extract_with(
        &self,
        settings: &ExtractionSettings,
        model: &Model,
        dataset: Dataset,
        observer: &mut dyn Observer,
    ) -> Result<(ActivationStore, Done)> {
        let prompted = &settings.apply(dataset, model)?;
        let extraction = ExtractionJob { lab: self, model, prompted, recording: settings.recording() };
        let points = settings.points(model.spec())?;
        let done = extraction.record(&points, Division::of(&model.transformer), observer)?;
        Ok((extraction.activations()?, done))
    }

    /// Fits and scores probes of a dataset with default settings, unless the lab has their scores.
    ///
    /// # Errors
    /// Those of [`ProbeRequest::probe`].
    pub fn probe(&self, model: &Model, dataset: &str) -> Result<ProbeReport> {
        ProbeRequest::default().probe(self, model, self.dataset(dataset)?, &mut Silent)
    }

    /// Runs an experiment; reuses stages completed by earlier runs.
    ///
    /// # Errors
    /// Those of its stages; completed stages are kept.
    pub fn run(&self, experiment: &Experiment, observer: &mut dyn Observer) -> Result<Report> {
        run(self, experiment, observer)
    }

    /// Continues a prompt without and with a change along probes of this lab.
    ///
    /// # Errors
    /// Those of [`SteeredText::new`].
    pub fn steer(&self, model: &Model, prompt: &str, change: &Change) -> Result<SteeredText> {
        SteeredText::new(self, model, prompt, change)
    }
}
