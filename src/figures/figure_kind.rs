//! A kind of figure: its name, its subject, and its drawing from saved rows.

use super::format::{Caption, Format};
use crate::error::Result;
use crate::results::{
    InterchangeRow, LensScoreRow, NeuronRow, PredictionRow, ScoreRow, StratumRow, SweepPoint, SweepRow,
};

/// A kind of figure.
#[derive(Debug, Clone, Copy)]
pub struct FigureKind {
    /// The name, on the command line and in files.
    pub name: &'static str,
    /// The content in one line.
    pub about: &'static str,
    /// The results that one figure shows.
    pub subject: Subject,
    /// True if the rows suffice for this figure.
    pub(super) applies: fn(&SavedRows) -> bool,
    pub(super) draw: fn(&SavedRows, Format) -> Result<Vec<u8>>,
}

/// The results that one figure shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// All datasets of a model and a prompt.
    Datasets,
    /// One dataset.
    Dataset {
        /// The part of the file's name after the dataset's name.
        suffix: &'static str,
    },
    /// One sweep.
    Sweep,
    /// One lens, beside the logit lens.
    Lens,
    /// One causal test.
    Cause,
}

/// The saved rows of one subject; each figure uses the rows that it needs.
#[derive(Debug, Clone, Default)]
pub struct SavedRows {
    /// Scores of all datasets, or of one causal test's probes.
    pub scores: Vec<ScoreRow>,
    /// Predictions of one dataset.
    pub predictions: Captioned<PredictionRow>,
    /// Scores of one dataset's classes at all hook points, and of baselines.
    pub classes: Captioned<ScoreRow>,
    /// Scores of one dataset's probes of few dimensions at one hook point, and of baselines.
    pub sparse: Captioned<ScoreRow>,
    /// MLP neurons of one dataset.
    pub neurons: Captioned<NeuronRow>,
    /// Strata of the test entities of one dataset, over one text and of one target.
    pub strata: Captioned<StratumRow>,
    /// Rows of one sweep, of the directions `probe` and `random`.
    pub sweep: Vec<SweepRow>,
    /// Points of one sweep; the title names their effect and its unit.
    pub points: Captioned<SweepPoint>,
    /// Scores of lenses of one model.
    pub lenses: Vec<LensScoreRow>,
    /// Exchanges of one causal test; `scores` has those of its probes.
    pub causes: Captioned<InterchangeRow>,
}

/// Rows, and the text above their figure.
#[derive(Debug, Clone)]
pub struct Captioned<R> {
    /// The rows.
    pub rows: Vec<R>,
    /// The title.
    pub title: String,
    /// The subtitle.
    pub subtitle: String,
    /// The scores of the baselines.
    pub baselines: String,
}

impl<R> Default for Captioned<R> {
    fn default() -> Captioned<R> {
        Captioned { rows: vec![], title: String::new(), subtitle: String::new(), baselines: String::new() }
    }
}

impl<R> Captioned<R> {
    /// Title, subtitle and baselines as a [`Caption`].
    pub fn caption(&self) -> Caption<'_> {
        Caption { title: &self.title, subtitle: &self.subtitle, baselines: &self.baselines }
    }
}

impl FigureKind {
    /// True if the rows suffice for this figure.
    pub fn applies(&self, rows: &SavedRows) -> bool {
        (self.applies)(rows)
    }

    /// Draws the figure.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) or [`Error::NonFinite`](crate::Error::NonFinite) for rows that
    /// cannot be drawn.
    pub fn draw(&self, rows: &SavedRows, format: Format) -> Result<Vec<u8>> {
        (self.draw)(rows, format)
    }

    /// The name of its files, without their ending; only figures of [`Subject::Dataset`] use `dataset`.
    pub fn file_name(&self, dataset: &str) -> String {
        match self.subject {
            Subject::Dataset { suffix } => format!("{dataset}{suffix}"),
            Subject::Datasets | Subject::Sweep | Subject::Lens | Subject::Cause => self.name.to_string(),
        }
    }
}
