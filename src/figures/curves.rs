//! Curves of scores in one panel, with bands and horizontal lines; the part that figures of one dataset's scores share.

use super::axis::{Axis, Interval};
use super::format::Caption;
use super::header::{draw_head, head_height};
use super::legend::{Legend, Swatch};
use super::panel::{Frame, Panel};
use super::scene::Scene;
use super::style::{AXIS, Ink, Stroke};
use crate::error::{Error, Result};
use crate::results::ScoreRow;

const WIDTH: f64 = 620.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 90.0;
const BELOW: f64 = 66.0;
/// The lowest score on the axis; lower scores are drawn on the edge as a triangle.
const FLOOR: f64 = -0.1;

/// Scores at several places of the horizontal axis.
pub(super) struct Curve {
    /// The legend's words.
    pub words: String,
    pub stroke: Stroke,
    /// True to draw the intervals as a band.
    pub has_band: bool,
    /// The place on the axis, and the score; a score without a place is drawn as a horizontal line.
    pub scores: Vec<(Option<f64>, ScoreRow)>,
}

/// A panel of curves: the ticks of the horizontal axis, and the labels of both.
pub(super) struct CurvePanel {
    pub curves: Vec<Curve>,
    pub ticks: Vec<(f64, String)>,
    pub labels: [String; 2],
}

impl CurvePanel {
    /// Draws the panel under its caption.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a score; [`Error::NonFinite`] for a score that is not finite.
    pub(super) fn scene(&self, caption: &Caption) -> Result<Scene> {
        let drawn: Vec<&Curve> = self.curves.iter().filter(|curve| !curve.scores.is_empty()).collect();
        if drawn.is_empty() || self.ticks.is_empty() {
            let needed = "rows of scores.csv; `mappa probe` writes them";
            return Err(Error::invalid("scores to draw", "none", needed));
        }
        let mut least = 0.0;
        for (_, row) in drawn.iter().flat_map(|curve| &curve.scores) {
            if !row.value.is_finite() {
                let place =
                    format!("{}: {} of {} at {}", row.dataset, row.metric, row.method, row.hook_point);
                let advice = "leave the row out or probe again".to_string();
                return Err(Error::NonFinite { place, found: row.value, advice });
            }
            least = f64::min(least, row.value);
        }
        let legend = legend(&drawn, least);
        let width = LEFT + WIDTH + 30.0;
        let top = head_height(caption, &legend, width) + 10.0;
        let mut scene = Scene::new(width, top + HEIGHT + BELOW);
        draw_head(&mut scene, caption, &legend);
        let [x_label, y_label] = self.labels.each_ref().map(String::as_str);
        let of_scores = drawn.iter().flat_map(|curve| &curve.scores).filter_map(|(x, _)| *x);
        let of_ticks = Interval::of(self.ticks.iter().map(|(at, _)| *at).chain(of_scores)).widened(0.04);
        let ticks = self.ticks.clone();
        let x = Axis { low: of_ticks.low, high: of_ticks.high, ticks, label: x_label.to_string() };
        let y = Axis::round(Interval::new(if least < 0.0 { FLOOR } else { 0.0 }, 1.0), 6, y_label);
        let frame = Frame { left: LEFT, top, width: WIDTH, height: HEIGHT };
        let panel = Panel { frame, x, y, title: String::new() };
        panel.draw(&mut scene);
        scene.line(&[panel.at((panel.x.low, 0.0)), panel.at((panel.x.high, 0.0))], Stroke::solid(AXIS, 1.0));
        drawn.iter().for_each(|curve| curve.draw(&mut scene, &panel));
        Ok(scene)
    }
}

fn legend(curves: &[&Curve], least: f64) -> Legend {
    let mut legend = Legend::default();
    for curve in curves.iter().rev() {
        let swatch = match curve.has_band {
            true => Swatch::Band(curve.stroke, curve.band()),
            false => Swatch::Line(curve.stroke),
        };
        legend.push(swatch, curve.words.as_str());
    }
    if least < FLOOR {
        legend.push(Swatch::Below(super::style::TEXT), "below −0.1");
    }
    legend
}

impl Curve {
    fn band(&self) -> Ink {
        self.stroke.ink.faint(0.2)
    }

    fn draw(&self, scene: &mut Scene, panel: &Panel) {
        let at = |x: f64, value: f64| panel.at((x, value.clamp(panel.y.low, panel.y.high)));
        let placed: Vec<(f64, &ScoreRow)> =
            self.scores.iter().filter_map(|(x, row)| Some(((*x)?, row))).collect();
        let has_ends = placed.iter().all(|(_, row)| row.low.is_finite() && row.high.is_finite());
        if self.has_band && has_ends {
            let highs = placed.iter().map(|(x, row)| at(*x, row.high));
            let lows = placed.iter().rev().map(|(x, row)| at(*x, row.low));
            scene.area(highs.chain(lows).collect(), self.band());
        }
        for (_, row) in self.scores.iter().filter(|(x, _)| x.is_none()) {
            scene.line(&[at(panel.x.low, row.value), at(panel.x.high, row.value)], self.stroke);
        }
        let points: Vec<_> = placed.iter().map(|(x, row)| at(*x, row.value)).collect();
        for (point, (_, row)) in points.iter().zip(&placed) {
            if row.value < panel.y.low {
                scene.down_mark(*point, 5.0, self.stroke.ink);
            } else if self.stroke.dashes.is_empty() || points.len() == 1 {
                scene.dot(*point, if points.len() > 16 { 2.2 } else { 3.2 }, self.stroke.ink);
            }
        }
        scene.line(&points, self.stroke);
    }
}
