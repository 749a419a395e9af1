//! The registry of figures: the name, the subject and the drawing of each.

use super::dose_by_layer::dose_by_layer;
use super::dose_response::dose_response;
use super::effect_by_kl::effect_by_kl;
use super::format::{Caption, Format};
use super::neurons::neurons;
use super::predictions::predictions;
use super::r2_by_layer::r2_by_layer;
use super::text_by_dose::text_by_dose;
use crate::error::Result;
use crate::results::{NeuronRow, PredictionRow, ScoreRow, SweepPoint, SweepRow};

/// Every figure, in the order in which the figures of one subject are drawn.
pub const FIGURES: [FigureKind; 7] = [
    FigureKind {
        name: "predictions",
        about: "predicted against true places or numbers of a dataset",
        subject: Subject::Dataset { suffix: "" },
        applies: |rows| !rows.predictions.rows.is_empty(),
        draw: |rows, format| predictions(&rows.predictions.rows, &rows.predictions.caption(), format),
    },
    FigureKind {
        name: "neurons",
        about: "rank correlations of a dataset's target with MLP units",
        subject: Subject::Dataset { suffix: "_neurons" },
        applies: |rows| !rows.neurons.rows.is_empty(),
        draw: |rows, format| neurons(&rows.neurons.rows, &rows.neurons.caption(), format),
    },
    FigureKind {
        name: "r2_by_layer",
        about: "R² at each depth beside its baselines, for all datasets",
        subject: Subject::Datasets,
        applies: |rows| !rows.scores.is_empty(),
        draw: |rows, format| r2_by_layer(&rows.scores, format),
    },
    FigureKind {
        name: "dose_response",
        about: "the effect of a sweep's doses on readings and on the next token",
        subject: Subject::Sweep,
        applies: |rows| has_probe(&rows.sweep),
        draw: |rows, format| dose_response(&rows.sweep, format),
    },
    FigureKind {
        name: "text_by_dose",
        about: "the places or times that a sweep's texts name",
        subject: Subject::Sweep,
        // Without a name in an unsteered text, no text can be said to have moved.
        applies: |rows| has_probe(&rows.sweep) && rows.sweep.iter().any(is_unsteered_with_name),
        draw: |rows, format| text_by_dose(&rows.sweep, format),
    },
    FigureKind {
        name: "dose_by_layer",
        about: "the effect of a sweep at each layer and dose",
        subject: Subject::Sweep,
        applies: |rows| !rows.points.rows.is_empty(),
        draw: |rows, format| dose_by_layer(&rows.points.rows, &rows.points.title, format),
    },
    FigureKind {
        name: "effect_by_kl",
        about: "the effect of a sweep against the divergence of the next token",
        subject: Subject::Sweep,
        applies: |rows| !rows.points.rows.is_empty(),
        draw: |rows, format| effect_by_kl(&rows.points.rows, &rows.points.title, format),
    },
];

/// A kind of picture.
#[derive(Debug, Clone, Copy)]
pub struct FigureKind {
    /// The name, on the command line and in files.
    pub name: &'static str,
    /// The content in one line.
    pub about: &'static str,
    /// The results that one picture shows.
    pub subject: Subject,
    applies: fn(&SavedRows) -> bool,
    draw: fn(&SavedRows, Format) -> Result<Vec<u8>>,
}

/// The results that one picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// All datasets of a model and a prompt.
    Datasets,
    /// One dataset.
    Dataset {
        /// The end of the file's name, after that of the dataset.
        suffix: &'static str,
    },
    /// One sweep.
    Sweep,
}

/// The saved rows of one subject; each figure uses the rows that it needs.
#[derive(Debug, Clone, Default)]
pub struct SavedRows {
    /// Scores of all datasets.
    pub scores: Vec<ScoreRow>,
    /// Predictions of one dataset.
    pub predictions: Captioned<PredictionRow>,
    /// MLP units of one dataset.
    pub neurons: Captioned<NeuronRow>,
    /// Rows of one sweep, of the directions `probe` and `random`.
    pub sweep: Vec<SweepRow>,
    /// Points of one sweep; the title names their effect and its unit.
    pub points: Captioned<SweepPoint>,
}

/// Rows, and the words over their picture.
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
    /// The words as figures take them.
    pub fn caption(&self) -> Caption<'_> {
        Caption { title: &self.title, subtitle: &self.subtitle, baselines: &self.baselines }
    }
}

impl FigureKind {
    /// True if the rows are enough for this figure.
    pub fn applies(&self, rows: &SavedRows) -> bool {
        (self.applies)(rows)
    }

    /// Draws the figure.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) or [`Error::NonFinite`](crate::Error::NonFinite) for rows that cannot be
    /// drawn.
    pub fn draw(&self, rows: &SavedRows, format: Format) -> Result<Vec<u8>> {
        (self.draw)(rows, format)
    }

    /// The name of its files, without their ending; `dataset` is that of [`Subject::Dataset`].
    pub fn file_name(&self, dataset: &str) -> String {
        match self.subject {
            Subject::Dataset { suffix } => format!("{dataset}{suffix}"),
            Subject::Datasets | Subject::Sweep => self.name.to_string(),
        }
    }
}

fn has_probe(rows: &[SweepRow]) -> bool {
    rows.iter().any(|row| row.direction == "probe")
}

fn is_unsteered_with_name(row: &SweepRow) -> bool {
    row.dose == 0.0 && row.named_value.is_some()
}

#[cfg(test)]
mod tests {
    use super::super::test_rows::{places, scores, sweep, texts, units};
    use super::*;

    #[test]
    fn names_differ_and_each_figure_is_drawn_from_its_rows_alone() {
        let point = |dose: f64| SweepPoint { dose, direction: "probe".into(), ..SweepPoint::default() };
        let rows = |only: &str| {
            let is = |name: &str| only.is_empty() || only == name;
            let mut rows = SavedRows::default();
            rows.scores.extend(is("r2_by_layer").then(|| scores(2)).into_iter().flatten());
            rows.predictions.rows.extend(is("predictions").then(|| places(50)).into_iter().flatten());
            rows.neurons.rows.extend(is("neurons").then(|| units(2, 9)).into_iter().flatten());
            rows.sweep.extend(is("dose_response").then(sweep).into_iter().flatten());
            rows.sweep.extend((only == "text_by_dose").then(texts).into_iter().flatten());
            rows.points.rows.extend((only.is_empty() || only == "points").then(|| point(1.0)));
            rows
        };
        let names: std::collections::BTreeSet<&str> = FIGURES.iter().map(|figure| figure.name).collect();
        assert_eq!(names.len(), FIGURES.len());
        for figure in FIGURES {
            let of = if figure.name.contains("by_layer") && figure.name != "r2_by_layer" {
                "points"
            } else {
                figure.name
            };
            let of = if figure.name == "effect_by_kl" { "points" } else { of };
            let own = rows(of);
            assert!(figure.applies(&own) && !figure.applies(&SavedRows::default()), "{}", figure.name);
            assert!(figure.draw(&own, Format::Svg).unwrap().starts_with(b"<svg"), "{}", figure.name);
        }
    }
}
