//! The surplus in strata of the test entities: R² without and with the activations, and each stratum's contribution.

use super::axis::{Axis, Interval};
use super::figure_kind::{FigureKind, Subject};
use super::format::{Caption, Format};
use super::header::{draw_head, head_height};
use super::legend::{Legend, Swatch};
use super::paint::paint;
use super::panel::{Frame, Panel};
use super::scene::Scene;
use super::style::{AXIS, BLUE, GREEN, Ink, SKY, Stroke};
use crate::error::{Error, Result};
use crate::results::{ALL, StratumRow};

/// The room for the names of strata.
const LEFT: f64 = 250.0;
const WIDTH: f64 = 330.0;
const BETWEEN: f64 = 40.0;
const RIGHT: f64 = 24.0;
/// The height of a stratum.
const ROW: f64 = 34.0;
const TITLE: f64 = 30.0;
const BELOW: f64 = 62.0;
/// The lowest R² on the axis; lower values are drawn at its edge.
const FLOOR: f64 = -0.5;

/// This figure's entry in [`FIGURES`](super::FIGURES).
pub(super) const FIGURE: FigureKind = FigureKind {
    name: "strata",
    about: "the surplus over the text in parts of a dataset's test entities",
    subject: Subject::Dataset { suffix: "_strata" },
    applies: |rows| !rows.strata.rows.is_empty(),
    draw: |rows, format| strata(&rows.strata.rows, &rows.strata.caption(), format),
};

/// Draws the strata of each property, one below the other: at the left the R² of the text and of text and activations, at
/// the right the contribution to the surplus, with their 95 % intervals.
///
/// Uses rows of one text and one target; those of all test entities are ignored.
///
/// # Errors
/// [`Error::Invalid`] without rows.
pub fn strata(rows: &[StratumRow], caption: &Caption, format: Format) -> Result<Vec<u8>> {
    paint(&scene(rows, caption)?, format)
}

pub(super) fn scene(rows: &[StratumRow], caption: &Caption) -> Result<Scene> {
    let mut parts: Vec<(&str, Vec<&StratumRow>)> = Vec::new();
    for row in rows.iter().filter(|row| row.by != ALL) {
        match parts.iter_mut().find(|(by, _)| *by == row.by) {
            Some((_, of)) => of.push(row),
            None => parts.push((&row.by, vec![row])),
        }
    }
    if parts.is_empty() {
        let expected = "rows of strata.csv; `mappa probe strata` writes them";
        return Err(Error::invalid("strata to draw", "none", expected));
    }
    let mut legend = Legend::default();
    legend.push(Swatch::Dot(SKY, 4.5), "text alone");
    legend.push(Swatch::Dot(BLUE, 4.5), "text and activations");
    legend.push(Swatch::Dot(GREEN, 4.5), "contribution to the surplus");
    let width = LEFT + 2.0 * WIDTH + BETWEEN + RIGHT;
    let top = head_height(caption, &legend, width);
    let height = |of: &[&StratumRow]| TITLE + of.len() as f64 * ROW + BELOW;
    let mut scene = Scene::new(width, top + parts.iter().map(|(_, of)| height(of)).sum::<f64>());
    draw_head(&mut scene, caption, &legend);
    let all = || rows.iter().filter(|row| row.by != ALL);
    let scores = all().flat_map(|row| [row.r2_text, row.r2_both, row.r2_text_low, row.r2_both_high, 0.0]);
    let scores = Interval::of(scores.map(|score| score.clamp(FLOOR, 1.0))).widened(0.05);
    let gains = all().flat_map(|row| [row.contribution, row.contribution_low, row.contribution_high, 0.0]);
    let gains = Interval::of(gains).widened(0.08);
    let mut at = top + TITLE;
    for (by, of) in &parts {
        let frame = Frame { left: LEFT, top: at, width: WIDTH, height: of.len() as f64 * ROW };
        draw_scores(&mut scene, of, frame, &Horizontal { by, interval: scores });
        let frame = Frame { left: LEFT + WIDTH + BETWEEN, ..frame };
        draw_contributions(&mut scene, of, frame, &Horizontal { by: "", interval: gains });
        at += height(of);
    }
    Ok(scene)
}

/// The title of a panel, and the values of its horizontal axis.
struct Horizontal<'a> {
    by: &'a str,
    interval: Interval,
}

/// The number of test entities, after the name of a stratum.
fn name(row: &StratumRow) -> String {
    format!("{} (n = {})", row.stratum, row.n_test)
}

/// A panel with one row per stratum, the first at the top.
fn panel(of: &[&StratumRow], frame: Frame, horizontal: &Horizontal, x_label: &str) -> Panel {
    let n = of.len();
    let has_names = !horizontal.by.is_empty();
    let label = |row: &StratumRow| if has_names { name(row) } else { String::new() };
    let ticks = of.iter().enumerate().map(|(i, row)| ((n - 1 - i) as f64, label(row))).collect();
    let y = Axis { low: -0.5, high: n as f64 - 0.5, ticks, label: String::new() };
    Panel { frame, x: Axis::round(horizontal.interval, 5, x_label), y, title: horizontal.by.to_string() }
}

fn draw_scores(scene: &mut Scene, of: &[&StratumRow], frame: Frame, horizontal: &Horizontal) {
    let panel = panel(of, frame, horizontal, "R²");
    panel.draw(scene);
    for (i, row) in of.iter().enumerate() {
        let y = (of.len() - 1 - i) as f64;
        let text = Whisker { value: row.r2_text, low: row.r2_text_low, high: row.r2_text_high, ink: SKY };
        text.draw(scene, &panel, y + 0.14);
        let both = Whisker { value: row.r2_both, low: row.r2_both_low, high: row.r2_both_high, ink: BLUE };
        both.draw(scene, &panel, y - 0.14);
    }
}

fn draw_contributions(scene: &mut Scene, of: &[&StratumRow], frame: Frame, horizontal: &Horizontal) {
    let panel = panel(of, frame, horizontal, "contribution to the surplus");
    panel.draw(scene);
    let zero = [panel.at((0.0, panel.y.low)), panel.at((0.0, panel.y.high))];
    scene.line(&zero, Stroke::solid(AXIS, 1.0));
    for (i, row) in of.iter().enumerate() {
        let StratumRow { contribution: value, contribution_low: low, contribution_high: high, .. } = **row;
        Whisker { value, low, high, ink: GREEN }.draw(scene, &panel, (of.len() - 1 - i) as f64);
    }
}

/// A value with its interval.
struct Whisker {
    value: f64,
    low: f64,
    high: f64,
    ink: Ink,
}

impl Whisker {
    /// Draws the interval as a line and the value as a point; values beyond the axis are drawn at its edge.
    fn draw(&self, scene: &mut Scene, panel: &Panel, y: f64) {
        let at = |value: f64| panel.at((value.clamp(panel.x.low, panel.x.high), y));
        if self.low.is_finite() && self.high.is_finite() {
            scene.line(&[at(self.low), at(self.high)], Stroke::solid(self.ink, 2.0));
        }
        if self.value.is_finite() {
            scene.dot(at(self.value), 4.2, self.ink);
        }
    }
}
