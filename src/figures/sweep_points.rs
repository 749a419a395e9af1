//! A whole sweep at a glance: the effect at each layer and dose, and what effect costs.

use super::axis::{Axis, span, widen};
use super::format::Format;
use super::legend::{Legend, Swatch};
use super::paint::paint;
use super::panel::{Frame, Panel};
use super::scene::{Anchor, Label, Scene};
use super::style::*;
use crate::error::{Error, Result};
use crate::results::SweepPoint;

const LEFT: f64 = 96.0;
const TOP: f64 = 60.0;
const BELOW: f64 = 66.0;
const RIGHT: f64 = 30.0;
/// The colours of layers' lines: yellow would be too faint.
const LINES: [Ink; 8] = [BLUE, ORANGE, GREEN, VERMILLION, SKY, PURPLE, BLACK, WINE];
/// A cell of the heat map.
const CELL: (f64, f64) = (82.0, 34.0);

/// Draws the effect at each layer and dose: blue along the dose, red against it, with its number and, in
/// brackets, what random directions of the same length do.
///
/// # Errors
/// [`Error::Invalid`] without a point of a direction that is not random; [`Error::NonFinite`] for an effect that is
/// no number.
pub fn dose_by_layer(points: &[SweepPoint], what: &str, format: Format) -> Result<Vec<u8>> {
    paint(&heat_map(points, what)?, format)
}

/// Draws the effect against the divergence of the next token, two lines a layer, for doses above and below 0; random
/// directions are grey.
///
/// # Units
/// Divergence in nats.
///
/// # Errors
/// As [`dose_by_layer`].
pub fn effect_by_kl(points: &[SweepPoint], what: &str, format: Format) -> Result<Vec<u8>> {
    paint(&costs(points, what)?, format)
}

/// The points that are not of dose 0: those of the first direction that is not random, and the random ones.
fn sorted(points: &[SweepPoint]) -> Result<(Vec<&SweepPoint>, Vec<&SweepPoint>)> {
    if let Some(bad) = points.iter().find(|p| !(p.effect.is_finite() && p.kl.is_finite())) {
        let place = format!("layer {}, dose {}, direction {}", bad.layers, bad.dose, bad.direction);
        let found = if bad.effect.is_finite() { bad.kl } else { bad.effect };
        return Err(Error::NonFinite { place, found, advice: "steer with smaller doses".into() });
    }
    let moved: Vec<&SweepPoint> = points.iter().filter(|p| p.dose != 0.0).collect();
    let first = moved.iter().find(|p| p.direction != "random").map(|p| p.direction.clone());
    let Some(first) = first else {
        let expected = "points of a direction that is not random, at doses other than 0";
        return Err(Error::invalid("points of a sweep", "none", expected));
    };
    let of = |direction: &str| moved.iter().filter(|p| p.direction == direction).copied().collect();
    Ok((of(&first), of("random")))
}

/// The doses, rising, each once.
fn doses(points: &[&SweepPoint]) -> Vec<f64> {
    let mut all: Vec<f64> = points.iter().map(|p| p.dose).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    all
}

/// The layers, each once, as they come in the rows.
fn layers<'a>(points: &[&'a SweepPoint]) -> Vec<&'a str> {
    let mut all: Vec<&str> = Vec::new();
    points.iter().for_each(|p| {
        if !all.contains(&p.layers.as_str()) {
            all.push(&p.layers);
        }
    });
    all
}

pub(super) fn heat_map(points: &[SweepPoint], what: &str) -> Result<Scene> {
    let (moved, random) = sorted(points)?;
    let (layers, doses) = (layers(&moved), doses(&moved));
    let (width, height) = (CELL.0 * doses.len() as f64, CELL.1 * layers.len() as f64);
    let mut scene = Scene::new(LEFT + width + RIGHT, TOP + height + BELOW);
    let most = moved.iter().map(|p| p.effect.abs()).fold(1e-9, f64::max);
    let title = format!("{what}; in brackets: random directions");
    scene.text(Label::level(title, (LEFT, TOP - 18.0), LABEL_SIZE));
    for point in &moved {
        let (Some(i), Some(j)) =
            (doses.iter().position(|d| *d == point.dose), layers.iter().position(|l| *l == point.layers))
        else {
            continue;
        };
        // Deeper layers stand higher, as the stream is usually drawn; joined ones come last.
        let (x, y) = (LEFT + CELL.0 * i as f64, TOP + CELL.1 * (layers.len() - 1 - j) as f64);
        let corners = vec![(x, y), (x + CELL.0, y), (x + CELL.0, y + CELL.1), (x, y + CELL.1)];
        let hue = if point.effect >= 0.0 { BLUE } else { VERMILLION };
        scene.area(corners, hue.faint(0.08 + 0.72 * point.effect.abs() / most));
        let beside = random.iter().find(|r| r.layers == point.layers && r.dose == point.dose);
        let word = match beside {
            Some(beside) => format!("{} ({})", short(point.effect), short(beside.effect)),
            None => short(point.effect),
        };
        let at = (x + CELL.0 / 2.0, y + CELL.1 / 2.0 + 0.34 * TICK_SIZE);
        scene.text(Label::level(word, at, TICK_SIZE).anchored(Anchor::Middle));
    }
    for (i, dose) in doses.iter().enumerate() {
        let at = (LEFT + CELL.0 * (i as f64 + 0.5), TOP + height + 7.0 + 0.76 * TICK_SIZE);
        scene.text(
            Label::level(format!("{dose:+}").replace('-', "−"), at, TICK_SIZE).anchored(Anchor::Middle),
        );
    }
    for (j, layer) in layers.iter().rev().enumerate() {
        let at = (LEFT - 8.0, TOP + CELL.1 * (j as f64 + 0.5) + 0.34 * TICK_SIZE);
        scene.text(Label::level(*layer, at, TICK_SIZE).anchored(Anchor::End));
    }
    let at = (LEFT + width / 2.0, TOP + height + 11.0 + TICK_SIZE + 1.4 * LABEL_SIZE);
    scene.text(Label::level("dose", at, LABEL_SIZE).anchored(Anchor::Middle));
    let at = (LEFT - 50.0, TOP + height / 2.0);
    scene.text(Label::level("layer", at, LABEL_SIZE).anchored(Anchor::Middle).upward());
    Ok(scene)
}

