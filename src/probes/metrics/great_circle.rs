//! Great-circle distances on the Earth.

use super::counted::mean;
use super::quantiles::median;
use crate::datasets::{Lat, Lon};
use crate::error::Result;

/// The Earth's mean radius.
///
/// # Units
/// Kilometres.
///
/// # Source
/// International Union of Geodesy and Geophysics: `(2a + b) / 3` of the WGS 84 ellipsoid.
pub const EARTH_RADIUS_KM: f64 = 6371.0088;

/// The distance between two points along the surface of a spherical Earth.
///
/// # Units
/// Kilometres.
pub fn great_circle_km(lat1: Lat, lon1: Lon, lat2: Lat, lon2: Lon) -> f64 {
    let (phi1, phi2) = (lat1.degrees().to_radians(), lat2.degrees().to_radians());
    let half_lat = ((phi2 - phi1) / 2.0).sin();
    let half_lon = ((lon2.degrees() - lon1.degrees()).to_radians() / 2.0).sin();
    let haversine = half_lat * half_lat + phi1.cos() * phi2.cos() * half_lon * half_lon;
    // The arc tangent is accurate near the antipode, where the arc sine loses digits.
    2.0 * EARTH_RADIUS_KM * haversine.sqrt().atan2((1.0 - haversine).max(0.0).sqrt())
}

/// Converts a prediction to a place: latitude clamped to ±90°, longitude wrapped to ±180°.
///
/// A linear probe may predict beyond the pole or the 180° meridian.
///
/// # Errors
/// [`crate::Error::Invalid`] if either value is not a number.
pub fn place_of_prediction(latitude: f64, longitude: f64) -> Result<(Lat, Lon)> {
    // A prediction in range is not wrapped, so that it keeps its last digit.
    let wrapped =
        if longitude.abs() <= 180.0 { longitude } else { (longitude + 180.0).rem_euclid(360.0) - 180.0 };
    Ok((Lat::new(latitude.clamp(-90.0, 90.0))?, Lon::new(wrapped)?))
}

/// The mean distance.
pub fn mean_km(distances: &[f64]) -> f64 {
    mean(distances)
}

/// The median distance; for an even number of distances, the mean of the middle two.
pub fn median_km(distances: &[f64]) -> f64 {
    median(&mut distances.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::fixture::Fixture;

    fn place(latitude: f64, longitude: f64) -> (Lat, Lon) {
        (Lat::new(latitude).unwrap(), Lon::new(longitude).unwrap())
    }

    #[test]
    fn distances_equal_those_of_scikit_learn() {
        for [lat1, lon1, lat2, lon2, radians] in Fixture::load().great_circles {
            let ((lat1, lon1), (lat2, lon2)) = (place(lat1, lon1), place(lat2, lon2));
            let km = great_circle_km(lat1, lon1, lat2, lon2);
            // Measured: within 4e-12 km; near the antipode within 6e-5 km, where the arc sine of scikit-learn loses
            // half of its digits (half the circumference is 20,015 km).
            let allowed = if radians > 3.0 { 1e-3 } else { 1e-6 };
            assert!((km - radians * EARTH_RADIUS_KM).abs() < allowed, "{km}");
            assert_eq!(km, great_circle_km(lat2, lon2, lat1, lon1));
        }
    }

    #[test]
    fn latitude_comes_first() {
        // At 60° north, a degree of longitude is half as long as a degree of latitude.
        let along = great_circle_km(
            place(60.0, 10.0).0,
            place(60.0, 10.0).1,
            place(60.0, 11.0).0,
            place(60.0, 11.0).1,
        );
        let up = great_circle_km(
            place(60.0, 10.0).0,
            place(60.0, 10.0).1,
            place(61.0, 10.0).0,
            place(61.0, 10.0).1,
        );
        assert!((along / up - 0.5).abs() < 1e-3, "{along} {up}");
    }

    #[test]
    fn predictions_outside_the_map_are_clamped_or_wrapped() {
        assert_eq!(place_of_prediction(95.0, 190.0).unwrap(), place(90.0, -170.0));
        assert_eq!(place_of_prediction(-95.0, -541.0).unwrap(), place(-90.0, 179.0));
        assert_eq!(place_of_prediction(12.5, 180.0).unwrap(), place(12.5, 180.0));
        assert!(place_of_prediction(f64::NAN, 0.0).is_err());
    }

    #[test]
    fn mean_and_median_of_distances() {
        assert_eq!(median_km(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median_km(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(mean_km(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert!(median_km(&[]).is_nan());
    }
}
