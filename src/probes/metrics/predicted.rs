//! Truth and predictions of a set of entities, the input of every metric.

use super::great_circle::place_of_prediction;
use super::score::{Formula, OverCounts, TargetScore};
use super::unit_sphere::{Point, point_of};
use crate::datasets::{Lat, Lon, TargetKind};
use crate::error::Result;
use crate::results::MEAN;
use ndarray::Array2;
use std::sync::Arc;

/// The set of metrics to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Metrics {
    /// Every metric that fits the kind of target.
    #[default]
    Usual,
    /// [`Metrics::Usual`] and the distances of the paper's reference code, which swaps longitude and latitude.
    WithPaper,
}

/// A metric: computes its scores of predictions; no scores if it does not apply to the kind of target.
pub(in crate::probes) type Metric = fn(&Predicted) -> Result<Vec<TargetScore>>;

/// Truth and predictions of one target.
#[derive(Clone)]
pub(super) struct Column {
    pub target: String,
    pub truth: Arc<Vec<f64>>,
    pub predicted: Arc<Vec<f64>>,
}

/// Truth and predictions of all targets of a set of entities.
pub(in crate::probes) struct Predicted<'a> {
    /// The kind of the targets.
    pub kind: &'a TargetKind,
    /// The requested set of metrics.
    pub metrics: Metrics,
    /// The true values, `[n_rows, n_targets]`.
    pub truth: &'a Array2<f64>,
    /// The predictions, `[n_rows, n_targets]`.
    pub predicted: &'a Array2<f64>,
    /// Truth and predictions, one entry per target.
    pub(super) columns: Vec<Column>,
}

impl<'a> Predicted<'a> {
    /// Pairs truth and predictions.
    ///
    /// # Shapes
    /// Both are `[n_rows, n_targets]`.
    pub(crate) fn of(
        kind: &'a TargetKind,
        metrics: Metrics,
        truth: &'a Array2<f64>,
        predicted: &'a Array2<f64>,
    ) -> Predicted<'a> {
        let pairs = truth.columns().into_iter().zip(predicted.columns());
        let columns = kind
            .names()
            .iter()
            .zip(pairs)
            .map(|(target, (truth, predicted))| Column {
                target: target.to_string(),
                truth: Arc::new(truth.to_vec()),
                predicted: Arc::new(predicted.to_vec()),
            })
            .collect();
        Predicted { kind, metrics, truth, predicted, columns }
    }

    /// The scores of several metrics, in their order.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a prediction that is not a number.
    pub(crate) fn scores(&self, metrics: &[Metric]) -> Result<Vec<TargetScore>> {
        Ok(metrics
            .iter()
            .map(|metric| metric(self))
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect())
    }

    /// The score of each target, and the mean over the targets.
    pub(super) fn each_and_mean(
        &self,
        metric: &str,
        mut of: impl FnMut(&Column) -> OverCounts,
    ) -> Vec<TargetScore> {
        self.each_and_mean_by(metric, |column| Formula::Single(of(column)))
    }

    /// As [`Predicted::each_and_mean`], with any [`Formula`] per target.
    pub(super) fn each_and_mean_by(
        &self,
        metric: &str,
        mut of: impl FnMut(&Column) -> Formula,
    ) -> Vec<TargetScore> {
        let each = |column: &Column| TargetScore::by(metric, &column.target, of(column));
        let mut scores: Vec<TargetScore> = self.columns.iter().map(each).collect();
        scores.push(TargetScore::by(metric, MEAN, Formula::MeanOfLast(self.columns.len())));
        scores
    }

    /// True and predicted places; columns are latitude, then longitude.
    pub(super) fn places(&self) -> Result<(Vec<Place>, Vec<Place>)> {
        let places = |of: &Array2<f64>| -> Result<Vec<Place>> {
            of.rows().into_iter().map(|row| place_of_prediction(row[0], row[1])).collect()
        };
        Ok((places(self.truth)?, places(self.predicted)?))
    }

    /// True and predicted places on the unit sphere.
    pub(super) fn points(&self) -> Result<(Vec<Point>, Vec<Point>)> {
        let points = |of: Vec<Place>| of.into_iter().map(|(lat, lon)| point_of(lat, lon)).collect();
        let (truth, predicted) = self.places()?;
        Ok((points(truth), points(predicted)))
    }
}