fn short(value: f64) -> String {
    let text = if value.abs() < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") };
    text.replace('-', "−")
}

pub(super) fn costs(points: &[SweepPoint], what: &str) -> Result<Scene> {
    let (moved, random) = sorted(points)?;
    let layers = layers(&moved);
    let stroke = |i: usize| Stroke::solid(LINES[i % LINES.len()], 2.2);
    let mut legend = Legend::default();
    for (i, layer) in layers.iter().enumerate() {
        legend.push(Swatch::Line(stroke(i)), format!("layer {layer}"));
    }
    if !random.is_empty() {
        legend.push(Swatch::Dot(GREY, 4.0), "random directions");
    }
    let frame_width = 620.0;
    let strip = legend.height(frame_width);
    let mut scene = Scene::new(LEFT + frame_width + RIGHT, 14.0 + strip + 24.0 + 340.0 + BELOW);
    legend.draw(&mut scene, (LEFT, 14.0), frame_width);
    let all = || moved.iter().chain(&random);
    let panel = Panel {
        frame: Frame { left: LEFT, top: 14.0 + strip + 24.0, width: frame_width, height: 340.0 },
        x: Axis::round(
            widen((0.0, span(all().map(|p| p.kl)).1.max(1e-6)), 0.03),
            7,
            "KL of the next token (nats)",
        ),
        y: Axis::round(widen(span(all().map(|p| p.effect).chain([0.0])), 0.05), 7, what),
        title: String::new(),
    };
    panel.draw(&mut scene);
    scene.line(&[panel.at((panel.x.low, 0.0)), panel.at((panel.x.high, 0.0))], Stroke::solid(AXIS, 1.0));
    for point in &random {
        scene.dot(panel.at((point.kl, point.effect)), 3.4, GREY.faint(0.8));
    }
    for (i, layer) in layers.iter().enumerate() {
        for sign in [-1.0, 1.0] {
            let mut of_side: Vec<&&SweepPoint> =
                moved.iter().filter(|p| p.layers == *layer && p.dose * sign > 0.0).collect();
            of_side.sort_by(|a, b| a.dose.abs().total_cmp(&b.dose.abs()));
            let places = of_side.iter().map(|p| panel.at((p.kl, p.effect)));
            let line: Vec<_> = std::iter::once(panel.at((0.0, 0.0))).chain(places).collect();
            scene.line(&line, stroke(i));
            line.iter().skip(1).for_each(|at| scene.dot(*at, 3.6, stroke(i).ink));
        }
    }
    Ok(scene)
}

#[cfg(test)]
mod tests {
    use super::super::scene::Mark;
    use super::*;

    fn points() -> Vec<SweepPoint> {
        let point = |layers: &str, direction: &str, dose: f64, effect| SweepPoint {
            layers: layers.into(),
            direction: direction.into(),
            dose,
            effect,
            kl: dose.abs() / 30.0,
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
        for scene in [heat_map(&points(), "effect").unwrap(), costs(&points(), "effect").unwrap()] {
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
        let scene = heat_map(&points(), "effect").unwrap();
        let areas = scene.marks.iter().filter(|mark| matches!(mark, Mark::Area { .. })).count();
        assert_eq!(areas, 9, "three layers, three doses other than 0");
    }

    #[test]
    fn nothing_to_draw_and_numbers_that_are_none_are_refused() {
        let random: Vec<SweepPoint> = points().into_iter().filter(|p| p.direction == "random").collect();
        assert!(dose_by_layer(&random, "x", Format::Svg).unwrap_err().to_string().contains("not random"));
        let mut bad = points();
        bad[2].effect = f64::NAN;
        assert!(effect_by_kl(&bad, "x", Format::Svg).unwrap_err().to_string().contains("layer 1"));
    }
}
