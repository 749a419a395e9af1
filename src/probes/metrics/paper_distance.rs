//! The distances of the paper's reference code, which swaps longitude and latitude; for comparison only.
//!
//! Its targets are longitude, then latitude, and its distance treats the first of two angles as the latitude. So every
//! distance is measured on a sphere turned on its side: at 60° north, a degree of longitude is as long as at the
//! equator; at 60° east, a degree of latitude has only half its true length.

use super::counted::mean_counted;
use super::predicted::{Column, Metrics, Predicted};
use super::proximity::{share_nearer, share_nearer_on_line};
use super::score::{GREAT_CIRCLE, TargetScore};
use super::unit_sphere::{Point, on_sphere};
use crate::datasets::TargetKind;
use crate::error::Result;
use ndarray::{Array2, ArrayView2};
use std::sync::Arc;

/// The Earth's radius in the reference code.
///
/// # Units
/// Kilometres.
const RADIUS_KM: f64 = 6371.0;

/// The scores that the reference code computes in another way than this crate; none unless requested.
pub(super) fn scores(predicted: &Predicted) -> Result<Vec<TargetScore>> {
    if predicted.metrics != Metrics::WithPaper {
        return Ok(Vec::new());
    }
    if *predicted.kind != TargetKind::Place {
        let of = |c: &Column| {
            let shares = proximity_of_numbers(&c.truth, &c.predicted);
            TargetScore::mean_of("paper_proximity", &c.target, shares)
        };
        return Ok(predicted.columns.iter().map(of).collect());
    }
    let (truth, predicted) = (predicted.truth.clone(), predicted.predicted);
    let km = distances(truth.view(), predicted.view());
    let squares: Arc<Vec<f64>> = Arc::new(km.iter().map(|d| d * d).collect());
    let of_rmse = squares.clone();
    let proximity = proximity_of_places(truth.view(), predicted.view());
    Ok(vec![
        TargetScore::mean_of("paper_mean_km", GREAT_CIRCLE, km),
        TargetScore::new("paper_rmse_km", GREAT_CIRCLE, move |counts| mean_counted(&of_rmse, counts).sqrt()),
        TargetScore::new("paper_haversine_r2", GREAT_CIRCLE, move |counts| r2(&truth, &squares, counts)),
        TargetScore::mean_of("paper_proximity", GREAT_CIRCLE, proximity),
    ])
}

/// The distances by the reference code's formula; columns are latitude, then longitude.
///
/// # Units
/// Kilometres.
fn distances(truth: ArrayView2<f64>, predicted: ArrayView2<f64>) -> Vec<f64> {
    truth.rows().into_iter().zip(predicted.rows()).map(|(t, p)| km([t[1], t[0]], [p[1], p[0]])).collect()
}

/// The distance between two pairs of angles in degrees, the first of each treated as the latitude.
fn km([phi_a, lambda_a]: [f64; 2], [phi_b, lambda_b]: [f64; 2]) -> f64 {
    let half = |x: f64, y: f64| ((x - y).to_radians() / 2.0).sin().powi(2);
    let haversine =
        half(phi_a, phi_b) + phi_a.to_radians().cos() * phi_b.to_radians().cos() * half(lambda_a, lambda_b);
    let haversine = haversine.clamp(0.0, 1.0);
    2.0 * RADIUS_KM * haversine.sqrt().atan2((1.0 - haversine).sqrt())
}

/// R² of distances: 1 − (sum of squared distances to the predictions) / (sum of squared distances to the mean place).
fn r2(truth: &Array2<f64>, squares: &[f64], counts: &[f64]) -> f64 {
    let [lat, lon] = [0, 1].map(|column| mean_counted(&truth.column(column).to_vec(), counts));
    let to_mean: Vec<f64> =
        truth.rows().into_iter().map(|row| km([row[1], row[0]], [lon, lat]).powi(2)).collect();
    1.0 - mean_counted(squares, counts) / mean_counted(&to_mean, counts)
}

/// The reference code's proximity error of each entity: the share of all predictions that are nearer to its true place
/// than its own prediction.
fn proximity_of_places(truth: ArrayView2<f64>, predicted: ArrayView2<f64>) -> Vec<f64> {
    let points = |of: ArrayView2<f64>| -> Vec<Point> {
        of.rows().into_iter().map(|row| on_sphere(row[1], row[0])).collect()
    };
    share_nearer(&points(truth), &points(predicted))
}

/// As [`proximity_of_places`], for a single number per entity.
fn proximity_of_numbers(truth: &[f64], predicted: &[f64]) -> Vec<f64> {
    share_nearer_on_line(truth, predicted)
}

#[cfg(test)]
mod tests {
    use super::super::counted::mean;
    use super::*;
    use crate::probes::fixture::{Fixture, assert_close};

    #[test]
    fn scores_equal_those_of_the_reference_formulas() {
        let places = Fixture::load().places;
        let (truth, predicted) = (places.truth(), places.predicted());
        let km = distances(truth.view(), predicted.view());
        assert_close(mean(&km), places.paper_mean_km);
        let squares: Vec<f64> = km.iter().map(|d| d * d).collect();
        assert_close(mean(&squares).sqrt(), places.paper_rmse_km);
        assert_close(r2(&truth, &squares, &vec![1.0; km.len()]), places.paper_r2);
        let shares = proximity_of_places(truth.view(), predicted.view());
        assert_close(mean(&shares), places.paper_proximity);
        let (truth, predicted) = (truth.column(0).to_vec(), predicted.column(0).to_vec());
        assert_close(mean(&proximity_of_numbers(&truth, &predicted)), places.paper_proximity_latitude);
    }

    #[test]
    fn longitude_and_latitude_are_swapped() {
        // A degree eastwards at 60° north, and a degree northwards at 60° east.
        let east = distances(ndarray::array![[60.0, 0.0]].view(), ndarray::array![[60.0, 1.0]].view())[0];
        let north = distances(ndarray::array![[0.0, 60.0]].view(), ndarray::array![[1.0, 60.0]].view())[0];
        assert!((east - 111.19).abs() < 0.01 && (north - 55.6).abs() < 0.1, "{east} {north}");
    }
}
