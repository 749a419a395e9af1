//! The rank correlation of each MLP neuron with a target, block by block.

use super::axis::{Axis, Interval};
use super::figure_kind::{FigureKind, Subject};
use super::format::{Caption, Format};
use super::header::{draw_head, head_height};
use super::legend::{Legend, Swatch};
use super::paint::paint;
use super::panel::{Frame, Panel};
use super::readings::thinned;
use super::scene::Scene;
use super::style::{AXIS, BLUE, GREY, Stroke, VERMILLION};
use crate::error::{Error, Result};
use crate::results::NeuronRow;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 90.0;
const BELOW: f64 = 76.0;
/// Room for a panel's title, above its frame.
const TITLE: f64 = 26.0;
/// The false discovery rate below which a neuron is drawn as correlated with its target.
const SURE: f64 = 0.01;

/// This figure's entry in [`FIGURES`](super::FIGURES).
pub(super) const FIGURE: FigureKind = FigureKind {
    name: "neurons",
    about: "rank correlations of a dataset's target with MLP neurons",
    subject: Subject::Dataset { suffix: "_neurons" },
    applies: |rows| !rows.neurons.rows.is_empty(),
    draw: |rows, format| neurons(&rows.neurons.rows, &rows.neurons.caption(), format),
};

/// Draws the rank correlation of every MLP neuron with a target, by block; one panel per target.
///
/// # Errors
/// [`Error::Invalid`] without rows; [`Error::NonFinite`] for a correlation that is not finite.
pub fn neurons(rows: &[NeuronRow], caption: &Caption, format: Format) -> Result<Vec<u8>> {
    paint(&scene(rows, caption)?, format)
}

pub(super) fn scene(rows: &[NeuronRow], caption: &Caption) -> Result<Scene> {
    if rows.is_empty() {
        return Err(Error::invalid(
            "units to draw",
            "none",
            "rows of units.csv; `mappa neurons` writes them",
        ));
    }
    if let Some(row) = rows.iter().find(|row| !row.rho.is_finite()) {
        let place = format!("{}: unit {} of block {}", row.dataset, row.unit, row.layer);
        return Err(Error::NonFinite {
            place,
            found: row.rho,
            advice: "extract the activations again".into(),
        });
    }
    let mut targets: Vec<&str> = Vec::new();
    for row in rows {
        if !targets.contains(&row.target.as_str()) {
            targets.push(&row.target);
        }
    }
    let mut legend = Legend::default();
    legend.push(Swatch::Dot(BLUE, 4.5), "follows it (at most 1 % of these falsely)");
    legend.push(Swatch::Dot(VERMILLION, 4.5), "most of its block");
    legend.push(Swatch::Dot(GREY, 4.5), "any other unit");
    let width = LEFT + WIDTH + 30.0;
    let top = head_height(caption, &legend, width) + TITLE;
    let mut scene = Scene::new(width, top + targets.len() as f64 * (HEIGHT + BELOW));
    draw_head(&mut scene, caption, &legend);
    for (i, target) in targets.into_iter().enumerate() {
        let frame =
            Frame { left: LEFT, top: top + i as f64 * (HEIGHT + BELOW), width: WIDTH, height: HEIGHT };
        let of_target: Vec<&NeuronRow> = rows.iter().filter(|row| row.target == target).collect();
        draw(&mut scene, &of_target, frame, target);
    }
    Ok(scene)
}

fn draw(scene: &mut Scene, rows: &[&NeuronRow], frame: Frame, target: &str) {
    let blocks = rows.iter().map(|row| row.layer).max().unwrap_or(0) + 1;
    let widest = rows.iter().map(|row| row.unit + 1).max().unwrap_or(1) as f64;
    let most = Interval::of(rows.iter().map(|row| row.rho.abs()).chain([0.1])).high * 1.05;
    let step = blocks.div_ceil(16);
    let ticks = (0..blocks).step_by(step).map(|block| (block as f64, block.to_string())).collect();
    let x = Axis { low: -0.5, high: blocks as f64 - 0.5, ticks, label: "block".into() };
    let y = Axis::round(Interval::new(-most, most), 7, "rank correlation");
    let panel = Panel { frame, x, y, title: target.to_string() };
    panel.draw(scene);
    scene.line(&[panel.at((panel.x.low, 0.0)), panel.at((panel.x.high, 0.0))], Stroke::solid(AXIS, 1.0));
    // A block's neurons are drawn side by side in their order.
    let at = |row: &NeuronRow| panel.at((row.layer as f64 + 0.8 * (row.unit as f64 / widest - 0.5), row.rho));
    let (sure, others): (Vec<&NeuronRow>, Vec<&NeuronRow>) =
        rows.iter().copied().partition(|row| row.q < SURE);
    for (rows, ink) in [(others, GREY.faint(0.5)), (sure, BLUE.faint(0.6))] {
        thinned(rows.into_iter().map(at)).into_iter().for_each(|point| scene.dot(point, 1.8, ink));
    }
    for block in 0..blocks {
        let of_block = rows.iter().filter(|row| row.layer == block);
        if let Some(row) = of_block.max_by(|a, b| a.rho.abs().total_cmp(&b.rho.abs())) {
            scene.dot(at(row), 3.6, VERMILLION);
        }
    }
}
