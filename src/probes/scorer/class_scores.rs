//! Scores of predicted classes: of classifiers and of baselines.

use super::rows::Heading;
use super::settings::{Baselines, Scorer};
use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::probes::baselines::CLASS_BASELINES;
use crate::probes::classes::{ClassPredictions, Classes};
use crate::probes::metrics::{CLASS_METRICS, OfTwo, PredictedClasses};
use crate::probes::readers::ClassificationTask;
use crate::results::{SHUFFLED, ScoreRow};
use ndarray::{Array2, ArrayView2, Axis};
use std::sync::Arc;

/// Trains on the entities of the first argument and predicts the classes of those of the second.
type Predict<'a> = dyn Fn(&[usize], &[usize]) -> Result<ClassPredictions> + 'a;

impl Scorer<'_> {
    /// The scores of the classifiers at a hook point. Without a baseline name, fits to shuffled classes are scored too,
    /// unless baselines are omitted; with one, the rows have the baseline's name after the classifier's.
    pub(super) fn classifier_scores(
        &self,
        point: HookPoint,
        activations: ArrayView2<f32>,
        baseline: Option<&str>,
    ) -> Result<Vec<ScoreRow>> {
        let Some(classes) = &self.classes else { return Ok(Vec::new()) };
        let mut rows = Vec::new();
        let with_shuffled = baseline.is_none() && self.baselines == Baselines::Included;
        for classifier in &self.classifiers {
            let predict = |train: &[usize], labelled: &[usize], test: &[usize]| {
                let (of, n_classes) = (classes.select(labelled), classes.names.len());
                let activations = activations.view();
                classifier.classify(&ClassificationTask { activations, train, classes: &of, n_classes, test })
            };
            let name = |baseline: &str| format!("{}/{baseline}", classifier.name());
            let own = baseline.map_or(classifier.name().into(), name);
            let predicted = self.predict_folds(classes, &|train, test| predict(train, train, test))?;
            rows.extend(self.score_classes(&Heading::test(&own, Some(point)), classes, predicted));
            if with_shuffled {
                let shuffled = |train: &[usize], test: &[usize]| predict(train, &self.shuffled(train), test);
                let predicted = self.predict_folds(classes, &shuffled)?;
                let name = name(SHUFFLED);
                rows.extend(self.score_classes(&Heading::test(&name, Some(point)), classes, predicted));
            }
        }
        Ok(rows)
    }

    /// The scores of the baselines of classes that need no model; none if no classes are predicted.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] if the training entities of a fold have only one class, or are too few.
    pub fn class_baselines(&self) -> Result<Vec<ScoreRow>> {
        let Some(classes) = &self.classes else { return Ok(Vec::new()) };
        let mut rows = Vec::new();
        for baseline in CLASS_BASELINES {
            let predict = baseline.class_predictor(self.baseline_data(), classes);
            let predicted = self.predict_folds(classes, &predict)?;
            rows.extend(self.score_classes(&Heading::test(baseline.name(), None), classes, predicted));
        }
        Ok(rows)
    }

    /// Predicts the classes of the test entities fold by fold; returns them in ascending order of entities.
    fn predict_folds(&self, classes: &Classes, predict: &Predict) -> Result<ClassPredictions> {
        let n = self.dataset.entities.len();
        let mut all = ClassPredictions {
            classes: vec![usize::MAX; n],
            scores: Array2::from_elem((n, classes.names.len()), f64::NEG_INFINITY),
        };
        for fold in &self.split.folds {
            let mut of_train = fold.train.iter().map(|&i| classes.of[i]);
            let first = of_train.next();
            if of_train.all(|class| Some(class) == first) {
                return Err(classes.one_class(first.iter()));
            }
            let found = predict(&fold.train, &fold.test)?;
            for ((&entity, class), scores) in fold.test.iter().zip(found.classes).zip(found.scores.rows()) {
                all.classes[entity] = class;
                all.scores.row_mut(entity).assign(&scores);
            }
        }
        let test = self.split.test();
        let classes = test.iter().map(|&entity| all.classes[entity]).collect();
        Ok(ClassPredictions { classes, scores: all.scores.select(Axis(0), &test) })
    }

    /// The scores of the predicted classes of all test entities.
    pub(super) fn score_classes(
        &self,
        heading: &Heading,
        classes: &Classes,
        predicted: ClassPredictions,
    ) -> Vec<ScoreRow> {
        let test = self.split.test();
        let of_two = classes
            .positive()
            .map(|positive| OfTwo { positive, decision: Arc::new(predicted.decision(positive).to_vec()) });
        let predicted = PredictedClasses {
            column: classes.column.clone(),
            n_classes: classes.names.len(),
            truth: Arc::new(classes.select(&test)),
            predicted: Arc::new(predicted.classes),
            of_two,
        };
        let scores = CLASS_METRICS.iter().filter_map(|metric| metric(&predicted)).collect();
        self.rows_of(heading, &test, scores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::bundled;
    use crate::results::{MAJORITY, NAMES_ONLY};

    #[test]
    fn training_entities_of_one_class_are_refused() {
        // Two classes, of which the training entities have only one.
        let dataset = bundled("us_place").unwrap();
        let labels: Vec<String> = dataset.entities.iter().map(|e| e.is_test.to_string()).collect();
        let mut scorer = Scorer::with_dataset_split(&dataset, "small", "empty").unwrap();
        scorer.classes = Some(Classes::by_labels("is_test", &labels).unwrap());
        let error = scorer.class_baselines().unwrap_err().to_string();
        assert!(error.contains("`false`") && error.contains("two classes"), "{error}");
    }

    #[test]
    fn names_predict_better_than_the_majority_class() {
        let dataset = bundled("world_place").unwrap();
        let mut scorer = Scorer::with_dataset_split(&dataset, "small", "empty").unwrap();
        scorer.bootstrap.n_resamples = 50;
        scorer.classes = Some(Classes::of(&dataset, "continent").unwrap());
        let rows = scorer.class_baselines().unwrap();
        assert_eq!(rows.len(), 6);
        let accuracy = |method: &str| {
            let row = rows.iter().find(|r| r.method == method && r.metric == "accuracy").unwrap();
            assert!(row.low <= row.value && row.value <= row.high && row.low < row.high, "{row:?}");
            assert_eq!((row.target.as_str(), row.hook_point.as_str()), ("continent", ""));
            row.value
        };
        assert!(accuracy(NAMES_ONLY) > accuracy(MAJORITY) + 0.1);
    }
}
