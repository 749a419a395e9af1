//! The surplus of the activations over the text for classes: accuracy and log-loss.

use super::rows::Heading;
use super::settings::Scorer;
use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::probes::baselines::SparseRows;
use crate::probes::classes::{ClassPredictions, Classes};
use crate::probes::metrics::{ClassLosses, class_gains, log_loss_scores};
use crate::probes::splits::Fold;
use crate::probes::text::{Calibration, TextBlocks, TextKind, With, log_shares};
use crate::results::{NAMES_ONLY, RIDGE, ScoreRow};
use ndarray::{Array2, ArrayView2, Axis};
use std::sync::Arc;

/// The text baselines of classes with their scores.
#[derive(Debug, Clone)]
pub(super) struct ClassTexts {
    /// The scores of the text baselines; of names-only, only those that need probabilities.
    pub rows: Vec<ScoreRow>,
    /// The text columns of each fold.
    folds: Vec<TextBlocks>,
    /// The losses of each text baseline on the test entities.
    alone: Vec<(TextKind, ClassLosses)>,
}

/// The predictions of classes for test entities, collected fold by fold.
struct HeldOutClasses {
    /// The predictions of 0/1 targets, `[n_entities, n_classes]`.
    scores: Array2<f64>,
    log_probabilities: Array2<f64>,
    /// The log-probabilities that are the shares of the classes.
    log_shares: Array2<f64>,
}

impl Scorer<'_> {
    /// Fits the text baselines of the classes in all folds; `None` if no classes are predicted.
    pub(super) fn class_texts(&self, features: &SparseRows) -> Result<Option<ClassTexts>> {
        let Some(classes) = &self.classes else { return Ok(None) };
        let data = self.baseline_data();
        let of_fold = |fold: &Fold| TextBlocks::of(&data, features, fold, indicators(classes, &fold.train));
        let folds: Vec<TextBlocks> = self.split.folds.iter().map(of_fold).collect::<Result<_>>()?;
        let n_folds = folds.len();
        let mut texts = ClassTexts { rows: Vec::new(), folds, alone: Vec::new() };
        for kind in self.text_kinds() {
            let fit = self.fit_classes(&texts, kind, &mut vec![With::default(); n_folds])?;
            let losses = self.class_losses(classes, &fit);
            let heading = Heading::test(kind.name(), None);
            if kind.name() != NAMES_ONLY {
                texts.rows.extend(self.score_classes(&heading, classes, self.test_predictions(&fit)));
            }
            let scores = log_loss_scores(&classes.column, &losses);
            texts.rows.extend(self.rows_of(&heading, &self.split.test(), scores));
            texts.alone.push((kind, losses));
        }
        Ok(Some(texts))
    }

    /// Fits each text baseline of the classes together with the activations at a hook point; returns the scores of both
    /// together, and the surplus over the text alone.
    pub(super) fn class_surplus(
        &self,
        texts: &ClassTexts,
        point: HookPoint,
        activations: ArrayView2<f32>,
    ) -> Result<Vec<ScoreRow>> {
        let Some(classes) = &self.classes else { return Ok(Vec::new()) };
        let (test, mut rows) = (self.split.test(), Vec::new());
        let mut with = vec![With { activations: Some(activations), weight: None }; texts.folds.len()];
        for (kind, alone) in &texts.alone {
            let fit = self.fit_classes(texts, *kind, &mut with)?;
            let both = self.class_losses(classes, &fit);
            let method = format!("{RIDGE}+{}", kind.name());
            let heading = Heading::test(&method, Some(point));
            rows.extend(self.score_classes(&heading, classes, self.test_predictions(&fit)));
            let mut scores = log_loss_scores(&classes.column, &both);
            scores.extend(class_gains(&classes.column, &both, alone));
            rows.extend(self.rows_of(&heading, &test, scores));
        }
        Ok(rows)
    }

    /// Fits a text baseline, with the activations if `with` has them, and predicts the test entities of each fold; keeps
    /// the weights of the word vectors as the next start.
    fn fit_classes(&self, texts: &ClassTexts, kind: TextKind, with: &mut [With]) -> Result<HeldOutClasses> {
        let (data, n) = (self.baseline_data(), self.dataset.entities.len());
        let n_classes = self.classes.as_ref().map_or(0, |classes| classes.names.len());
        let empty = || Array2::from_elem((n, n_classes), f64::NAN);
        let mut all = HeldOutClasses { scores: empty(), log_probabilities: empty(), log_shares: empty() };
        for ((fold, blocks), with) in self.split.folds.iter().zip(&texts.folds).zip(with) {
            let activations = with.activations.as_ref().map(|activations| activations.view());
            let fit = blocks.fit(kind, &data, fold, With { activations, weight: with.weight })?;
            let Some(fit) = fit else { continue };
            if kind.has_vectors() {
                with.weight = Some(fit.weight);
            }
            let of_train =
                self.classes.as_ref().map(|classes| classes.select(&fold.train)).unwrap_or_default();
            let calibration = Calibration::of(&fit.leave_one_out, &of_train);
            let scores = fit.predictions.select(Axis(0), &fold.test);
            let log_probabilities = calibration.log_probabilities(&scores);
            let log_shares = log_shares(&of_train, n_classes);
            for (row, &entity) in fold.test.iter().enumerate() {
                all.scores.row_mut(entity).assign(&scores.row(row));
                all.log_probabilities.row_mut(entity).assign(&log_probabilities.row(row));
                all.log_shares.row_mut(entity).assign(&log_shares);
            }
        }
        Ok(all)
    }

    /// The predicted classes of the test entities: those of the greatest predictions.
    fn test_predictions(&self, fit: &HeldOutClasses) -> ClassPredictions {
        ClassPredictions::of_scores(fit.scores.select(Axis(0), &self.split.test()))
    }

    fn class_losses(&self, classes: &Classes, fit: &HeldOutClasses) -> ClassLosses {
        let test = self.split.test();
        let truth = classes.select(&test);
        let losses = |of: &Array2<f64>| -> Vec<f64> {
            test.iter().zip(&truth).map(|(&entity, &class)| -of[[entity, class]]).collect()
        };
        let predicted = self.test_predictions(fit).classes;
        let is_right = predicted.iter().zip(&truth).map(|(p, t)| f64::from(u8::from(p == t))).collect();
        ClassLosses {
            losses: Arc::new(losses(&fit.log_probabilities)),
            of_shares: Arc::new(losses(&fit.log_shares)),
            is_right: Arc::new(is_right),
        }
    }
}

/// A column per class: 1 for entities of the class, 0 for the others.
fn indicators(classes: &Classes, entities: &[usize]) -> Array2<f64> {
    let of = classes.select(entities);
    let is_class = |(i, class): (usize, usize)| f64::from(u8::from(of[i] == class));
    Array2::from_shape_fn((entities.len(), classes.names.len()), is_class)
}

#[cfg(test)]
#[path = "class_surplus_tests.rs"]
mod tests;
