//! A scatter plot of predicted against true numbers, such as years.

use super::axis::Axis;
use super::format::Caption;
use super::header::{draw_head, head_height, subtitle};
use super::legend::Swatch;
use super::panel::{Frame, Panel};
use super::readings::{Reading, Readings, limits, radius};
use super::scene::Scene;
use super::style::{AXIS, BLACK, GREY, SHORT_DASH, Stroke};

const SQUARE: f64 = 620.0;
const LEFT: f64 = 100.0;
const RIGHT: f64 = 40.0;
const BELOW: f64 = 66.0;
const DIAGONAL: Stroke = Stroke::dashed(BLACK, 1.4, SHORT_DASH);
/// The length of the small ticks at the values of one axis.
const RUG: f64 = 9.0;

pub(super) fn scene(target: &str, readings: &Readings, caption: &Caption) -> Scene {
    let mut legend = readings.legend.clone();
    legend.push(Swatch::Line(DIAGONAL), "predicted = true");
    let width = LEFT + SQUARE + RIGHT;
    let top = head_height(caption, &legend, width);
    let mut scene = Scene::new(width, top + SQUARE + BELOW);
    let column = |pick: fn(&Reading) -> f64| -> Vec<f64> { readings.tests.iter().map(pick).collect() };
    let range = limits(&column(|r| r.truth.0), &column(|r| r.prediction.1));
    let panel = Panel {
        frame: Frame { left: LEFT, top, width: SQUARE, height: SQUARE },
        x: Axis::round(range, 6, &format!("true {target}")),
        y: Axis::round(range, 6, &format!("predicted {target}")),
        title: String::new(),
    };
    let shown: Vec<&Reading> = readings.tests.iter().filter(|r| panel.y.holds(r.prediction.1)).collect();
    let words = subtitle(caption, shown.len(), readings.tests.len());
    draw_head(&mut scene, &Caption { subtitle: &words, ..*caption }, &legend);
    panel.draw(&mut scene);
    draw(&mut scene, &shown, &panel);
    scene
}

fn draw(scene: &mut Scene, shown: &[&Reading], panel: &Panel) {
    let (low, high) = (panel.x.low, panel.x.high);
    scene.line(&[panel.at((low, low)), panel.at((high, high))], DIAGONAL);
    let rug = Stroke::solid(AXIS.faint(0.45), 0.8);
    let (others, named): (Vec<&Reading>, Vec<&Reading>) =
        shown.iter().partition(|reading| reading.ink == GREY);
    for reading in others.into_iter().chain(named) {
        let (x, y) = panel.at((reading.truth.0, reading.prediction.1));
        let (left, bottom) = (panel.frame.left, panel.frame.bottom());
        scene.line(&[(x, bottom - RUG), (x, bottom)], rug);
        scene.line(&[(left, y), (left + RUG, y)], rug);
        scene.dot((x, y), radius(shown.len()), reading.ink.faint(0.75));
    }
}
