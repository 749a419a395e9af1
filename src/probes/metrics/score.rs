//! One score of one target, computed over any resample of the rows.

use super::counted::{mean, mean_counted};
use super::resamples::{AT_ONCE, Resamples};

/// The target name of scores of latitude and longitude together.
pub(super) const GREAT_CIRCLE: &str = "great-circle";

/// A score as a function of the count of each row.
pub(super) type OverCounts = Box<dyn Fn(&[f64]) -> f64 + Send + Sync>;
/// The scores of several resamples; lanes without a resample are ignored.
pub(super) type OverResamples = Box<dyn Fn(&Resamples) -> [f64; AT_ONCE] + Send + Sync>;

/// One score of one target, with the data that it is computed from.
pub(in crate::probes) struct TargetScore {
    /// The metric, as result rows name it.
    pub metric: String,
    /// The target, as result rows name it.
    pub target: String,
    formula: Formula,
}

/// The computation of a score.
pub(super) enum Formula {
    /// One resample at a time.
    Single(OverCounts),
    /// Several resamples at once.
    Batched(OverResamples),
    /// The mean of the previous `n` scores of the list, reusing their values.
    MeanOfLast(usize),
}

impl TargetScore {
    /// A score that is computed one resample at a time.
    pub(crate) fn new(
        metric: &str,
        target: &str,
        of: impl Fn(&[f64]) -> f64 + Send + Sync + 'static,
    ) -> TargetScore {
        TargetScore::by(metric, target, Formula::Single(Box::new(of)))
    }

    /// A score by its formula.
    pub(super) fn by(metric: &str, target: &str, formula: Formula) -> TargetScore {
        TargetScore { metric: metric.into(), target: target.into(), formula }
    }

    /// The mean of the given values, one value per entity.
    pub(super) fn mean_of(metric: &str, target: &str, values: Vec<f64>) -> TargetScore {
        TargetScore::new(metric, target, move |counts| mean_counted(&values, counts))
    }
}

/// The values of all scores over rows, each repeated `counts` times.
pub(in crate::probes) fn values(scores: &[TargetScore], counts: &[f64]) -> Vec<f64> {
    values_of_each(scores, &Resamples::single(counts)).remove(0)
}

/// The values of all scores over each of several resamples.
pub(in crate::probes) fn values_of_each(scores: &[TargetScore], resamples: &Resamples) -> Vec<Vec<f64>> {
    let mut all = vec![Vec::with_capacity(scores.len()); resamples.len()];
    for score in scores {
        match &score.formula {
            Formula::Batched(of) => {
                all.iter_mut().zip(of(resamples)).for_each(|(values, value)| values.push(value));
            }
            Formula::Single(of) => {
                all.iter_mut().zip(resamples.each()).for_each(|(values, counts)| values.push(of(counts)));
            }
            Formula::MeanOfLast(n) => {
                all.iter_mut().for_each(|values| values.push(mean(&values[values.len() - n..])));
            }
        }
    }
    all
}
