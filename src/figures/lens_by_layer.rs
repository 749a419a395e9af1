//! Lenses at each depth of the model: the cross-entropy of the next token, and the divergence from the model's prediction.

use super::axis::{Axis, Interval};
use super::figure_kind::{FigureKind, Subject};
use super::format::Format;
use super::legend::{Legend, Swatch};
use super::paint::paint;
use super::panel::{Frame, Panel};
use super::r2_by_layer::depth_axis;
use super::scene::{Label, Scene};
use super::style::*;
use crate::error::{Error, Result};
use crate::results::LensScoreRow;

const LEFT: f64 = 76.0;
const BETWEEN: f64 = 84.0;
const RIGHT: f64 = 24.0;
const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 300.0;
const ABOVE: f64 = 42.0;
const BELOW: f64 = 62.0;
/// The strokes of lenses, in the order of their rows.
const STROKES: [Stroke; 4] = [
    Stroke::solid(ORANGE, 2.4),
    Stroke::solid(BLUE, 2.8),
    Stroke::solid(GREEN, 2.4),
    Stroke::solid(PURPLE, 2.4),
];
const MODEL: Stroke = Stroke::dashed(GREY, 2.2, LONG_DASH);

/// One lens: its name, and its rows by depth (0 is `embed`, 1 is layer 0).
struct Curve<'a> {
    lens: &'a str,
    rows: Vec<(f64, &'a LensScoreRow)>,
}

/// This figure's entry in [`FIGURES`](super::FIGURES).
pub(super) const FIGURE: FigureKind = FigureKind {
    name: "lens_by_layer",
    about: "cross-entropy and divergence of lenses at each depth",
    subject: Subject::Lens,
    applies: |rows| !rows.lenses.is_empty(),
    draw: |rows, format| lens_by_layer(&rows.lenses, format),
};

/// Draws two panels over the depth: the cross-entropy of each lens with its 95 % interval beside the model's own, and the
/// divergence of the model's prediction from each lens's.
///
/// # Units
/// Nats per token.
///
/// # Errors
/// [`Error::Invalid`] without rows, or for two rows of one lens and layer; [`Error::NonFinite`] for a score that is not
/// finite.
pub fn lens_by_layer(rows: &[LensScoreRow], format: Format) -> Result<Vec<u8>> {
    paint(&scene(rows)?, format)
}

pub(super) fn scene(rows: &[LensScoreRow]) -> Result<Scene> {
    let curves = collect(rows)?;
    let strip_width = 2.0 * WIDTH + BETWEEN;
    let mut legend = Legend::default();
    for (curve, stroke) in curves.iter().zip(STROKES.iter().cycle()) {
        let is_short = curve.lens.chars().count() <= 40;
        let short: String = curve.lens.chars().take(39).collect();
        let name = if is_short { curve.lens.to_string() } else { format!("{short}…") };
        legend.push(Swatch::Band(*stroke, stroke.ink.faint(0.2)), format!("{name} lens, 95 % interval"));
    }
    legend.push(Swatch::Line(MODEL), "the model itself");
    let strip = legend.height(strip_width);
    let mut scene = Scene::new(LEFT + strip_width + RIGHT, 14.0 + strip + ABOVE + HEIGHT + BELOW);
    legend.draw(&mut scene, (LEFT, 14.0), strip_width);
    let deepest = curves.iter().flat_map(|c| &c.rows).map(|(depth, _)| *depth as usize).max().unwrap_or(0);
    let own = curves[0].rows.last().map_or(0.0, |(_, row)| row.cross_entropy);
    let ends = range(&curves, own, |row| [row.cross_entropy, row.low, row.high]);
    let kls = range(&curves, 0.0, |row| [row.kl; 3]);
    let label = "nats per token";
    for (i, (title, interval)) in
        [("cross-entropy of the next token", ends), ("divergence from the model's prediction", kls)]
            .into_iter()
            .enumerate()
    {
        let panel = Panel {
            frame: Frame {
                left: LEFT + i as f64 * (WIDTH + BETWEEN),
                top: 14.0 + strip + ABOVE,
                width: WIDTH,
                height: HEIGHT,
            },
            x: depth_axis(deepest, "layer"),
            y: Axis::round(interval.widened(0.05), 6, label),
            title: title.to_string(),
        };
        panel.draw(&mut scene);
        let level = if i == 0 { own } else { 0.0 };
        scene.line(&[panel.at((panel.x.low, level)), panel.at((panel.x.high, level))], MODEL);
        for (curve, stroke) in curves.iter().zip(STROKES.iter().cycle()) {
            draw(&mut scene, curve, &panel, Look { is_loss: i == 0, stroke: *stroke });
        }
    }
    Ok(scene)
}

