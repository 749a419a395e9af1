//! The effect of a whole sweep at each layer and dose, as a heat map.

use super::figure_kind::{FigureKind, Subject};
use super::font;
use super::format::Format;
use super::paint::paint;
use super::scene::{Anchor, Label, Scene};
use super::style::*;
use super::sweep_points::{doses, is_measured, layers, separated};
use crate::error::Result;
use crate::results::SweepPoint;

const LEFT: f64 = 96.0;
const TOP: f64 = 60.0;
const BELOW: f64 = 66.0;
const RIGHT: f64 = 30.0;
/// The room to the left of the layers' names, for the axis's label.
const BESIDE: f64 = 36.0;
/// The margin to the right of the title.
const MARGIN: f64 = 14.0;
/// A cell of the heat map.
const CELL: (f64, f64) = (82.0, 34.0);

/// This figure's entry in [`FIGURES`](super::FIGURES).
pub(super) const FIGURE: FigureKind = FigureKind {
    name: "dose_by_layer",
    about: "the effect of a sweep at each layer and dose",
    subject: Subject::Sweep,
    applies: |rows| is_measured(&rows.points.rows),
    draw: |rows, format| dose_by_layer(&rows.points.rows, &rows.points.title, format),
};

/// Draws the effect at each layer and dose: blue along the dose, red against it. A cell has the value of the effect
/// and, in brackets, the value for random directions of the same length.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) if all points belong to random directions;
/// [`Error::NonFinite`](crate::Error::NonFinite) for an effect that is not finite.
pub fn dose_by_layer(points: &[SweepPoint], what: &str, format: Format) -> Result<Vec<u8>> {
    paint(&scene(points, what)?, format)
}

pub(super) fn scene(points: &[SweepPoint], what: &str) -> Result<Scene> {
    let (moved, random) = separated(points)?;
    let (layers, doses) = (layers(&moved), doses(&moved));
    let (width, height) = (CELL.0 * doses.len() as f64, CELL.1 * layers.len() as f64);
    let title = format!("{what}; in brackets: random directions");
    // Joined layers have long names, and few doses make the map narrower than the title.
    let widest = layers.iter().map(|layer| FONT_SLACK * font::width(layer, TICK_SIZE)).fold(0.0, f64::max);
    let left = LEFT.max(widest + BESIDE);
    let right = RIGHT.max(FONT_SLACK * font::width(&title, LABEL_SIZE) + MARGIN - width);
    let mut scene = Scene::new(left + width + right, TOP + height + BELOW);
    let most = moved.iter().map(|p| p.effect.abs()).fold(1e-9, f64::max);
    scene.text(Label::level(title, (left, TOP - 18.0), LABEL_SIZE));
    for point in &moved {
        let (Some(i), Some(j)) =
            (doses.iter().position(|d| *d == point.dose), layers.iter().position(|l| *l == point.layers))
        else {
            continue;
        };
        // Deeper layers are higher, as the stream is usually drawn; joined ones come last.
        let (x, y) = (left + CELL.0 * i as f64, TOP + CELL.1 * (layers.len() - 1 - j) as f64);
        let corners = vec![(x, y), (x + CELL.0, y), (x + CELL.0, y + CELL.1), (x, y + CELL.1)];
        let hue = if point.effect >= 0.0 { BLUE } else { VERMILLION };
        scene.area(corners, hue.faint(0.08 + 0.72 * point.effect.abs() / most));
        let baseline = random.iter().find(|r| r.layers == point.layers && r.dose == point.dose);
        let word = match baseline {
            Some(baseline) => format!("{} ({})", short(point.effect), short(baseline.effect)),
            None => short(point.effect),
        };
        let at = (x + CELL.0 / 2.0, y + CELL.1 / 2.0 + 0.34 * TICK_SIZE);
        let size = font::fitted(&word, TICK_SIZE, CELL.0);
        scene.text(Label::level(word, at, size).anchored(Anchor::Middle));
    }
    for (i, dose) in doses.iter().enumerate() {
        let at = (left + CELL.0 * (i as f64 + 0.5), TOP + height + 7.0 + 0.76 * TICK_SIZE);
        let word = format!("{dose:+}").replace('-', "−");
        let size = font::fitted(&word, TICK_SIZE, CELL.0);
        scene.text(Label::level(word, at, size).anchored(Anchor::Middle));
    }
    for (j, layer) in layers.iter().rev().enumerate() {
        let at = (left - 8.0, TOP + CELL.1 * (j as f64 + 0.5) + 0.34 * TICK_SIZE);
        scene.text(Label::level(*layer, at, TICK_SIZE).anchored(Anchor::End));
    }
    let at = (left + width / 2.0, TOP + height + 11.0 + TICK_SIZE + 1.4 * LABEL_SIZE);
    scene.text(Label::level("dose", at, LABEL_SIZE).anchored(Anchor::Middle));
    let at = ((left - 50.0).min(left - 16.0 - widest), TOP + height / 2.0);
    scene.text(Label::level("layer", at, LABEL_SIZE).anchored(Anchor::Middle).upward());
    Ok(scene)
}

fn short(value: f64) -> String {
    let text = if value.abs() < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") };
    text.replace('-', "−")
}
