//! The effect of a whole sweep against its cost, the divergence of the next token.

use super::axis::{Axis, Interval};
use super::figure_kind::{FigureKind, Subject};
use super::format::Format;
use super::legend::{Legend, Swatch};
use super::paint::paint;
use super::panel::{Frame, Panel};
use super::scene::Scene;
use super::style::*;
use super::sweep_points::{is_measured, layers, separated};
use crate::error::Result;
use crate::results::SweepPoint;

const LEFT: f64 = 96.0;
const BELOW: f64 = 66.0;
const RIGHT: f64 = 30.0;
/// The colours of layers' lines, without yellow, which is too faint.
const LINES: [Ink; 8] = [BLUE, ORANGE, GREEN, VERMILLION, SKY, PURPLE, BLACK, WINE];

/// This figure's entry in [`FIGURES`](super::FIGURES).
pub(super) const FIGURE: FigureKind = FigureKind {
    name: "effect_by_kl",
    about: "the effect of a sweep against the divergence of the next token",
    subject: Subject::Sweep,
    applies: |rows| is_measured(&rows.points.rows),
    draw: |rows, format| effect_by_kl(&rows.points.rows, &rows.points.title, format),
};

/// Draws the effect against the divergence of the next token, with two lines per layer, for doses above and below 0;
/// random directions are grey.
///
/// # Units
/// Divergence in nats.
///
/// # Errors
/// As [`super::dose_by_layer()`].
pub fn effect_by_kl(points: &[SweepPoint], what: &str, format: Format) -> Result<Vec<u8>> {
    paint(&scene(points, what)?, format)
}

pub(super) fn scene(points: &[SweepPoint], what: &str) -> Result<Scene> {
    let (moved, random) = separated(points)?;
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
            Interval::new(0.0, Interval::of(all().map(|p| p.kl)).high.max(1e-6)).widened(0.03),
            7,
            "KL of the next token (nats)",
        ),
        y: Axis::round(Interval::of(all().map(|p| p.effect).chain([0.0])).widened(0.05), 7, what),
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