/// The range of an axis. The embedding of a logit lens is often far off; where it would flatten all other layers, it is left
/// out of the range.
fn range(curves: &[Curve], level: f64, values: fn(&LensScoreRow) -> [f64; 3]) -> Interval {
    let over = |least: f64| {
        let rows = curves.iter().flat_map(|curve| &curve.rows).filter(move |(depth, _)| *depth >= least);
        Interval::of(rows.flat_map(|(_, row)| values(row)).chain([level]))
    };
    let (all, later) = (over(0.0), over(1.0));
    if later.length() > 0.0 && all.high > later.low + 1.5 * later.length() { later } else { all }
}

/// The look of a curve, and the quantity that it shows.
struct Look {
    is_loss: bool,
    stroke: Stroke,
}

fn draw(scene: &mut Scene, curve: &Curve, panel: &Panel, look: Look) {
    let Look { is_loss, stroke } = look;
    let top = panel.y.high;
    let at = |depth: f64, value: f64| panel.at((depth, value.clamp(panel.y.low, top)));
    let has_band = curve.rows.iter().all(|(_, row)| row.low.is_finite() && row.high.is_finite());
    if is_loss && has_band {
        let highs = curve.rows.iter().map(|(depth, row)| at(*depth, row.high));
        let lows = curve.rows.iter().rev().map(|(depth, row)| at(*depth, row.low));
        scene.area(highs.chain(lows).collect(), stroke.ink.faint(0.2));
    }
    let value = |row: &LensScoreRow| if is_loss { row.cross_entropy } else { row.kl };
    let points: Vec<_> = curve.rows.iter().map(|(depth, row)| at(*depth, value(row))).collect();
    scene.line(&points, stroke);
    let radius = if points.len() > 16 { 2.2 } else { 3.4 };
    for (point, (_, row)) in points.iter().zip(&curve.rows) {
        scene.dot(*point, radius, stroke.ink);
        if value(row) > top {
            let words = format!("{:.1}, above the axis", value(row));
            scene.text(Label::level(words, (point.0 + 8.0, point.1 + 12.0), TICK_SIZE));
        }
    }
}

fn collect(rows: &[LensScoreRow]) -> Result<Vec<Curve<'_>>> {
    let mut curves: Vec<Curve> = Vec::new();
    for row in rows {
        let place = || format!("lens `{}` at layer {}", row.lens, row.layer);
        if let Some(found) = [row.cross_entropy, row.kl].into_iter().find(|value| !value.is_finite()) {
            let advice = "leave the row out, or fit the lens again".to_string();
            return Err(Error::NonFinite { place: place(), found, advice });
        }
        let depth = match row.layer.as_str() {
            "embed" => 0.0,
            layer => match layer.parse::<u32>() {
                Ok(layer) => f64::from(layer) + 1.0,
                Err(_) => return Err(Error::invalid(place(), layer, "the layer `embed` or a block index")),
            },
        };
        let i = curves.iter().position(|curve| curve.lens == row.lens).unwrap_or_else(|| {
            curves.push(Curve { lens: &row.lens, rows: Vec::new() });
            curves.len() - 1
        });
        if curves[i].rows.iter().any(|(known, _)| *known == depth) {
            return Err(Error::invalid(place(), "two rows", "one row per lens and layer of one model"));
        }
        curves[i].rows.push((depth, row));
    }
    if curves.is_empty() {
        return Err(Error::invalid("rows of lenses", "none", "rows that `mappa lens fit` writes"));
    }
    curves.iter_mut().for_each(|curve| curve.rows.sort_by(|a, b| a.0.total_cmp(&b.0)));
    Ok(curves)
}
