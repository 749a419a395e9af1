//! Probes with their scores, for printing, drawing and steering.

use super::super::drawn::{Drawn, baselines};
use super::super::extraction::Done;
use super::job::ProbingJob;
use crate::artefact::FolderName;
use crate::datasets::TargetKind;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::probes::{best_point, test_r2};
use crate::results::{ACCURACY, PREDICTIONS_FILE, PredictionRow, RIDGE, SCORES_FILE, ScoreRow, load_rows};
use std::fmt;
use std::path::PathBuf;

/// The probes of one dataset and prompt with their scores.
#[derive(Debug, Clone)]
pub struct ProbeReport {
    /// The dataset.
    pub dataset: FolderName,
    /// The kind of its target.
    pub kind: TargetKind,
    /// The model's name in folders.
    pub model: FolderName,
    /// The last folder of the results' path: the prompt's name, followed by settings that are not the default.
    pub results: FolderName,
    /// The folder of probes, scores and predictions.
    pub folder: PathBuf,
    /// A sentence about folds and leaked test entities.
    pub audit: String,
    /// The origin of the scores: this run or an earlier one.
    pub done: Done,
    /// The training dataset, if it is another one.
    pub trained_on: Option<FolderName>,
    /// The best layer.
    pub best: BestLayer,
    /// All scores, including those of baselines.
    pub scores: Vec<ScoreRow>,
    /// The predictions at the best layer, if this run computed them.
    pub predictions: Option<Vec<PredictionRow>>,
}

/// The layer with the least leave-one-out error on the training entities, and its test R².
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BestLayer {
    /// The hook point.
    pub point: HookPoint,
    /// R² on the test entities, the mean over targets.
    pub r2: f64,
    /// The lower end of its 95 % interval.
    pub low: f64,
    /// The upper end of its 95 % interval.
    pub high: f64,
}

impl BestLayer {
    /// Finds the best layer among score rows.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the rows have no leave-one-out scores or no test R².
    pub fn of(dataset: &str, scores: &[ScoreRow]) -> Result<BestLayer> {
        let point = best_point(scores)?;
        let row = test_r2(scores, RIDGE, Some(point))
            .ok_or_else(|| Error::invalid(format!("scores of {dataset}"), "no test R²", "a test split"))?;
        Ok(BestLayer { point, r2: row.value, low: row.low, high: row.high })
    }
}

impl fmt::Display for ProbeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BestLayer { point, r2, low, high } = self.best;
        write!(f, "{}: R² {r2:.3} (95 % {low:.3} to {high:.3}) at {point}", self.dataset)?;
        match baselines(&self.scores, point).as_str() {
            "" => Ok(()),
            words => write!(f, "; {words}"),
        }
    }
}

impl ProbeReport {
    /// Builds the report of a job from its scores.
    pub(super) fn new(
        job: &ProbingJob,
        done: Done,
        scores: Vec<ScoreRow>,
        predictions: Option<Vec<PredictionRow>>,
    ) -> Result<ProbeReport> {
        let dataset = job.extraction.dataset();
        Ok(ProbeReport {
            dataset: dataset.name.clone(),
            kind: dataset.kind.clone(),
            model: job.extraction.model.name.clone(),
            results: job.results(),
            folder: job.folder(),
            audit: job.audit()?,
            trained_on: job
                .train
                .map(|train| train.dataset().name.clone())
                .filter(|name| *name != dataset.name),
            done,
            best: BestLayer::of(&dataset.name, &scores)?,
            scores,
            predictions,
        })
    }

    /// Loads the report of an earlier run.
    pub(super) fn load(job: &ProbingJob) -> Result<ProbeReport> {
        let file = job.folder().join(SCORES_FILE);
        let scores = load_rows(&file)?;
        // Cards of earlier versions have no hash of the scores, so check at least that each hook point has a score.
        let is_scored = |point: &HookPoint| test_r2(&scores, RIDGE, Some(*point)).is_some();
        if let Some(point) = job.extraction.points().iter().find(|point| !is_scored(point)) {
            let expected = format!(
                "scores of every hook point; move {} away, and the same command makes them again",
                job.folder().display()
            );
            return Err(Error::bad_file(file, format!("no test R² at {point}"), expected));
        }
        ProbeReport::new(job, Done::Before, scores, None)
    }

    /// True if the probes predict the targets of test entities of their own dataset: the interval of R² lies above 0.
    pub fn predicts(&self) -> bool {
        self.best.low > 0.0 && self.trained_on.is_none()
    }

    /// The column whose classes were predicted.
    pub fn classes(&self) -> Option<&str> {
        let of_class = self.scores.iter().find(|row| row.metric == ACCURACY);
        of_class.map(|row| row.target.as_str())
    }

    /// The best layer.
    pub fn best(&self) -> BestLayer {
        self.best
    }

    /// The test R² of a baseline, by the name of its method in the rows: `names-only`, `untrained`, …; for a
    /// baseline that uses a model, at the best layer.
    pub fn baseline(&self, method: &str) -> Option<f64> {
        let at_best = test_r2(&self.scores, method, Some(self.best.point));
        at_best.or_else(|| test_r2(&self.scores, method, None)).map(|row| row.value)
    }

    /// The rows for figures.
    ///
    /// # Errors
    /// Those of loading the predictions' file, if an earlier run computed them.
    pub fn drawn(&self) -> Result<Drawn> {
        let predictions = match &self.predictions {
            Some(predictions) => predictions.clone(),
            None => load_rows(&self.folder.join(PREDICTIONS_FILE))?,
        };
        let (dataset, scores) = (self.dataset.to_string(), self.scores.clone());
        Ok(Drawn { dataset, scores, predictions, neurons: Vec::new(), strata: Vec::new() })
    }
}
