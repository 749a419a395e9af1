//! Predictable, beyond the text, and used, by layer: a probe's scores above, exchanges of subspaces below.

use super::axis::{Axis, Interval};
use super::figure_kind::{FigureKind, Subject};
use super::format::{Caption, Format};
use super::header::{draw_head, head_height};
use super::legend::{Legend, Swatch};
use super::paint::paint;
use super::panel::{Frame, Panel};
use super::r2_by_layer::depth_axis;
use super::scene::Scene;
use super::style::*;
use crate::error::{Error, Result};
use crate::results::{
    DAS, InterchangeRow, MEAN, NOTHING, PATTERN, PROBE, R2, RANDOM, RIDGE, RIDGE_AND_TEXT, STREAM, SURPLUS,
    ScoreRow, TEST,
};

/// The lowest value on the axis of scores; lower ones are drawn on the edge as a triangle.
const FLOOR: f64 = -0.1;
const LEFT: f64 = 90.0;
const WIDTH: f64 = 646.0;
const RIGHT: f64 = 24.0;
/// Height of a panel, and the room for its title above it.
const HEIGHT: f64 = 210.0;
const TITLE: f64 = 26.0;
/// Between the panels, and below the lower one.
const BETWEEN: f64 = 30.0;
const BELOW: f64 = 62.0;

/// The scores of the upper panel: method, metric, legend text and line.
const SCORES: [(&str, &str, &str, Stroke); 2] = [
    (RIDGE, R2, "predictable: R² of the probe", Stroke::solid(BLUE, 2.6)),
    (RIDGE_AND_TEXT, SURPLUS, "beyond the text: surplus of R²", Stroke::solid(SKY, 2.2)),
];

/// The exchanges of the lower panel in drawing order: name, legend text and line.
const EXCHANGES: [(&str, &str, Stroke); 6] = [
    (NOTHING, "no exchange", Stroke::dashed(GREY, 2.0, DOTS)),
    (RANDOM, "random subspaces", Stroke::dashed(GREY, 2.2, SHORT_DASH)),
    (PATTERN, "the probe's pattern", Stroke::dashed(GREEN, 2.2, LONG_DASH)),
    (PROBE, "the probe's subspace", Stroke::solid(BLUE, 2.4)),
    (STREAM, "the whole stream", Stroke::solid(BLACK, 1.8)),
    (DAS, "used: the subspace found by gradient (DAS)", Stroke::solid(VERMILLION, 2.6)),
];

/// This figure's entry in [`FIGURES`](super::FIGURES).
pub(super) const FIGURE: FigureKind = FigureKind {
    name: "used_by_layer",
    about: "predictable (R²), beyond the text (surplus) and used (exchanges) by layer",
    subject: Subject::Cause,
    applies: |rows| !rows.causes.rows.is_empty(),
    draw: |rows, format| used_by_layer(&rows.causes.rows, &rows.scores, &rows.causes.caption(), format),
};

/// A point of a curve: layer, value, and the ends of its interval.
#[derive(Clone, Copy)]
struct Point {
    layer: usize,
    value: f64,
    band: [f64; 2],
}

/// Draws the probe's test R² and its surplus over the text above, and below the share of pairs that follow the source
/// after an exchange of each subspace, by layer; random subspaces as their mean.
///
/// # Errors
/// [`Error::Invalid`] without rows; [`Error::NonFinite`] for a share that is not finite.
pub fn used_by_layer(
    rows: &[InterchangeRow],
    scores: &[ScoreRow],
    caption: &Caption,
    format: Format,
) -> Result<Vec<u8>> {
    paint(&scene(rows, scores, caption)?, format)
}

