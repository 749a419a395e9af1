//! A probe's predictions as figures draw them: true and predicted values, colours, and the legend.

use super::axis::Interval;
use super::legend::Legend;
use super::scene::Point;
use super::style::Ink;

/// One test entity: its true and its predicted point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    /// Longitude and latitude in degrees, or the number twice.
    pub truth: (f64, f64),
    /// The predicted point.
    pub prediction: (f64, f64),
    /// The colour of its group.
    pub ink: Ink,
}

/// The predictions of test entities, the true points of all entities, and the legend of their groups.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Readings {
    pub tests: Vec<Reading>,
    pub truths: Vec<(f64, f64)>,
    pub legend: Legend,
}

/// The share of the true values' range by which predictions may extend an axis.
const REACH: f64 = 0.2;

/// The interval of an axis: all true values, and predictions as far as [`REACH`] beyond them.
pub(super) fn limits(truths: &[f64], predictions: &[f64]) -> Interval {
    let of_truths = Interval::of(truths.iter().copied());
    let reach = of_truths.length() * REACH;
    let near = predictions.iter().map(|value| value.clamp(of_truths.low - reach, of_truths.high + reach));
    Interval::of(truths.iter().copied().chain(near)).widened(0.04)
}

/// A subset of points that do not hide each other: one per square of three canvas units.
pub(super) fn thinned(points: impl Iterator<Item = Point>) -> Vec<Point> {
    let mut seen = std::collections::HashSet::new();
    points.filter(|(x, y)| seen.insert(((x / 3.0) as i64, (y / 3.0) as i64))).collect()
}

/// The radius of a dot, by the number of dots.
pub(super) fn radius(n: usize) -> f64 {
    match n {
        0..=400 => 3.6,
        401..=2500 => 2.6,
        _ => 1.8,
    }
}
