//! A request for probes: the settings of the extraction and of the fits.

use super::super::datasets::find;
use super::super::extraction::{ExtractionJob, ExtractionSettings};
use super::super::folders::Lab;
use super::super::prompted::Prompted;
use super::super::prompting::Prompting;
use super::fitting::fit_all;
use super::job::ProbingJob;
use super::report::ProbeReport;
use super::settings::ProbingSettings;
use crate::activations::{Division, Recording};
use crate::datasets::Dataset;
use crate::error::Result;
use crate::model::Model;
use crate::progress::Observer;
use crate::word_vectors::WordVectors;

/// The settings of a request for probes.
#[derive(Debug, Clone, Default)]
pub struct ProbeRequest {
    /// Settings of the extraction: texts, tokens, data type, and additional hook points.
    pub extraction: ExtractionSettings,
    /// Settings of fits and scores.
    pub probing: ProbingSettings,
}

/// The datasets of a request with their prompts.
pub struct PreparedRequest {
    tested: Prompted,
    train: Option<Prompted>,
    recording: Recording,
    vectors: Option<WordVectors>,
}

impl ProbeRequest {
    /// Fits and scores probes of a dataset, unless the lab has their scores; `model` must come from
    /// [`Prompting::set_up`].
    ///
    /// # Errors
    /// Those of the extraction and of the fit.
    pub fn probe(
        &self,
        lab: &Lab,
        model: &Model,
        dataset: Dataset,
        observer: &mut dyn Observer,
    ) -> Result<ProbeReport> {
        self.probe_prepared(lab, &self.prepare(lab, model, dataset, observer)?, model, observer)
    }

    /// As [`ProbeRequest::probe`], of prepared datasets.
    pub(in crate::lab) fn probe_prepared(
        &self,
        lab: &Lab,
        prepared: &PreparedRequest,
        model: &Model,
        observer: &mut dyn Observer,
    ) -> Result<ProbeReport> {
        let job = prepared.job(lab, model, &self.probing);
        let points = self.extraction.points(model.spec())?;
        let report = fit_all(&job, observer)?;
        if !self.extraction.hook_points.is_empty() {
            job.extraction.record(&points, Division::of(&model.transformer), observer)?;
        }
        Ok(report)
    }

    /// Applies the prompt to the dataset, and to the separate training dataset if there is one.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] if settings contradict each other, or a prompt does not suit its dataset.
    pub fn prepare(
        &self,
        lab: &Lab,
        model: &Model,
        dataset: Dataset,
        observer: &mut dyn Observer,
    ) -> Result<PreparedRequest> {
        self.probing.check()?;
        let recording = self.extraction.one_row()?;
        let ProbingSettings { train, train_prompt, .. } = &self.probing;
        let train = match (train, train_prompt) {
            (None, None) => None,
            (name, prompt) => {
                let of_name = name.as_ref().map(|name| find(lab, name, observer)).transpose()?;
                let dataset = of_name.unwrap_or_else(|| dataset.clone());
                let prompting = &self.extraction.prompting;
                let prompt = prompt.clone().unwrap_or_else(|| prompting.prompt.clone());
                let prompting = Prompting { prompt, ..prompting.clone() };
                let extraction = ExtractionSettings { prompting, ..self.extraction.clone() };
                Some(extraction.apply(dataset, model)?)
            }
        };
        let tested = self.extraction.apply(dataset, model)?;
        let entities = train.iter().chain([&tested]).flat_map(|prompted| &prompted.dataset.entities);
        let vectors = self.probing.word_vectors(entities.map(|entity| entity.name.as_str()))?;
        Ok(PreparedRequest { tested, train, recording, vectors })
    }
}

impl PreparedRequest {
    /// The job of these datasets.
    pub fn job<'a>(
        &'a self,
        lab: &'a Lab,
        model: &'a Model,
        settings: &'a ProbingSettings,
    ) -> ProbingJob<'a> {
        let on = |prompted| ExtractionJob { lab, model, prompted, recording: self.recording };
        let (train, vectors) = (self.train.as_ref().map(on), self.vectors.as_ref());
        ProbingJob { extraction: on(&self.tested), settings, train, vectors }
    }
}