pub(super) fn scene(rows: &[InterchangeRow], scores: &[ScoreRow], caption: &Caption) -> Result<Scene> {
    if let Some(row) =
        rows.iter().find(|row| ![row.accuracy, row.low, row.high].iter().all(|x| x.is_finite()))
    {
        let place = format!("{}: {} at layer {}", row.dataset, row.exchanged, row.layer);
        let advice = "run `mappa cause` again".to_string();
        return Err(Error::NonFinite { place, found: row.accuracy, advice });
    }
    let exchanges = EXCHANGES.map(|(name, words, stroke)| (words, stroke, of_exchange(rows, name)));
    if exchanges.iter().all(|(_, _, points)| points.is_empty()) {
        let needed = "rows of interchange.csv; `mappa cause` writes them";
        return Err(Error::invalid("exchanges to draw", "none", needed));
    }
    let above =
        SCORES.map(|(method, metric, words, stroke)| (words, stroke, of_scores(scores, method, metric)));
    let mut legend = Legend::default();
    for (words, stroke, points) in above.iter().chain(exchanges.iter().rev()) {
        if !points.is_empty() {
            legend.push(Swatch::Line(*stroke), *words);
        }
    }
    let width = LEFT + WIDTH + RIGHT;
    let top = head_height(caption, &legend, width) + TITLE;
    let mut scene = Scene::new(width, top + 2.0 * HEIGHT + TITLE + BETWEEN + BELOW);
    draw_head(&mut scene, caption, &legend);
    let all = above.iter().chain(&exchanges).flat_map(|(_, _, points)| points);
    let deepest = all.map(|point| point.layer + 1).max().unwrap_or(1);
    let frame = |top: f64| Frame { left: LEFT, top, width: WIDTH, height: HEIGHT };
    let panel = |top: f64, label: &str, words: [&str; 2]| Panel {
        frame: frame(top),
        x: depth_axis(deepest, words[1]),
        y: Axis::round(Interval::new(FLOOR, 1.0), 6, label),
        title: words[0].to_string(),
    };
    let lower = top + HEIGHT + TITLE + BETWEEN;
    let panels = [
        (panel(top, "R², test rows", ["predictable, and beyond the text", ""]), &above[..]),
        (
            panel(lower, "share of pairs", ["answers that follow the source after an exchange", "layer"]),
            &exchanges[..],
        ),
    ];
    for (panel, curves) in panels {
        panel.draw(&mut scene);
        scene.line(&[panel.at((panel.x.low, 0.0)), panel.at((panel.x.high, 0.0))], Stroke::solid(AXIS, 1.0));
        for (_, stroke, points) in curves {
            draw_curve(&mut scene, &panel, *stroke, points);
        }
    }
    Ok(scene)
}

/// The points of an exchange, with the mean of random subspaces at each layer.
fn of_exchange(rows: &[InterchangeRow], name: &str) -> Vec<Point> {
    let mut layers: Vec<usize> =
        rows.iter().filter(|row| row.exchanged == name).map(|row| row.layer).collect();
    layers.sort_unstable();
    layers.dedup();
    let at_layer = |layer: usize| {
        let of: Vec<&InterchangeRow> =
            rows.iter().filter(|row| row.exchanged == name && row.layer == layer).collect();
        let mean = |value: fn(&InterchangeRow) -> f64| {
            of.iter().map(|row| value(row)).sum::<f64>() / of.len() as f64
        };
        Point { layer, value: mean(|row| row.accuracy), band: [mean(|row| row.low), mean(|row| row.high)] }
    };
    layers.into_iter().map(at_layer).collect()
}

/// The test scores of a method at the outputs of blocks; scores that are not finite are left out.
fn of_scores(scores: &[ScoreRow], method: &str, metric: &str) -> Vec<Point> {
    let is_meant = |row: &&ScoreRow| {
        row.method == method
            && row.metric == metric
            && row.split == TEST
            && row.target == MEAN
            && row.hook_point.ends_with("hook_resid_post")
    };
    let point = |row: &ScoreRow| {
        let layer = row.layer.parse().ok().filter(|_| row.value.is_finite())?;
        Some(Point { layer, value: row.value, band: [row.low, row.high] })
    };
    let mut points: Vec<Point> = scores.iter().filter(is_meant).filter_map(point).collect();
    points.sort_by_key(|point| point.layer);
    points
}

fn draw_curve(scene: &mut Scene, panel: &Panel, stroke: Stroke, points: &[Point]) {
    let at = |point: &Point, value: f64| panel.at((point.layer as f64 + 1.0, value.clamp(FLOOR, 1.0)));
    if stroke.dashes.is_empty() && points.iter().all(|point| point.band.iter().all(|end| end.is_finite())) {
        let highs = points.iter().map(|point| at(point, point.band[1]));
        let lows = points.iter().rev().map(|point| at(point, point.band[0]));
        scene.area(highs.chain(lows).collect(), stroke.ink.faint(0.14));
    }
    let middle: Vec<_> = points.iter().map(|point| at(point, point.value)).collect();
    let size = if points.len() > 16 { 2.2 } else { 3.4 };
    for (point, place) in points.iter().zip(&middle) {
        match point.value < FLOOR {
            true => scene.down_mark(*place, size + 1.0, stroke.ink),
            false => scene.dot(*place, size, stroke.ink),
        }
    }
    scene.line(&middle, stroke);
}
