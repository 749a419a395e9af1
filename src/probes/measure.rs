//! The scores that a dataset's kind of target asks for.

use super::geometry::{great_circle_km, place_of_reading};
use super::kendall::Kendall;
use super::metrics::{Ascending, Spearman, mean, mean_counted, pearson_counted, r2_counted};
use super::paper;
use super::points::{point_of, share_nearer, share_nearer_on_line};
use crate::datasets::{Lat, Lon, TargetKind};
use crate::error::Result;
use ndarray::Array2;
use std::sync::Arc;

/// Which scores are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Metrics {
    /// Every score that fits the kind of target.
    #[default]
    Usual,
    /// Those, and the distances that the paper's reference code computes, which takes longitude for latitude.
    WithPaper,
}

/// A score as a function of how often each row counts.
pub(super) type OverCounts = Box<dyn Fn(&[f64]) -> f64 + Send + Sync>;

/// One score, ready to be counted over any resample of the rows.
pub(super) struct Measure {
    pub metric: String,
    pub target: String,
    score: Score,
}

/// How a score is counted.
enum Score {
    Of(OverCounts),
    /// A correlation that is counted over many resamples at once.
    Kendall(Kendall),
    /// The mean of so many scores that stand before it, which are not counted twice.
    MeanOfBefore(usize),
}

/// Every score over rows that each stand `counts` times.
pub(super) fn values(measures: &[Measure], counts: &[f64]) -> Vec<f64> {
    values_of_each(measures, &[counts]).remove(0)
}

/// Every score over each of several resamples, which say how often each row stands there.
pub(super) fn values_of_each<C: AsRef<[f64]>>(measures: &[Measure], resamples: &[C]) -> Vec<Vec<f64>> {
    let mut all = vec![Vec::with_capacity(measures.len()); resamples.len()];
    for measure in measures {
        match &measure.score {
            Score::Kendall(ranked) => {
                all.iter_mut()
                    .zip(ranked.counted_each(resamples))
                    .for_each(|(values, value)| values.push(value));
            }
            Score::Of(of) => {
                all.iter_mut().zip(resamples).for_each(|(values, counts)| values.push(of(counts.as_ref())));
            }
            Score::MeanOfBefore(n) => {
                all.iter_mut().for_each(|values| values.push(mean(&values[values.len() - n..])));
            }
        }
    }
    all
}

impl Measure {
    /// A score by its names.
    pub fn new(metric: &str, target: &str, of: impl Fn(&[f64]) -> f64 + Send + Sync + 'static) -> Measure {
        Measure { metric: metric.into(), target: target.into(), score: Score::Of(Box::new(of)) }
    }

    /// The mean of one value an entity.
    fn mean_of(metric: &str, target: &str, values: Vec<f64>) -> Measure {
        Measure::new(metric, target, move |counts| mean_counted(&values, counts))
    }
}

/// What the mean over the targets is called.
pub(super) const MEAN: &str = "mean";
/// What scores of both coordinates together are called.
const GREAT_CIRCLE: &str = "great-circle";

/// Truth and readings of one target.
#[derive(Clone)]
struct Column {
    target: String,
    truth: Arc<Vec<f64>>,
    predicted: Arc<Vec<f64>>,
}

/// The scores of some predictions.
///
/// # Shapes
/// `truth` and `predicted` are `[n_rows, n_targets]`.
pub(super) fn measures(
    (kind, metrics): (&TargetKind, Metrics),
    truth: &Array2<f64>,
    predicted: &Array2<f64>,
) -> Result<Vec<Measure>> {
    let columns = columns(kind, truth, predicted);
    let mut measures = each_and_mean("r2", &columns, |c| {
        let Column { truth, predicted, .. } = c.clone();
        Box::new(move |counts| r2_counted(&truth, &predicted, counts))
    });
    measures.extend(each_and_mean("pearson", &columns, |c| {
        let Column { truth, predicted, .. } = c.clone();
        Box::new(move |counts| pearson_counted(&truth, &predicted, counts))
    }));
    measures.extend(each_and_mean("spearman", &columns, |c| {
        let ranked = Spearman::of(&c.truth, &c.predicted);
        Box::new(move |counts| ranked.counted(counts))
    }));
    measures.extend(scored_and_mean("kendall", &columns, |c| {
        Score::Kendall(Kendall::of(&c.truth, &c.predicted))
    }));
    measures.extend(errors(kind, &columns));
    match kind {
        TargetKind::Place => measures.extend(of_places(truth, predicted)?),
        _ => {
            measures.extend(columns.iter().map(|c| {
                Measure::mean_of("proximity", &c.target, share_nearer_on_line(&c.predicted, &c.truth))
            }));
        }
    }
    if metrics == Metrics::WithPaper {
        measures.extend(of_paper(kind, (truth, predicted), &columns));
    }
    Ok(measures)
}

