//! The mean absolute error, in the target's unit.

use super::counted::mean_counted;
use super::predicted::{Column, Predicted};
use super::score::{OverCounts, TargetScore};
use crate::datasets::TargetKind;
use crate::error::Result;

/// The mean absolute error of each target, and its mean over several targets; the metric's name contains the unit.
pub(super) fn scores(predicted: &Predicted) -> Result<Vec<TargetScore>> {
    let of = |c: &Column| -> OverCounts {
        let errors: Vec<f64> = c.truth.iter().zip(c.predicted.iter()).map(|(t, p)| (t - p).abs()).collect();
        Box::new(move |counts| mean_counted(&errors, counts))
    };
    let mut scores = predicted.each_and_mean(&name(predicted.kind), of);
    if predicted.columns.len() == 1 {
        scores.pop();
    }
    Ok(scores)
}

/// The metric's name: `mae` and the unit.
fn name(kind: &TargetKind) -> String {
    match kind.unit() {
        "" => "mae".into(),
        unit => format!("mae_{}", unit.replace(char::is_whitespace, "_")),
    }
}

/// The mean absolute difference between truth and prediction, in the target's unit.
pub fn mae(truth: &[f64], predicted: &[f64]) -> f64 {
    truth.iter().zip(predicted).map(|(t, p)| (t - p).abs()).sum::<f64>() / truth.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::fixture::{Fixture, assert_close};

    #[test]
    fn it_equals_scikit_learns() {
        for case in Fixture::load().scores {
            assert_close(mae(&case.truth, &case.predicted), case.mae);
        }
    }
}
