//! Scores of predicted classes: accuracy, balanced accuracy, macro F1.

use super::counted::mean;
use super::score::TargetScore;
use std::sync::Arc;

/// A metric of predicted classes; `None` if it does not apply to them.
pub(in crate::probes) type ClassMetric = fn(&PredictedClasses) -> Option<TargetScore>;

/// The true and predicted classes of a set of rows.
#[derive(Clone)]
pub(in crate::probes) struct PredictedClasses {
    /// The column of the classes; the target's name in result rows.
    pub column: String,
    /// The number of classes.
    pub n_classes: usize,
    /// The true class of each row.
    pub truth: Arc<Vec<usize>>,
    /// The predicted class of each row.
    pub predicted: Arc<Vec<usize>>,
    /// For two classes, the scores of the positive one.
    pub of_two: Option<OfTwo>,
}

/// The scores of the positive one of two classes.
#[derive(Clone)]
pub(in crate::probes) struct OfTwo {
    /// The positive class.
    pub positive: usize,
    /// A number for each row, greater for a row that is more likely of the positive class.
    pub decision: Arc<Vec<f64>>,
}

/// The share of rows with a correct prediction.
pub(super) fn accuracy(classes: &PredictedClasses) -> Option<TargetScore> {
    let pairs = classes.truth.iter().zip(classes.predicted.iter());
    let is_right: Vec<f64> = pairs.map(|(t, p)| f64::from(u8::from(t == p))).collect();
    Some(TargetScore::mean_of("accuracy", &classes.column, is_right))
}

/// The share of correct rows of each class, averaged over the classes that occur.
pub(super) fn balanced_accuracy(classes: &PredictedClasses) -> Option<TargetScore> {
    let all = classes.clone();
    Some(TargetScore::new("balanced_accuracy", &classes.column, move |counts| {
        let hits = Hits::of(&all, counts);
        let shares = (0..all.n_classes).filter(|&c| hits.truth[c] > 0.0);
        mean(&shares.map(|c| hits.right[c] / hits.truth[c]).collect::<Vec<f64>>())
    }))
}

/// F1 of each class, averaged over the classes that occur or are predicted.
pub(super) fn macro_f1(classes: &PredictedClasses) -> Option<TargetScore> {
    let all = classes.clone();
    Some(TargetScore::new("macro_f1", &classes.column, move |counts| {
        let hits = Hits::of(&all, counts);
        let any = (0..all.n_classes).filter(|&c| hits.truth[c] + hits.predicted[c] > 0.0);
        let f1 = |c: usize| 2.0 * hits.right[c] / (hits.truth[c] + hits.predicted[c]);
        mean(&any.map(f1).collect::<Vec<f64>>())
    }))
}

/// The number of rows per class: by truth, by prediction, and by both (correct).
struct Hits {
    truth: Vec<f64>,
    predicted: Vec<f64>,
    right: Vec<f64>,
}

impl Hits {
    fn of(classes: &PredictedClasses, counts: &[f64]) -> Hits {
        let zeros = vec![0.0; classes.n_classes];
        let mut hits = Hits { truth: zeros.clone(), predicted: zeros.clone(), right: zeros };
        for ((&truth, &predicted), count) in classes.truth.iter().zip(classes.predicted.iter()).zip(counts) {
            hits.truth[truth] += count;
            hits.predicted[predicted] += count;
            if truth == predicted {
                hits.right[truth] += count;
            }
        }
        hits
    }
}

#[cfg(test)]
mod tests {
    use super::super::score::values;
    use super::*;
    use crate::probes::fixture::{Fixture, assert_close};
    use crate::probes::metrics::CLASS_METRICS;

    #[test]
    fn scores_equal_those_of_scikit_learn() {
        for case in Fixture::load().classes {
            let truth = Arc::new(case.labels[case.n_train..].to_vec());
            let counts = vec![1.0; truth.len()];
            let predicted = Arc::new(case.logistic.clone());
            let column = "kind".to_string();
            let classes = PredictedClasses { column, n_classes: 4, truth, predicted, of_two: None };
            let scores: Vec<_> = CLASS_METRICS.iter().filter_map(|metric| metric(&classes)).collect();
            assert_eq!(scores.len(), 3);
            let expected = [case.accuracy, case.balanced_accuracy, case.macro_f1];
            let found = values(&scores, &counts);
            found.into_iter().zip(expected).for_each(|(found, expected)| assert_close(found, expected));
        }
    }
}
