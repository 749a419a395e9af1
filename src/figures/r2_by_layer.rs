//! A probe's R² at each depth of the model, with its baselines; one panel per dataset.

use super::axis::{Axis, Interval};
use super::figure_kind::{FigureKind, Subject};
use super::format::Format;
use super::legend::{Legend, Swatch};
use super::paint::paint;
use super::panel::{Frame, Panel};
use super::scene::Scene;
use super::style::*;
use crate::error::{Error, Result};
use crate::results::{
    CENTROID, MEAN, NAMES_ONLY, R2, RIDGE, RIDGE_AND_TEXT, SHUFFLED, SHUFFLED_WEIGHTS, ScoreRow, TEST,
    TEXT as BOTH_TEXTS, UNTRAINED,
};

/// The lowest R² on the axis; lower values are drawn on the edge as a triangle.
const FLOOR: f64 = -0.1;
const PANEL_HEIGHT: f64 = 240.0;
const LEFT: f64 = 76.0;
const BETWEEN: f64 = 60.0;
const RIGHT: f64 = 20.0;
const ABOVE: f64 = 42.0;
/// The height below each panel for its ticks, and below the last row for its label.
const TICKS: f64 = 32.0;
const BELOW: f64 = 26.0;

/// The methods in drawing order, each with its legend text and its line.
const METHODS: [(&str, &str, Stroke); 8] = [
    (CENTROID, "oracle: mean of the true group", Stroke::dashed(ORANGE, 2.2, DASH_DOT)),
    (NAMES_ONLY, "names only (reads no model)", Stroke::dashed(GREEN, 2.2, LONG_DASH)),
    (SHUFFLED, "shuffled labels", Stroke::dashed(GREY, 2.2, DOTS)),
    (SHUFFLED_WEIGHTS, "shuffled weights", Stroke::dashed(PURPLE, 2.2, DOTS)),
    (UNTRAINED, "untrained model", Stroke::dashed(VERMILLION, 2.2, SHORT_DASH)),
    (BOTH_TEXTS, "names and word vectors (read no model)", Stroke::dashed(SKY, 2.2, LONG_DASH)),
    (RIDGE_AND_TEXT, "probe with names and word vectors", Stroke::solid(SKY, 1.8)),
    (RIDGE, "linear probe, 95 % interval", Stroke::solid(BLUE, 2.8)),
];

/// One score at a depth (0 is `embed`, 1 is layer 0), or of a method that needs no model.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Score {
    depth: Option<usize>,
    value: f64,
    band: (f64, f64),
}

/// One dataset's scores, in the order of [`METHODS`], each by depth.
#[derive(Debug, Clone, PartialEq)]
struct Curves {
    dataset: String,
    scores: [Vec<Score>; METHODS.len()],
}

/// This figure's entry in [`FIGURES`](super::FIGURES).
pub(super) const FIGURE: FigureKind = FigureKind {
    name: "r2_by_layer",
    about: "R² at each depth with its baselines, for all datasets",
    subject: Subject::Datasets,
    applies: |rows| !rows.scores.is_empty(),
    draw: |rows, format| r2_by_layer(&rows.scores, format),
};

/// Draws test R² against depth: the probe with its 95 % interval, the same probe on an untrained model, on the model
/// with shuffled weights and on shuffled targets, the probe with the text, and as horizontal lines the baselines
/// without a model. The distance between the probe with the text and the text alone is the surplus.
///
/// Uses the rows with metric `r2`, target `mean` and split `test`, of the residual stream and of the
/// methods drawn here; other rows are ignored. Datasets keep their order.
///
/// # Units
/// R², from −0.1 to 1; a lower value is drawn as a triangle on the edge.
///
/// # Errors
/// [`Error::Invalid`] without a row to draw, for a dataset without the probe's test scores, or for two rows
/// of the same point; [`Error::NonFinite`] for a score that is not finite.
pub fn r2_by_layer(rows: &[ScoreRow], format: Format) -> Result<Vec<u8>> {
    paint(&scene(rows)?, format)
}

