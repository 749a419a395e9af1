//! The scores that a dataset's kind of target asks for.

use super::geometry::{great_circle_km, median, place_of_reading};
use super::metrics::{Spearman, mean, r2_over};
use crate::datasets::TargetKind;
use crate::error::Result;
use ndarray::Array2;
use std::borrow::Cow;

/// Which scores are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breadth {
    /// Every score that fits the kind of target.
    All,
    /// R² alone, for baselines that are only held against it.
    R2,
}

/// A score as a function of the rows that count, which may repeat.
pub(super) type OverRows = Box<dyn Fn(&[usize]) -> f64 + Send + Sync>;

/// One score, ready to be counted over any resample of the rows.
pub(super) struct Measure {
    pub metric: Cow<'static, str>,
    pub target: String,
    pub of: OverRows,
}

/// What the mean over the targets is called.
const MEAN: &str = "mean";

/// The scores of some predictions.
///
/// # Shapes
/// `truth` and `predicted` are `[n_rows, n_targets]`.
pub(super) fn measures(
    kind: &TargetKind,
    breadth: Breadth,
    truth: &Array2<f64>,
    predicted: &Array2<f64>,
) -> Result<Vec<Measure>> {
    let columns: Vec<(Vec<f64>, Vec<f64>)> =
        truth.columns().into_iter().zip(predicted.columns()).map(|(t, p)| (t.to_vec(), p.to_vec())).collect();
    let mut measures = Vec::new();
    for (target, (truth, predicted)) in kind.names().into_iter().zip(columns.clone()) {
        let of = Box::new(move |rows: &[usize]| r2_over(&truth, &predicted, rows));
        measures.push(Measure { metric: "r2".into(), target: target.into(), of });
    }
    let all = columns.clone();
    let of = move |rows: &[usize]| mean(&all.iter().map(|(t, p)| r2_over(t, p, rows)).collect::<Vec<_>>());
    measures.push(Measure { metric: "r2".into(), target: MEAN.into(), of: Box::new(of) });
    if breadth == Breadth::R2 {
        return Ok(measures);
    }
    let ranked: Vec<Spearman> = columns.iter().map(|(t, p)| Spearman::of(t, p)).collect();
    for (target, ranked) in kind.names().into_iter().zip(ranked.clone()) {
        let of = Box::new(move |rows: &[usize]| ranked.over(rows));
        measures.push(Measure { metric: "spearman".into(), target: target.into(), of });
    }
    let of = move |rows: &[usize]| mean(&ranked.iter().map(|r| r.over(rows)).collect::<Vec<_>>());
    measures.push(Measure { metric: "spearman".into(), target: MEAN.into(), of: Box::new(of) });
    match kind {
        TargetKind::Place => measures.extend(distances(truth, predicted)?),
        TargetKind::Year | TargetKind::Quantity(_) => {
            let errors: Vec<f64> = (truth - predicted).iter().map(|e| e.abs()).collect();
            let of = Box::new(move |rows: &[usize]| mean(&taken(&errors, rows)));
            measures.push(Measure { metric: mae_metric(kind), target: kind.names().concat(), of });
        }
    }
    Ok(measures)
}

/// What the mean absolute error is called: its unit is in its name.
fn mae_metric(kind: &TargetKind) -> Cow<'static, str> {
    match kind.unit() {
        "" => "mae".into(),
        unit => format!("mae_{}", unit.replace(char::is_whitespace, "_")).into(),
    }
}

/// Mean and median great-circle error; columns are latitude, then longitude.
fn distances(truth: &Array2<f64>, predicted: &Array2<f64>) -> Result<[Measure; 2]> {
    let km = truth
        .rows()
        .into_iter()
        .zip(predicted.rows())
        .map(|(truth, predicted)| {
            let (lat, lon) = place_of_reading(truth[0], truth[1])?;
            let (lat_read, lon_read) = place_of_reading(predicted[0], predicted[1])?;
            Ok(great_circle_km(lat, lon, lat_read, lon_read))
        })
        .collect::<Result<Vec<f64>>>()?;
    let again = km.clone();
    let target = "great-circle".to_string();
    let mean_of = Box::new(move |rows: &[usize]| mean(&taken(&km, rows)));
    let median_of = Box::new(move |rows: &[usize]| median(&mut taken(&again, rows)));
    Ok([
        Measure { metric: "mean_km".into(), target: target.clone(), of: mean_of },
        Measure { metric: "median_km".into(), target, of: median_of },
    ])
}

fn taken(values: &[f64], rows: &[usize]) -> Vec<f64> {
    rows.iter().map(|&i| values[i]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn value(kind: TargetKind, truth: &Array2<f64>, predicted: &Array2<f64>, metric: &str) -> f64 {
        let all: Vec<usize> = (0..truth.nrows()).collect();
        let measures = measures(&kind, Breadth::All, truth, predicted).unwrap();
        (measures.iter().rfind(|m| m.metric == metric).unwrap().of)(&all)
    }

    #[test]
    fn latitude_is_the_first_column() {
        // One degree of longitude at 60° north is half as long as at the equator.
        let truth = array![[60.0, 10.0], [60.0, 20.0]];
        let predicted = array![[60.0, 11.0], [60.0, 21.0]];
        let km = value(TargetKind::Place, &truth, &predicted, "mean_km");
        assert!((km - 55.6).abs() < 0.1, "{km}");
        assert!((value(TargetKind::Place, &truth, &predicted, "median_km") - km).abs() < 1e-9);
    }

    #[test]
    fn readings_off_the_map_still_have_a_distance() {
        let truth = array![[80.0, 179.0], [0.0, 0.0]];
        let predicted = array![[100.0, 181.0], [0.0, 0.0]];
        // To the pole from 80° north: ten degrees.
        let km = value(TargetKind::Place, &truth, &predicted, "mean_km") * 2.0;
        assert!((km - 1111.9).abs() < 0.5, "{km}");
    }

    #[test]
    fn years_are_scored_in_years() {
        let truth = array![[1900.0], [1950.0], [2000.0]];
        let predicted = array![[1910.0], [1945.0], [2000.0]];
        assert_eq!(value(TargetKind::Year, &truth, &predicted, "mae_years"), 5.0);
        assert_eq!(value(TargetKind::Year, &truth, &predicted, "spearman"), 1.0);
        assert!((value(TargetKind::Year, &truth, &predicted, "r2") - 0.975).abs() < 1e-12);
    }
}