/// How much better the fit to true labels does than that to shuffled ones: the difference of their R².
///
/// # Shapes
/// All are `[n_rows, n_targets]`.
pub(super) fn selectivity(
    kind: &TargetKind,
    truth: &Array2<f64>,
    (predicted, shuffled): (&Array2<f64>, &Array2<f64>),
) -> Vec<Measure> {
    let by_chance = columns(kind, truth, shuffled);
    let columns = columns(kind, truth, predicted);
    let mut chance = by_chance.into_iter();
    each_and_mean("selectivity", &columns, |column| {
        let Column { truth, predicted, .. } = column.clone();
        let shuffled = chance.next().map_or_else(Arc::default, |by_chance| by_chance.predicted);
        Box::new(move |counts| r2_counted(&truth, &predicted, counts) - r2_counted(&truth, &shuffled, counts))
    })
}

fn columns(kind: &TargetKind, truth: &Array2<f64>, predicted: &Array2<f64>) -> Vec<Column> {
    let pairs = truth.columns().into_iter().zip(predicted.columns());
    kind.names()
        .iter()
        .zip(pairs)
        .map(|(target, (truth, predicted))| Column {
            target: target.to_string(),
            truth: Arc::new(truth.to_vec()),
            predicted: Arc::new(predicted.to_vec()),
        })
        .collect()
}

/// A score of each target, and the mean over the targets.
fn each_and_mean(
    metric: &str,
    columns: &[Column],
    mut of: impl FnMut(&Column) -> OverCounts,
) -> Vec<Measure> {
    scored_and_mean(metric, columns, |column| Score::Of(of(column)))
}

fn scored_and_mean(metric: &str, columns: &[Column], mut of: impl FnMut(&Column) -> Score) -> Vec<Measure> {
    let each =
        |column: &Column| Measure { metric: metric.into(), target: column.target.clone(), score: of(column) };
    let mut measures: Vec<Measure> = columns.iter().map(each).collect();
    let score = Score::MeanOfBefore(columns.len());
    measures.push(Measure { metric: metric.into(), target: MEAN.into(), score });
    measures
}

/// Mean absolute errors in the target's unit, which the metric's name says.
fn errors(kind: &TargetKind, columns: &[Column]) -> Vec<Measure> {
    let of = |c: &Column| -> OverCounts {
        let errors: Vec<f64> = c.truth.iter().zip(c.predicted.iter()).map(|(t, p)| (t - p).abs()).collect();
        Box::new(move |counts| mean_counted(&errors, counts))
    };
    let mut measures = each_and_mean(&mae_metric(kind), columns, of);
    if columns.len() == 1 {
        measures.pop();
    }
    measures
}

fn mae_metric(kind: &TargetKind) -> String {
    match kind.unit() {
        "" => "mae".into(),
        unit => format!("mae_{}", unit.replace(char::is_whitespace, "_")),
    }
}

/// Great-circle error, mean and median, and proximity; columns are latitude, then longitude.
fn of_places(truth: &Array2<f64>, predicted: &Array2<f64>) -> Result<[Measure; 3]> {
    let places = |of: &Array2<f64>| -> Result<Vec<(Lat, Lon)>> {
        of.rows().into_iter().map(|row| place_of_reading(row[0], row[1])).collect()
    };
    let (truth, read) = (places(truth)?, places(predicted)?);
    let km: Vec<f64> = truth.iter().zip(&read).map(|(t, r)| great_circle_km(t.0, t.1, r.0, r.1)).collect();
    let points = |of: Vec<(Lat, Lon)>| of.into_iter().map(point_of).collect::<Vec<_>>();
    let proximity = share_nearer(&points(read), &points(truth));
    let ascending = Ascending::of(&km);
    Ok([
        Measure::mean_of("mean_km", GREAT_CIRCLE, km),
        Measure::new("median_km", GREAT_CIRCLE, move |counts| ascending.median(counts)),
        Measure::mean_of("proximity", GREAT_CIRCLE, proximity),
    ])
}

