//! A map of predicted places over the true ones.

use super::axis::{Axis, Interval};
use super::format::Caption;
use super::header::{draw_head, head_height, subtitle};
use super::legend::Swatch;
use super::panel::{Frame, Panel};
use super::readings::{Reading, Readings, limits, radius, thinned};
use super::scene::Scene;
use super::style::{GREY, PALE, Stroke, TEXT};

/// Maximum number of lines from true to predicted places.
const JOINED: usize = 60;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 28.0;
const BELOW: f64 = 66.0;
const WIDEST: f64 = 1200.0 - LEFT - RIGHT;
const HIGHEST: f64 = 640.0;
/// The narrowest canvas that holds a title and a legend.
const NARROWEST: f64 = 760.0;
/// Minimum ratio of a map's shorter to its longer side.
const SLENDER: f64 = 0.4;

pub(super) fn scene(readings: &Readings, caption: &Caption) -> Scene {
    let mut legend = readings.legend.clone();
    legend.push(Swatch::Dot(PALE, 4.5), "true place, train and test");
    let words = if readings.tests.len() > JOINED {
        "true to predicted, an even subsample"
    } else {
        "true to predicted"
    };
    legend.push(Swatch::Line(JOIN), words);
    let (x, y, squeeze) = ranges(readings);
    let aspect = x.length() * squeeze / y.length();
    let width = WIDEST.min(HIGHEST * aspect);
    let canvas = (width + LEFT + RIGHT).max(NARROWEST);
    let top = head_height(caption, &legend, canvas);
    let mut scene = Scene::new(canvas, top + width / aspect + BELOW);
    let left = (LEFT + canvas - RIGHT - width) / 2.0;
    let panel = Panel {
        frame: Frame { left, top, width, height: width / aspect },
        x: Axis::round(x, (width / 110.0) as usize + 1, "longitude (°E)"),
        y: Axis::round(y, (width / aspect / 80.0) as usize + 1, "latitude (°N)"),
        title: String::new(),
    };
    let drawn = readings.tests.iter().filter(|reading| panel.holds(reading.prediction)).count();
    let below_title = subtitle(caption, drawn, readings.tests.len());
    draw_head(&mut scene, &Caption { subtitle: &below_title, ..*caption }, &legend);
    panel.draw(&mut scene);
    draw(&mut scene, readings, &panel);
    scene
}

const JOIN: Stroke = Stroke::solid(TEXT.faint(0.7), 1.0);

/// The intervals of longitude and latitude, and the length of a degree of longitude divided by that of one of latitude.
fn ranges(readings: &Readings) -> (Interval, Interval, f64) {
    let column = |pick: fn(&(f64, f64)) -> f64| {
        let truths: Vec<f64> = readings.truths.iter().map(pick).collect();
        let predicted: Vec<f64> = readings.tests.iter().map(|reading| pick(&reading.prediction)).collect();
        limits(&truths, &predicted)
    };
    let (x, y) = (column(|point| point.0), column(|point| point.1));
    let sum: f64 = readings.truths.iter().map(|truth| truth.1).sum();
    let squeeze = (sum / readings.truths.len() as f64).to_radians().cos().max(0.1);
    let (wide, high) = (x.length() * squeeze, y.length());
    // A few places in a row would make a map too slender to read.
    let more = |needed: f64, has: f64| ((needed / has - 1.0) / 2.0).max(0.0);
    (x.widened(more(SLENDER * high, wide)), y.widened(more(SLENDER * wide, high)), squeeze)
}

fn draw(scene: &mut Scene, readings: &Readings, panel: &Panel) {
    for at in thinned(readings.truths.iter().map(|truth| panel.at(*truth))) {
        scene.dot(at, 2.0, PALE);
    }
    let shown: Vec<&Reading> = readings.tests.iter().filter(|r| panel.holds(r.prediction)).collect();
    // The group of all others is drawn below the named ones.
    let (others, named): (Vec<&Reading>, Vec<&Reading>) =
        shown.iter().partition(|reading| reading.ink == GREY);
    for reading in others.into_iter().chain(named) {
        scene.dot(panel.at(reading.prediction), radius(shown.len()), reading.ink.faint(0.8));
    }
    // The lines are drawn last, since dots would hide them; the small dot marks the true place.
    let joined = shown.len().min(JOINED);
    for reading in (0..joined).map(|i| shown[i * shown.len() / joined]) {
        let truth = panel.at(reading.truth);
        scene.line(&[truth, panel.at(reading.prediction)], JOIN);
        scene.dot(truth, 1.7, JOIN.ink);
    }
}