/// Latitude and longitude.
pub(super) type Place = (Lat, Lon);

#[cfg(test)]
mod tests {
    use super::super::METRICS;
    use super::super::score::{GREAT_CIRCLE, values};
    use super::*;
    use crate::probes::fixture::{Fixture, assert_close};
    use ndarray::array;

    /// The score of a metric and target.
    fn value(kind: TargetKind, truth: &Array2<f64>, predicted: &Array2<f64>, key: [&str; 2]) -> f64 {
        let predicted = Predicted::of(&kind, Metrics::WithPaper, truth, predicted);
        let scores = predicted.scores(&METRICS).unwrap();
        let values = values(&scores, &vec![1.0; truth.nrows()]);
        let all = scores.iter().zip(values);
        let mut found = all.filter(|(score, _)| [score.metric.as_str(), score.target.as_str()] == key);
        let value = found.next().unwrap_or_else(|| panic!("no {key:?}")).1;
        assert!(found.next().is_none(), "two {key:?}");
        value
    }

    #[test]
    fn latitude_is_the_first_column() {
        // One degree of longitude at 60° north is half as long as at the equator.
        let truth = array![[60.0, 10.0], [60.0, 20.0]];
        let predicted = array![[60.0, 11.0], [60.0, 21.0]];
        let place = |key| value(TargetKind::Place, &truth, &predicted, key);
        let km = place(["mean_km", GREAT_CIRCLE]);
        assert!((km - 55.6).abs() < 0.1, "{km}");
        assert!((place(["median_km", GREAT_CIRCLE]) - km).abs() < 1e-9);
        let paper = place(["paper_mean_km", GREAT_CIRCLE]);
        assert!((paper - 111.2).abs() < 0.1, "{paper}");
        assert_eq!(place(["mae_degrees", "latitude"]), 0.0);
        assert_eq!(place(["mae_degrees", MEAN]), 0.5);
    }

    #[test]
    fn predictions_outside_the_map_have_a_distance() {
        let truth = array![[80.0, 179.0], [0.0, 0.0]];
        let predicted = array![[100.0, 181.0], [0.0, 0.0]];
        // To the pole from 80° north: ten degrees.
        let km = value(TargetKind::Place, &truth, &predicted, ["mean_km", GREAT_CIRCLE]) * 2.0;
        assert!((km - 1111.9).abs() < 0.5, "{km}");
    }

    #[test]
    fn years_are_scored_in_years() {
        let truth = array![[1900.0], [1950.0], [2000.0]];
        let predicted = array![[1910.0], [1945.0], [2000.0]];
        let year = |key| value(TargetKind::Year, &truth, &predicted, key);
        assert_eq!(year(["mae_years", "year"]), 5.0);
        assert_eq!(year(["spearman", "year"]), 1.0);
        assert!((year(["kendall", MEAN]) - 1.0).abs() < 1e-15);
        assert!((year(["r2", "year"]) - 0.975).abs() < 1e-12);
        assert_eq!(year(["proximity", "year"]), 0.0);
        let reversed = array![[2000.0], [1950.0], [1900.0]];
        // For the first and the last prediction, both other entities are nearer than the entity itself; for the
        // middle one, none is.
        assert!(
            (value(TargetKind::Year, &truth, &reversed, ["proximity", "year"]) - 4.0 / 9.0).abs() < 1e-12
        );
    }

    #[test]
    fn scores_of_places_equal_those_of_scikit_learn_and_scipy() {
        let places = Fixture::load().places;
        let (truth, predicted) = (places.truth(), places.predicted());
        for (metric, target, expected) in &places.scores {
            assert_close(value(TargetKind::Place, &truth, &predicted, [metric, target]), *expected);
        }
        assert!(places.scores.len() >= 18, "{}", places.scores.len());
    }
}
