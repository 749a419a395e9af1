//! Scores of the text baselines, and the surplus of the activations over them.

use super::class_surplus::ClassTexts;
use super::held_out::HeldOutPredictions;
use super::rows::Heading;
use super::settings::Scorer;
use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::probes::baselines::name_features;
use crate::probes::metrics::{Predicted, gain, r2_scores};
use crate::probes::splits::Fold;
use crate::probes::text::{TextBlocks, TextKind, With};
use crate::results::{NAMES_ONLY, RIDGE, SURPLUS, ScoreRow};
use ndarray::{Array2, ArrayView2, Axis};

/// Maximum number of folds for which a surplus is computed: each fold needs about ten fits per hook point.
pub(super) const MAX_FOLDS: usize = 20;

/// The fewest entities or groups that are resampled for the interval of a surplus.
pub(super) const LEAST_UNITS: usize = 5;

/// The text baselines of a dataset with their scores.
#[derive(Debug, Clone)]
pub struct TextScores {
    /// The scores of the text baselines, except names-only.
    pub rows: Vec<ScoreRow>,
    /// The text columns of each fold.
    pub(super) folds: Vec<TextBlocks>,
    /// The predictions of each text baseline for test entities, `[n_entities, n_targets]`.
    pub(super) predictions: Vec<(TextKind, Array2<f64>)>,
    /// Those of the classes, if classes are predicted.
    classes: Option<ClassTexts>,
}

/// The predictions of a text baseline for the test entities, without and with the activations, `[n_test, n_targets]`.
pub(super) struct WithText {
    pub kind: TextKind,
    pub alone: Array2<f64>,
    pub both: Array2<f64>,
}

impl Scorer<'_> {
    /// Fits the text baselines of all folds; `None` for a split of more than 20 folds, or for fewer than 5 groups to
    /// resample, whose intervals say nothing.
    ///
    /// # Errors
    /// Those of the fits.
    pub fn text_scores(&self) -> Result<Option<TextScores>> {
        if !self.has_surplus() {
            return Ok(None);
        }
        let data = self.baseline_data();
        let features = name_features(&data.entity_names());
        let of_fold = |fold: &Fold| TextBlocks::of(&data, &features, fold, self.targets(&fold.train));
        let folds: Vec<TextBlocks> = self.split.folds.iter().map(of_fold).collect::<Result<_>>()?;
        let (mut held_out, n_folds) = (HeldOutPredictions::new(self.dataset), folds.len());
        let mut text = TextScores { rows: Vec::new(), folds, predictions: Vec::new(), classes: None };
        for kind in self.text_kinds() {
            self.fit_text(&text, kind, &mut vec![With::default(); n_folds], &mut held_out)?;
            let Some(predictions) = held_out.get(kind.name()).cloned() else { continue };
            if kind.name() != NAMES_ONLY {
                let test = self.split.test();
                let predicted = predictions.select(Axis(0), &test);
                text.rows.extend(self.score_predictions(
                    &Heading::test(kind.name(), None),
                    &test,
                    &predicted,
                )?);
            }
            text.predictions.push((kind, predictions));
        }
        text.classes = self.class_texts(&features)?;
        text.rows.extend(text.classes.iter().flat_map(|classes| classes.rows.clone()));
        Ok(Some(text))
    }

    /// Fits each text baseline together with the activations at a hook point; returns the R² of both together, and the
    /// surplus over the text alone; for classes, accuracy and log-loss.
    ///
    /// # Shapes
    /// `activations` is `[n_entities, d_model]`, in dataset order.
    ///
    /// # Errors
    /// Those of the fits.
    pub fn surplus(
        &self,
        text: &TextScores,
        point: HookPoint,
        activations: ArrayView2<f32>,
    ) -> Result<Vec<ScoreRow>> {
        let test = self.split.test();
        let truth = self.targets(&test);
        let mut rows = Vec::new();
        for WithText { kind, alone, both } in self.with_text(text, activations)? {
            let predicted = Predicted::of(&self.dataset.kind, self.metrics, &truth, &both);
            let mut scores = r2_scores(&predicted)?;
            scores.extend(gain(SURPLUS, &predicted, &alone));
            let method = format!("{RIDGE}+{}", kind.name());
            rows.extend(self.rows_of(&Heading::test(&method, Some(point)), &test, scores));
        }
        if let Some(classes) = &text.classes {
            rows.extend(self.class_surplus(classes, point, activations)?);
        }
        Ok(rows)
    }

    /// Fits each text baseline together with activations.
    ///
    /// # Shapes
    /// `activations` is `[n_entities, d_model]`, in dataset order.
    ///
    /// # Errors
    /// Those of the fits.
    pub(super) fn with_text(&self, text: &TextScores, activations: ArrayView2<f32>) -> Result<Vec<WithText>> {
        let test = self.split.test();
        let mut all = Vec::new();
        // The best weight of the vectors without the n-grams is near the best weight with them.
        let mut with = vec![With { activations: Some(activations), weight: None }; text.folds.len()];
        for (kind, alone) in &text.predictions {
            let mut held_out = HeldOutPredictions::new(self.dataset);
            self.fit_text(text, *kind, &mut with, &mut held_out)?;
            let Some(both) = held_out.get(kind.name()) else { continue };
            let of_test = |values: &Array2<f64>| values.select(Axis(0), &test);
            all.push(WithText { kind: *kind, alone: of_test(alone), both: of_test(both) });
        }
        Ok(all)
    }

    /// True if a surplus is computed: the split has at most 20 folds, and there are at least 5 groups to resample.
    pub fn has_surplus(&self) -> bool {
        self.split.folds.len() <= MAX_FOLDS && self.units(&self.split.test()).n_units() >= LEAST_UNITS
    }

    /// The text baselines that can be fitted.
    pub(super) fn text_kinds(&self) -> impl Iterator<Item = TextKind> {
        let has_vectors = self.vectors.is_some();
        TextKind::ALL.into_iter().filter(move |kind| has_vectors || !kind.has_vectors())
    }

    /// Collects the predictions of a text baseline for the test entities of each fold, and keeps the weights of its
    /// word vectors as the next start.
    fn fit_text(
        &self,
        text: &TextScores,
        kind: TextKind,
        with: &mut [With],
        held_out: &mut HeldOutPredictions,
    ) -> Result<()> {
        let data = self.baseline_data();
        for ((fold, blocks), with) in self.split.folds.iter().zip(&text.folds).zip(with) {
            let activations = with.activations.as_ref().map(|activations| activations.view());
            let fit = blocks.fit(kind, &data, fold, With { activations, weight: with.weight })?;
            let Some(fit) = fit else { continue };
            held_out.put(kind.name(), &fold.test, &fit.predictions.select(Axis(0), &fold.test));
            if kind.has_vectors() {
                with.weight = Some(fit.weight);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "surplus_tests.rs"]
mod tests;