pub(super) fn scene(rows: &[ScoreRow]) -> Result<Scene> {
    let all = collect(rows)?;
    let columns = if all.len() == 4 { 2 } else { all.len().min(3) };
    // One panel or two are wider, so that the legend has room.
    let panel_width = [560.0, 400.0, 328.0][columns - 1];
    let width = LEFT + columns as f64 * (panel_width + BETWEEN) - BETWEEN + RIGHT;
    let legend = legend(&all);
    let strip = legend.height(width - LEFT - RIGHT);
    let height = 14.0 + strip + all.len().div_ceil(columns) as f64 * (ABOVE + PANEL_HEIGHT + TICKS) + BELOW;
    let mut scene = Scene::new(width, height);
    legend.draw(&mut scene, (LEFT, 14.0), width - LEFT - RIGHT);
    let deepest = all.iter().flat_map(|c| &c.scores).flatten().filter_map(|s| s.depth).max().unwrap_or(0);
    for (i, curves) in all.iter().enumerate() {
        let (row, column) = (i / columns, i % columns);
        let frame = Frame {
            left: LEFT + column as f64 * (panel_width + BETWEEN),
            top: 14.0 + strip + ABOVE + row as f64 * (ABOVE + PANEL_HEIGHT + TICKS),
            width: panel_width,
            height: PANEL_HEIGHT,
        };
        let label = if column == 0 { "R² on the test rows" } else { "" };
        let y = Axis::round(Interval::new(FLOOR, 1.0), 6, label);
        let x = depth_axis(deepest, if i + columns >= all.len() { "layer" } else { "" });
        draw(&mut scene, curves, &Panel { frame, x, y, title: dataset_title(&curves.dataset) });
    }
    Ok(scene)
}

fn collect(rows: &[ScoreRow]) -> Result<Vec<Curves>> {
    let mut all: Vec<Curves> = Vec::new();
    for row in rows.iter().filter(|row| row.metric == R2 && row.target == MEAN) {
        let Some(method) = METHODS.iter().position(|(method, ..)| *method == row.method) else { continue };
        let i = all.iter().position(|curves| curves.dataset == row.dataset).unwrap_or_else(|| {
            all.push(Curves { dataset: row.dataset.clone(), scores: Default::default() });
            all.len() - 1
        });
        let is_stream = row.hook_point.is_empty()
            || row.hook_point.ends_with("hook_resid_post")
            || row.hook_point == "blocks.0.hook_resid_pre";
        if row.split == TEST && is_stream {
            add(&mut all[i].scores[method], row)?;
        }
    }
    let needed =
        "rows with metric `r2`, target `mean`, split `test`, method `ridge`; `mappa probe` writes them";
    if all.is_empty() {
        return Err(Error::invalid("scores for the R² figure", "none", needed));
    }
    for curves in &mut all {
        curves.scores.iter_mut().for_each(|scores| scores.sort_by_key(|score| score.depth));
        if !curves.scores.iter().zip(&METHODS).any(|(scores, method)| method.0 == RIDGE && !scores.is_empty())
        {
            return Err(Error::invalid(format!("test scores of `{}`", curves.dataset), "none", needed));
        }
    }
    Ok(all)
}

fn add(scores: &mut Vec<Score>, row: &ScoreRow) -> Result<()> {
    let place = || {
        let at = if row.layer.is_empty() { "" } else { " at layer " };
        format!("{}: {}{at}{}", row.dataset, row.method, row.layer)
    };
    // Only the probe's interval is drawn, so only that must be finite.
    let drawn: &[f64] = if row.method == RIDGE { &[row.value, row.low, row.high] } else { &[row.value] };
    if let Some(found) = drawn.iter().copied().find(|value| !value.is_finite()) {
        let advice = "leave the row out or probe again".to_string();
        return Err(Error::NonFinite { place: place(), found, advice });
    }
    let reads_no_model = [NAMES_ONLY, BOTH_TEXTS, CENTROID].contains(&row.method.as_str());
    let depth = match row.layer.as_str() {
        _ if reads_no_model => None,
        "embed" => Some(0),
        layer => match layer.parse::<usize>() {
            Ok(layer) => Some(layer + 1),
            Err(_) => return Err(Error::invalid(place(), layer, "the layer `embed` or a block index")),
        },
    };
    if scores.iter().any(|score| score.depth == depth) {
        let expected = "one row per point: choose one model and one prompt";
        return Err(Error::invalid(place(), "two rows", expected));
    }
    scores.push(Score { depth, value: row.value, band: (row.low, row.high) });
    Ok(())
}

