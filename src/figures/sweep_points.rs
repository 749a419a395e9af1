//! The points of a sweep, separated into those of the steered direction and of random directions.

use crate::error::{Error, Result};
use crate::results::SweepPoint;

/// True if the effect of a steered direction was measured in at least one text; a text that names nothing has none.
pub(super) fn is_measured(points: &[SweepPoint]) -> bool {
    points.iter().any(|p| p.direction != "random" && p.dose != 0.0 && p.n_read > 0)
}

/// The points at doses other than 0: those of the first direction that is not random, and those of random directions.
pub(super) fn separated(points: &[SweepPoint]) -> Result<(Vec<&SweepPoint>, Vec<&SweepPoint>)> {
    if let Some(bad) = points.iter().find(|p| !(p.effect.is_finite() && p.kl.is_finite())) {
        let place = format!("layer {}, dose {}, direction {}", bad.layers, bad.dose, bad.direction);
        let found = if bad.effect.is_finite() { bad.kl } else { bad.effect };
        return Err(Error::NonFinite { place, found, advice: "steer with smaller doses".into() });
    }
    // Where no text names anything, no effect was measured.
    let moved: Vec<&SweepPoint> = points.iter().filter(|p| p.dose != 0.0 && p.n_read > 0).collect();
    let first = moved.iter().find(|p| p.direction != "random").map(|p| p.direction.clone());
    let Some(first) = first else {
        let expected = "points of a direction that is not random, at doses other than 0";
        return Err(Error::invalid("points of a sweep", "none", expected));
    };
    let of = |direction: &str| moved.iter().filter(|p| p.direction == direction).copied().collect();
    Ok((of(&first), of("random")))
}

/// The doses, ascending, without duplicates.
pub(super) fn doses(points: &[&SweepPoint]) -> Vec<f64> {
    let mut all: Vec<f64> = points.iter().map(|p| p.dose).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    all
}

/// The layers in the order of the rows, without duplicates.
pub(super) fn layers<'a>(points: &[&'a SweepPoint]) -> Vec<&'a str> {
    let mut all: Vec<&str> = Vec::new();
    points.iter().for_each(|p| {
        if !all.contains(&p.layers.as_str()) {
            all.push(&p.layers);
        }
    });
    all
}

#[cfg(test)]
mod tests {
    use super::super::format::Format;
    use super::super::scene::Mark;
    use super::super::{dose_by_layer, effect_by_kl};
    use super::*;

    fn points() -> Vec<SweepPoint> {
        let point = |layers: &str, direction: &str, dose: f64, effect| SweepPoint {
            layers: layers.into(),
            direction: direction.into(),
            dose,
            effect,
            kl: dose.abs() / 30.0,
            n_read: 1,
            ..SweepPoint::default()
        };
        let mut all = Vec::new();
        for (layers, times) in [("1", 1.0), ("2", 2.0), ("0+1+2", 3.0)] {
            for dose in [-30.0, 0.0, 30.0, 60.0] {
                all.push(point(layers, "probe", dose, 0.5 * f64::abs(dose) * times));
                all.push(point(layers, "random", dose, 0.7));
            }
        }
        all
    }

    #[test]
    fn every_point_is_drawn_within_the_canvas() {
        let scenes = [dose_by_layer::scene(&points(), "effect"), effect_by_kl::scene(&points(), "effect")];
        for scene in scenes.map(Result::unwrap) {
            for mark in &scene.marks {
                let places = match mark {
                    Mark::Line { points, .. } | Mark::Area { points, .. } => points.clone(),
                    Mark::Dot { at, .. } => vec![*at],
                    Mark::Text(label) => vec![label.at],
                };
                for (x, y) in places {
                    assert!((0.0..=scene.width).contains(&x) && (0.0..=scene.height).contains(&y), "{x} {y}");
                }
            }
        }
        let scene = dose_by_layer::scene(&points(), "effect").unwrap();
        let areas = scene.marks.iter().filter(|mark| matches!(mark, Mark::Area { .. })).count();
        assert_eq!(areas, 9, "three layers, three doses other than 0");
    }

    #[test]
    fn no_points_and_values_that_are_not_finite_are_refused() {
        let random: Vec<SweepPoint> = points().into_iter().filter(|p| p.direction == "random").collect();
        assert!(
            dose_by_layer::dose_by_layer(&random, "x", Format::Svg)
                .unwrap_err()
                .to_string()
                .contains("not random")
        );
        let mut bad = points();
        bad[2].effect = f64::NAN;
        assert!(
            effect_by_kl::effect_by_kl(&bad, "x", Format::Svg).unwrap_err().to_string().contains("layer 1")
        );
    }
}
