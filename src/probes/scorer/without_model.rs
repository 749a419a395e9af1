//! Scores of the baselines that need no model.

use super::held_out::HeldOutPredictions;
use super::rows::Heading;
use super::settings::Scorer;
use crate::error::Result;
use crate::probes::baselines::{BASELINES, ModelFreeBaseline};
use crate::results::{ScoreRow, TRAIN};
use ndarray::{Array2, Axis};

/// A baseline with its scores.
#[derive(Debug, Clone)]
pub struct ScoredBaseline {
    /// The scores.
    pub rows: Vec<ScoreRow>,
    /// The prediction for each entity, `[n_entities, n_targets]`.
    pub predictions: Array2<f64>,
}

impl Scorer<'_> {
    /// Scores a baseline on test entities; with a single fold, also on training entities.
    ///
    /// # Errors
    /// The errors of the baseline's fit.
    pub fn baseline(&self, baseline: &dyn ModelFreeBaseline) -> Result<ScoredBaseline> {
        let method = baseline.name();
        let predict = baseline.predictor(self.baseline_data());
        let mut held_out = HeldOutPredictions::new(self.dataset);
        let mut of_train: Vec<ScoreRow> = Vec::new();
        for fold in &self.split.folds {
            let predicted = predict(&fold.train)?;
            held_out.put(method, &fold.test, &predicted.select(Axis(0), &fold.test));
            if self.split.folds.len() == 1 {
                let heading = Heading { method, point: None, split: TRAIN };
                let predicted = predicted.select(Axis(0), &fold.train);
                of_train = self.score_predictions(&heading, &fold.train, &predicted)?;
                held_out.put(method, &fold.train, &predicted);
            }
        }
        let predictions = held_out.get(method).cloned().unwrap_or_default();
        let test = self.split.test();
        let predicted = predictions.select(Axis(0), &test);
        let rows = self.score_predictions(&Heading::test(method, None), &test, &predicted)?;
        Ok(ScoredBaseline { rows: [rows, of_train].concat(), predictions })
    }

    /// The scores of all baselines that need no model; baselines of classes come last.
    ///
    /// # Errors
    /// As [`Scorer::baseline`] and [`Scorer::class_baselines`].
    pub fn baselines_without_model(&self) -> Result<Vec<ScoreRow>> {
        let mut rows = Vec::new();
        for baseline in BASELINES {
            rows.extend(self.baseline(baseline)?.rows);
        }
        rows.extend(self.class_baselines()?);
        Ok(rows)
    }
}