fn legend(all: &[Curves]) -> Legend {
    let mut legend = Legend::default();
    for (method, (name, words, stroke)) in METHODS.iter().enumerate().rev() {
        if all.iter().all(|curves| curves.scores[method].is_empty()) {
            continue;
        }
        let is_probe = *name == RIDGE;
        let swatch = if is_probe { Swatch::Band(*stroke, BLUE.faint(0.2)) } else { Swatch::Line(*stroke) };
        legend.push(swatch, *words);
    }
    if all.iter().flat_map(|curves| &curves.scores).flatten().any(|score| score.value < FLOOR) {
        legend.push(Swatch::Below(TEXT), "R² below −0.1");
    }
    legend
}

/// The axis of layers: `embed` at 0, block `l` at `l + 1`.
pub(super) fn depth_axis(deepest: usize, label: &str) -> Axis {
    let step = (0..).map(|power| 1 << power).find(|step| deepest / step <= 14).unwrap_or(1);
    let layers = (1..=deepest).filter(|depth| (depth - 1) % step == 0);
    // The label `embed` needs the room of two numbers.
    let spared = if deepest >= 10 { step.max(2) } else { 1 };
    let ticks = layers.filter(|depth| *depth >= spared).map(|depth| (depth as f64, (depth - 1).to_string()));
    let ticks = std::iter::once((0.0, "embed".to_string())).chain(ticks).collect();
    let margin = 0.03 * deepest.max(8) as f64;
    Axis { low: -margin, high: deepest as f64 + margin, ticks, label: label.to_string() }
}

fn draw(scene: &mut Scene, curves: &Curves, panel: &Panel) {
    panel.draw(scene);
    let zero = [panel.at((panel.x.low, 0.0)), panel.at((panel.x.high, 0.0))];
    scene.line(&zero, Stroke::solid(AXIS, 1.0));
    for ((method, _, stroke), scores) in METHODS.iter().zip(&curves.scores) {
        if *method == RIDGE {
            draw_band(scene, scores, panel);
        }
        draw_curve(scene, scores, panel, *stroke);
    }
}

fn draw_band(scene: &mut Scene, scores: &[Score], panel: &Panel) {
    let at = |score: &Score, value: f64| panel.at((score.depth.unwrap_or(0) as f64, value.clamp(FLOOR, 1.0)));
    let highs = scores.iter().map(|score| at(score, score.band.1));
    let lows = scores.iter().rev().map(|score| at(score, score.band.0));
    scene.area(highs.chain(lows).collect(), BLUE.faint(0.2));
}

fn draw_curve(scene: &mut Scene, scores: &[Score], panel: &Panel, stroke: Stroke) {
    let is_dense = scores.len() > 16;
    let mut points = Vec::new();
    for score in scores {
        let height = score.value.clamp(FLOOR, 1.0);
        let at = |x: f64| panel.at((x, height));
        let middle = match score.depth {
            Some(depth) => at(depth as f64),
            None => {
                points.extend([at(panel.x.low), at(panel.x.high)]);
                at((panel.x.low + panel.x.high) / 2.0)
            }
        };
        if score.depth.is_some() {
            points.push(middle);
        }
        if score.value < FLOOR {
            scene.down_mark(middle, if is_dense { 2.6 } else { 5.0 }, stroke.ink);
        } else if score.depth.is_some() && (stroke.dashes.is_empty() || scores.len() == 1) {
            scene.dot(middle, if is_dense { 2.2 } else { 3.4 }, stroke.ink);
        }
    }
    scene.line(&points, stroke);
}

/// A dataset's name in words; names of datasets that are not bundled stay as they are.
fn dataset_title(name: &str) -> String {
    let words = match name {
        "world_place" => "World places",
        "us_place" => "US places",
        "nyc_place" => "New York places",
        "historical_figure" => "Historical figures",
        "art" => "Artworks",
        "headline" => "Headlines",
        other => other,
    };
    words.to_string()
}
