//! Scores of the order in which a classifier of two classes puts the rows: AUROC and average precision.

use super::class_scores::{OfTwo, PredictedClasses};
use super::score::TargetScore;
use crate::results::{AUROC, AVERAGE_PRECISION};

/// The area under the receiver operating characteristic: the probability that a row of the positive class has a greater
/// score than one of the other class; equal scores count half. `None` for more than two classes.
///
/// # Source
/// As scikit-learn's `roc_auc_score`.
pub(super) fn auroc(classes: &PredictedClasses) -> Option<TargetScore> {
    let ranked = Ranked::of(classes)?;
    Some(TargetScore::new(AUROC, &classes.column, move |counts| ranked.auroc(counts)))
}

/// Average precision: the precision at each threshold, weighted by the recall that the threshold adds. `None` for more
/// than two classes.
///
/// # Source
/// As scikit-learn's `average_precision_score`.
pub(super) fn average_precision(classes: &PredictedClasses) -> Option<TargetScore> {
    let ranked = Ranked::of(classes)?;
    Some(TargetScore::new(AVERAGE_PRECISION, &classes.column, move |counts| ranked.average_precision(counts)))
}

/// Rows in groups of equal scores, from the greatest score to the least.
struct Ranked {
    /// The rows, and whether each is of the positive class.
    rows: Vec<(usize, bool)>,
    /// The end of each group in `rows`.
    ends: Vec<usize>,
}

impl Ranked {
    fn of(classes: &PredictedClasses) -> Option<Ranked> {
        let OfTwo { positive, decision } = classes.of_two.as_ref()?;
        let mut rows: Vec<(usize, bool)> =
            classes.truth.iter().map(|class| class == positive).enumerate().collect();
        rows.sort_by(|(a, _), (b, _)| decision[*b].total_cmp(&decision[*a]));
        let is_end = |end: &usize| {
            let next = rows.get(*end);
            next.is_none_or(|(next, _)| decision[*next] != decision[rows[end - 1].0])
        };
        let ends = (1..=rows.len()).filter(is_end).collect();
        Some(Ranked { rows, ends })
    }

    /// Calls a function on each group, with the number of its positive and of its other rows.
    fn for_each_group(&self, counts: &[f64], mut take: impl FnMut(f64, f64)) {
        let mut start = 0;
        for &end in &self.ends {
            let (mut positive, mut all) = (0.0, 0.0);
            for &(row, is_positive) in &self.rows[start..end] {
                all += counts[row];
                positive += if is_positive { counts[row] } else { 0.0 };
            }
            take(positive, all - positive);
            start = end;
        }
    }

    /// NaN if the rows are of one class.
    fn auroc(&self, counts: &[f64]) -> f64 {
        let (mut positives, mut others, mut pairs) = (0.0, 0.0, 0.0);
        self.for_each_group(counts, |positive, other| {
            pairs += other * (positives + positive / 2.0);
            positives += positive;
            others += other;
        });
        pairs / (positives * others)
    }

    /// NaN without a row of the positive class.
    fn average_precision(&self, counts: &[f64]) -> f64 {
        let (mut positives, mut all, mut sum) = (0.0, 0.0, 0.0);
        self.for_each_group(counts, |positive, other| {
            positives += positive;
            all += positive + other;
            if positive > 0.0 {
                sum += positive * positives / all;
            }
        });
        sum / positives
    }
}

#[cfg(test)]
mod tests {
    use super::super::score::values;
    use super::*;
    use serde::Deserialize;
    use std::sync::Arc;

    #[derive(Deserialize)]
    struct Fixture {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        truth: Vec<usize>,
        decision: Vec<f64>,
        counts: Vec<f64>,
        auroc: f64,
        average_precision: f64,
        weighted_auroc: f64,
        weighted_average_precision: f64,
    }

    fn scores(truth: &[usize], decision: &[f64], counts: &[f64]) -> [f64; 2] {
        let classes = PredictedClasses {
            column: "kind".into(),
            n_classes: 2,
            truth: Arc::new(truth.to_vec()),
            predicted: Arc::new(vec![0; truth.len()]),
            of_two: Some(OfTwo { positive: 1, decision: Arc::new(decision.to_vec()) }),
        };
        let scores = [auroc(&classes).unwrap(), average_precision(&classes).unwrap()];
        let found = values(&scores, counts);
        [found[0], found[1]]
    }

    #[test]
    fn they_equal_those_of_scikit_learn() {
        let text = include_str!("../../../tests/fixtures/probes/ranked.json");
        let Fixture { cases } = serde_json::from_str(text).unwrap();
        assert_eq!(cases.len(), 5);
        for case in cases {
            let found = scores(&case.truth, &case.decision, &vec![1.0; case.truth.len()]);
            // Measured: within 3e-16.
            for (found, expected) in found.iter().zip([case.auroc, case.average_precision]) {
                assert!((found - expected).abs() < 1e-12, "{}: {found}, {expected}", case.name);
            }
            let found = scores(&case.truth, &case.decision, &case.counts);
            for (found, expected) in found.iter().zip([case.weighted_auroc, case.weighted_average_precision])
            {
                assert!((found - expected).abs() < 1e-12, "{}: {found}, {expected}", case.name);
            }
        }
    }

    #[test]
    fn one_class_has_no_order() {
        let [auroc, precision] = scores(&[0, 0, 0], &[1.0, 2.0, 3.0], &[1.0; 3]);
        assert!(auroc.is_nan() && precision.is_nan());
        // A constant score orders nothing: half of the pairs, and the share of positive rows.
        assert_eq!(scores(&[0, 1, 0, 0], &[7.0; 4], &[1.0; 4]), [0.5, 0.25]);
    }
}
