//! The effect of steering doses on the probe's prediction and on the next token.

use super::axis::{Axis, Interval};
use super::columns::Columns;
use super::dose_curves::{Curve, Curves, Sweep, collect, ends, has_probe, mean, unit};
use super::figure_kind::{FigureKind, Subject};
use super::font;
use super::format::Format;
use super::legend::{Legend, Swatch};
use super::paint::paint;
use super::panel::{Frame, Panel};
use super::scene::{Label, Scene};
use super::style::*;
use crate::error::Result;
use crate::results::SweepRow;

const COLUMNS: Columns = Columns {
    left: 88.0,
    between: 92.0,
    right: 24.0,
    above: 46.0,
    apart: 44.0,
    below: 64.0,
    heights: [270.0, 150.0],
    widths: [560.0, 420.0, 300.0, 188.0],
};
/// Narrower panels have fewer ticks and shorter labels.
const NARROW: f64 = 250.0;

const PROBE: Stroke = Stroke::solid(BLUE, 3.2);
const PROMPT: Stroke = Stroke::solid(SKY.faint(0.8), 1.1);
const RANDOM: Stroke = Stroke::solid(GREY, 2.6);
const BAND: Ink = GREY.faint(0.3);
const IDENTITY: Stroke = Stroke::dashed(BLACK, 1.4, SHORT_DASH);

/// This figure's entry in [`FIGURES`](super::FIGURES).
pub(super) const FIGURE: FigureKind = FigureKind {
    name: "dose_response",
    about: "the effect of a sweep's doses on predictions and on the next token",
    subject: Subject::Sweep,
    applies: |rows| has_probe(&rows.sweep),
    draw: |rows, format| dose_response(&rows.sweep, format),
};

/// Draws the effect of each dose, one column per target and steered layer: above, the change of the probe's
/// prediction at the last layer from dose 0; below, the KL divergence from the unsteered model.
///
/// The probe's direction has one line per prompt and one for the mean. Random directions, whose changes have the
/// same length, have one line for their mean, and a band between the least and the greatest mean of a
/// direction over prompts. Dots are mean predictions at the steered layer, or at the last of several.
///
/// # Units
/// Doses and predictions in degrees, years or the target's own unit; KL in nats.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) without rows, without the probe's direction, without dose 0 for
/// a prompt, for a direction that is neither `probe` nor `random`, or for two rows of the same point;
/// [`Error::NonFinite`](crate::Error::NonFinite) for a dose, prediction or divergence that is not finite.
pub fn dose_response(rows: &[SweepRow], format: Format) -> Result<Vec<u8>> {
    paint(&scene(rows)?, format)
}

pub(super) fn scene(rows: &[SweepRow]) -> Result<Scene> {
    let sweeps = collect(rows)?;
    let (mut scene, columns) = COLUMNS.scene(sweeps.len(), &legend(&sweeps));
    for (sweep, column) in sweeps.iter().zip(columns) {
        draw_reading(&mut scene, sweep, column.upper);
        draw_kl(&mut scene, sweep, column.lower);
    }
    Ok(scene)
}

fn legend(sweeps: &[Sweep]) -> Legend {
    let mut legend = Legend::default();
    legend.push(Swatch::Line(PROBE), "probe's direction, mean");
    legend.push(Swatch::Line(PROMPT), "each prompt");
    if sweeps.iter().any(|sweep| !sweep.reading.random.is_empty()) {
        legend.push(Swatch::Band(RANDOM, BAND), "random directions, mean, least to greatest");
    }
    if sweeps.iter().any(|sweep| !sweep.steered.is_empty()) {
        legend.push(Swatch::Dot(ORANGE, 4.5), "probe's direction, read at the steered layer");
    }
    legend.push(Swatch::Line(IDENTITY), "reading moves by the dose");
    legend
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

fn doses(sweep: &Sweep) -> Interval {
    let curves = sweep.reading.prompts.iter().chain(&sweep.reading.random);
    Interval::of(curves.flatten().map(|point| point.0)).widened(0.04)
}

fn draw_reading(scene: &mut Scene, sweep: &Sweep, frame: Frame) {
    let unit = unit(&sweep.target);
    let of_doses = doses(sweep);
    let Interval { low, high } = of_doses;
    let curves = sweep.reading.prompts.iter().chain(&sweep.reading.random).chain([&sweep.steered]);
    let values = curves.flatten().map(|point| point.1).chain([low, high]);
    let range = Interval::of(values).widened(0.05);
    let is_narrow = frame.width < NARROW;
    let (title, what) = match is_narrow {
        true => (format!("layer {}", sweep.layers), sweep.target.as_str()),
        false => (capital(&sweep.target), "reading"),
    };
    let panel = Panel {
        frame,
        x: Axis::round(of_doses, if is_narrow { 4 } else { 7 }, ""),
        y: Axis::round(range, 8, &format!("change of the {what} ({unit})")),
        title,
    };
    panel.draw(scene);
    if !is_narrow {
        let note = format!("steered at layer {}, read at layer {}", sweep.layers, sweep.read_layer);
        let right = frame.left + 1.14 * font::width(&panel.title, PANEL_TITLE_SIZE) + 12.0;
        scene.text(Label::level(note, (right, frame.top - 11.0), TICK_SIZE));
    }
    scene.line(&[panel.at((low, low)), panel.at((high, high))], IDENTITY);
    draw_curves(scene, &sweep.reading, &panel);
    for point in &sweep.steered {
        scene.dot(panel.at(*point), 4.2, ORANGE);
    }
}

fn draw_kl(scene: &mut Scene, sweep: &Sweep, frame: Frame) {
    let curves = sweep.kl.prompts.iter().chain(&sweep.kl.random);
    let of_values = Interval::of(curves.flatten().map(|point| point.1).chain([0.0]));
    let range = Interval::new(of_values.low, of_values.widened(0.05).high);
    let panel = Panel {
        frame,
        x: Axis::round(
            doses(sweep),
            if frame.width < NARROW { 4 } else { 7 },
            &format!("dose ({})", unit(&sweep.target)),
        ),
        y: Axis::round(range, 4, "KL (nats)"),
        title: String::new(),
    };
    panel.draw(scene);
    draw_curves(scene, &sweep.kl, &panel);
}

fn draw_curves(scene: &mut Scene, curves: &Curves, panel: &Panel) {
    let (low, high) = ends(&curves.random);
    if low.len() > 1 {
        scene.area(low.iter().chain(high.iter().rev()).map(|point| panel.at(*point)).collect(), BAND);
    }
    let mut draw = |curve: &Curve, stroke: Stroke| {
        let points: Vec<_> = curve.iter().map(|point| panel.at(*point)).collect();
        scene.line(&points, stroke);
    };
    draw(&mean(&curves.random), RANDOM);
    curves.prompts.iter().for_each(|curve| draw(curve, PROMPT));
    draw(&mean(&curves.prompts), PROBE);
}
