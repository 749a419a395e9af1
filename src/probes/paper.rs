//! The distances of the paper's reference code, which takes a longitude for a latitude; for comparison only.
//!
//! Its targets are longitude, then latitude, and its distance takes the first of two angles for a latitude.
//! So every distance is one on a sphere turned on its side. Where that matters: a degree of longitude at 60°
//! north has its length at the equator there, and a degree of latitude at 60° east half its own.

use super::metrics::mean_counted;
use super::points::{Point, on_sphere, share_nearer, share_nearer_on_line};
use ndarray::{Array2, ArrayView2};

/// The Earth's radius in the reference code.
///
/// # Units
/// Kilometres.
const RADIUS_KM: f64 = 6371.0;

/// Distances by the reference code's formula; columns are latitude, then longitude.
///
/// # Units
/// Kilometres.
pub(super) fn distances(truth: ArrayView2<f64>, predicted: ArrayView2<f64>) -> Vec<f64> {
    truth.rows().into_iter().zip(predicted.rows()).map(|(t, p)| km((t[1], t[0]), (p[1], p[0]))).collect()
}

/// The distance between two pairs of angles in degrees, the first of each taken for a latitude.
fn km(a: (f64, f64), b: (f64, f64)) -> f64 {
    let (phi_a, phi_b) = (a.0.to_radians(), b.0.to_radians());
    let half = |x: f64, y: f64| ((x - y).to_radians() / 2.0).sin().powi(2);
    let haversine = half(a.0, b.0) + phi_a.cos() * phi_b.cos() * half(a.1, b.1);
    let haversine = haversine.clamp(0.0, 1.0);
    2.0 * RADIUS_KM * haversine.sqrt().atan2((1.0 - haversine).sqrt())
}

/// One less the squared distances to the readings over those to the mean of the places.
pub(super) fn r2(truth: &Array2<f64>, squares: &[f64], counts: &[f64]) -> f64 {
    let [lat, lon] = [0, 1].map(|column| mean_counted(&truth.column(column).to_vec(), counts));
    let to_mean: Vec<f64> =
        truth.rows().into_iter().map(|row| km((row[1], row[0]), (lon, lat)).powi(2)).collect();
    1.0 - mean_counted(squares, counts) / mean_counted(&to_mean, counts)
}

/// The reference code's proximity error of each entity: the share of readings nearer to its true place than
/// its own reading is.
pub(super) fn proximity_of_places(truth: ArrayView2<f64>, predicted: ArrayView2<f64>) -> Vec<f64> {
    let points = |of: ArrayView2<f64>| -> Vec<Point> {
        of.rows().into_iter().map(|row| on_sphere(row[1], row[0])).collect()
    };
    share_nearer(&points(truth), &points(predicted))
}

/// The same for a single number.
pub(super) fn proximity_of_numbers(truth: &[f64], predicted: &[f64]) -> Vec<f64> {
    share_nearer_on_line(truth, predicted)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, assert_close};
    use super::*;
    use crate::probes::metrics::mean;

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
    fn longitude_stands_where_latitude_belongs() {
        // A degree eastwards at 60° north, and a degree northwards at 60° east.
        let east = distances(ndarray::array![[60.0, 0.0]].view(), ndarray::array![[60.0, 1.0]].view())[0];
        let north = distances(ndarray::array![[0.0, 60.0]].view(), ndarray::array![[1.0, 60.0]].view())[0];
        assert!((east - 111.19).abs() < 0.01 && (north - 55.6).abs() < 0.1, "{east} {north}");
    }
}
