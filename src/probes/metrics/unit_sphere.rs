//! Points on the unit sphere.

use crate::datasets::{Lat, Lon};

/// A point on the unit sphere.
pub(in crate::probes) type Point = [f64; 3];

/// The point at two angles in degrees: the first is measured from the equator, as a latitude.
///
/// Angles beyond 90° are not clamped: the great-circle formula holds for them as well.
pub(in crate::probes) fn on_sphere(first: f64, second: f64) -> Point {
    let (phi, lambda) = (first.to_radians(), second.to_radians());
    [phi.cos() * lambda.cos(), phi.cos() * lambda.sin(), phi.sin()]
}

/// A place as a point on the unit sphere.
pub(in crate::probes) fn point_of(lat: Lat, lon: Lon) -> Point {
    on_sphere(lat.degrees(), lon.degrees())
}

/// The squared length of the chord between two points, which increases with their distance along the sphere.
pub(in crate::probes) fn squared_chord(a: &Point, b: &Point) -> f64 {
    (0..3).map(|axis| (a[axis] - b[axis]) * (a[axis] - b[axis])).sum()
}