/// The scores of the paper's reference code that differ from ours.
fn of_paper(
    kind: &TargetKind,
    (truth, predicted): (&Array2<f64>, &Array2<f64>),
    columns: &[Column],
) -> Vec<Measure> {
    if *kind != TargetKind::Place {
        let of = |c: &Column| {
            let shares = paper::proximity_of_numbers(&c.truth, &c.predicted);
            Measure::mean_of("paper_proximity", &c.target, shares)
        };
        return columns.iter().map(of).collect();
    }
    let km = paper::distances(truth.view(), predicted.view());
    let squares: Arc<Vec<f64>> = Arc::new(km.iter().map(|d| d * d).collect());
    let (again, truth_again) = (squares.clone(), truth.clone());
    let proximity = paper::proximity_of_places(truth.view(), predicted.view());
    vec![
        Measure::mean_of("paper_mean_km", GREAT_CIRCLE, km),
        Measure::new("paper_rmse_km", GREAT_CIRCLE, move |counts| mean_counted(&squares, counts).sqrt()),
        Measure::new("paper_haversine_r2", GREAT_CIRCLE, move |counts| {
            paper::r2(&truth_again, &again, counts)
        }),
        Measure::mean_of("paper_proximity", GREAT_CIRCLE, proximity),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, assert_close};
    use super::*;
    use ndarray::array;

    fn value(kind: TargetKind, (truth, predicted): (&Array2<f64>, &Array2<f64>), key: (&str, &str)) -> f64 {
        let measures = measures((&kind, Metrics::WithPaper), truth, predicted).unwrap();
        let values = values(&measures, &vec![1.0; truth.nrows()]);
        let is = |m: &&(&Measure, f64)| (m.0.metric.as_str(), m.0.target.as_str()) == key;
        let all: Vec<(&Measure, f64)> = measures.iter().zip(values).collect();
        let mut found = all.iter().filter(is);
        let value = found.next().unwrap_or_else(|| panic!("no {key:?}")).1;
        assert!(found.next().is_none(), "two {key:?}");
        value
    }

    #[test]
    fn latitude_is_the_first_column() {
        // One degree of longitude at 60° north is half as long as at the equator.
        let truth = array![[60.0, 10.0], [60.0, 20.0]];
        let predicted = array![[60.0, 11.0], [60.0, 21.0]];
        let both = (&truth, &predicted);
        let km = value(TargetKind::Place, both, ("mean_km", GREAT_CIRCLE));
        assert!((km - 55.6).abs() < 0.1, "{km}");
        assert!((value(TargetKind::Place, both, ("median_km", GREAT_CIRCLE)) - km).abs() < 1e-9);
        let paper = value(TargetKind::Place, both, ("paper_mean_km", GREAT_CIRCLE));
        assert!((paper - 111.2).abs() < 0.1, "{paper}");
        assert_eq!(value(TargetKind::Place, both, ("mae_degrees", "latitude")), 0.0);
        assert_eq!(value(TargetKind::Place, both, ("mae_degrees", MEAN)), 0.5);
    }

    #[test]
    fn readings_off_the_map_still_have_a_distance() {
        let truth = array![[80.0, 179.0], [0.0, 0.0]];
        let predicted = array![[100.0, 181.0], [0.0, 0.0]];
        // To the pole from 80° north: ten degrees.
        let km = value(TargetKind::Place, (&truth, &predicted), ("mean_km", GREAT_CIRCLE)) * 2.0;
        assert!((km - 1111.9).abs() < 0.5, "{km}");
    }

    #[test]
    fn years_are_scored_in_years() {
        let truth = array![[1900.0], [1950.0], [2000.0]];
        let predicted = array![[1910.0], [1945.0], [2000.0]];
        let both = (&truth, &predicted);
        assert_eq!(value(TargetKind::Year, both, ("mae_years", "year")), 5.0);
        assert_eq!(value(TargetKind::Year, both, ("spearman", "year")), 1.0);
        assert!((value(TargetKind::Year, both, ("kendall", MEAN)) - 1.0).abs() < 1e-15);
        assert!((value(TargetKind::Year, both, ("r2", "year")) - 0.975).abs() < 1e-12);
        assert_eq!(value(TargetKind::Year, both, ("proximity", "year")), 0.0);
        let turned = array![[2000.0], [1950.0], [1900.0]];
        // Of three: both others are nearer to the first and to the last reading, none to the middle one.
        assert!(
            (value(TargetKind::Year, (&truth, &turned), ("proximity", "year")) - 4.0 / 9.0).abs() < 1e-12
        );
    }

    #[test]
    fn scores_of_places_equal_those_of_scikit_learn_and_scipy() {
        let places = Fixture::load().places;
        let both = (&places.truth(), &places.predicted());
        for (metric, target, expected) in &places.scores {
            assert_close(value(TargetKind::Place, both, (metric, target)), *expected);
        }
        assert!(places.scores.len() >= 18, "{}", places.scores.len());
    }

    #[test]
    fn selectivity_is_the_difference_of_two_scores() {
        let truth = array![[0.0, 1.0], [1.0, 5.0], [4.0, 2.0], [2.0, 2.0]];
        let shuffled = array![[1.0, 1.0], [1.5, 2.0], [1.0, 3.0], [2.0, 2.0]];
        let kind = TargetKind::Place;
        let all = selectivity(&kind, &truth, (&truth, &shuffled));
        let chance = |target: &str| value(TargetKind::Place, (&truth, &shuffled), ("r2", target));
        assert_eq!(all.len(), 3);
        for (measure, found) in all.iter().zip(values(&all, &[1.0; 4])) {
            assert!((found - (1.0 - chance(&measure.target))).abs() < 1e-12, "{}", measure.target);
        }
    }
}
