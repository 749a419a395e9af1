//! Where the text says that the entity is, against the dose.

use super::axis::{Axis, span, widen};
use super::format::Format;
use super::legend::{Legend, Swatch};
use super::paint::paint;
use super::panel::{Frame, Panel};
use super::scene::Scene;
use super::series::{Curve, ends, unit};
use super::style::*;
use crate::error::{Error, Result};
use crate::results::SweepRow;

const LEFT: f64 = 96.0;
const BETWEEN: f64 = 70.0;
const RIGHT: f64 = 26.0;
const ABOVE: f64 = 44.0;
const PLACE_HEIGHT: f64 = 250.0;
const SHARE_HEIGHT: f64 = 120.0;
const APART: f64 = 40.0;
const BELOW: f64 = 66.0;

const MEAN: Stroke = Stroke::solid(BLUE, 3.2);
const TEXT_DOT: Ink = SKY.faint(0.55);
const RANDOM: Stroke = Stroke::solid(GREY, 2.4);
const BAND: Ink = GREY.faint(0.25);
const IDENTITY: Stroke = Stroke::dashed(BLACK, 1.4, SHORT_DASH);
/// Texts that moved along the dose, against it, and that name nothing.
const SHARES: [(Ink, &str); 3] = [
    (BLUE.faint(0.75), "moved along the dose"),
    (VERMILLION.faint(0.75), "against it"),
    (PALE, "names nothing"),
];

/// Draws, one column for each steered layer, how far what the text names lies from what the unsteered text
/// names; below, the share of texts that moved along the dose, against it, or name nothing.
///
/// Dots are texts along the probe's direction, the line their mean; grey is the mean of random directions that
/// move the stream as far, in the band from the least of them to the greatest. A text that names nothing is in
/// no mean.
///
/// # Units
/// Doses and distances in degrees or years; longitudes the short way round.
///
/// # Errors
/// [`Error::Invalid`] without rows of the probe's direction whose unsteered text names something, or without dose 0
/// for a prompt.
pub fn text_by_dose(rows: &[SweepRow], format: Format) -> Result<Vec<u8>> {
    paint(&scene(rows)?, format)
}

/// What a steered text came to: how far what it names lies from what the unsteered one names.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Came {
    To(f64),
    Nowhere,
}

/// The texts of one column.
struct Texts<'a> {
    layers: &'a str,
    target: &'a str,
    probe: Vec<(f64, Came)>,
    /// Each random direction's.
    random: Vec<Vec<(f64, Came)>>,
}

/// The columns, in the order of their first rows.
fn collect(rows: &[SweepRow]) -> Result<Vec<Texts<'_>>> {
    let last = rows.iter().map(|row| row.read_layer).max();
    let read: Vec<&SweepRow> = rows.iter().filter(|row| Some(row.read_layer) == last).collect();
    let mut columns: Vec<Texts> = Vec::new();
    for row in &read {
        let is_same = |r: &&&SweepRow| (&r.layers, &r.prompt, r.dose) == (&row.layers, &row.prompt, 0.0);
        let Some(still) = read.iter().find(is_same) else {
            let found = format!("no row of `{}` at layer {} and dose 0", row.prompt, row.layers);
            return Err(Error::invalid("rows for the figure of texts", found, "a sweep with dose 0"));
        };
        let Some(before) = still.named_value else { continue };
        let came = row.named_value.map_or(Came::Nowhere, |after| Came::To(way(&row.target, before, after)));
        let i = columns.iter().position(|c| c.layers == row.layers).unwrap_or_else(|| {
            let (layers, target) = (row.layers.as_str(), row.target.as_str());
            columns.push(Texts { layers, target, probe: vec![], random: vec![] });
            columns.len() - 1
        });
        match (row.direction.as_str(), row.seed as usize) {
            ("probe", _) => columns[i].probe.push((row.dose, came)),
            ("random", seed) => {
                let random = &mut columns[i].random;
                random.resize(random.len().max(seed + 1), vec![]);
                random[seed].push((row.dose, came));
            }
            _ => (),
        }
    }
    columns.iter_mut().for_each(|column| column.random.retain(|texts| !texts.is_empty()));
    if columns.is_empty() || columns.iter().any(|column| column.probe.is_empty()) {
        let expected =
            "rows of the direction `probe` whose unsteered text names a place or an age (`--read`)";
        return Err(Error::invalid("rows for the figure of texts", "none", expected));
    }
    Ok(columns)
}

/// How far it is from one value to another; longitudes the short way round.
fn way(target: &str, before: f64, after: f64) -> f64 {
    match target {
        "longitude" => (after - before + 540.0).rem_euclid(360.0) - 180.0,
        _ => after - before,
    }
}

/// The doses of some texts, rising, each once.
fn doses(texts: &[(f64, Came)]) -> Vec<f64> {
    let mut all: Vec<f64> = texts.iter().map(|text| text.0).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    all
}

/// The mean way of the texts at each dose that name something.
fn mean(texts: &[(f64, Came)]) -> Curve {
    let at = |dose: f64| {
        let ways = texts.iter().filter_map(|text| match text {
            (d, Came::To(way)) if *d == dose => Some(*way),
            _ => None,
        });
        let ways: Vec<f64> = ways.collect();
        (!ways.is_empty()).then(|| (dose, ways.iter().sum::<f64>() / ways.len() as f64))
    };
    doses(texts).into_iter().filter_map(at).collect()
}

/// The shares of texts at a dose that moved along it, against it, and that name nothing.
fn shares(texts: &[(f64, Came)], dose: f64) -> [f64; 3] {
    let mut counts = [0.0; 3];
    let mut n = 0.0;
    for (_, came) in texts.iter().filter(|text| text.0 == dose) {
        n += 1.0;
        match came {
            Came::To(way) if way * dose > 0.0 => counts[0] += 1.0,
            Came::To(way) if way * dose < 0.0 => counts[1] += 1.0,
            Came::To(_) => (),
            Came::Nowhere => counts[2] += 1.0,
        }
    }
    counts.map(|count| count / f64::max(n, 1.0))
}

pub(super) fn scene(rows: &[SweepRow]) -> Result<Scene> {
    let columns = collect(rows)?;
    let n = columns.len().min(4);
    let panel_width = [560.0, 440.0, 300.0, 212.0][n - 1];
    let width = LEFT + n as f64 * (panel_width + BETWEEN) - BETWEEN + RIGHT;
    let legend = legend(&columns);
    let strip = legend.height(width - LEFT - RIGHT);
    let block = ABOVE + PLACE_HEIGHT + APART + SHARE_HEIGHT + BELOW;
    let mut scene = Scene::new(width, 14.0 + strip + columns.len().div_ceil(n) as f64 * block);
    legend.draw(&mut scene, (LEFT, 14.0), width - LEFT - RIGHT);
    let all = || columns.iter().flat_map(|c| c.probe.iter().chain(c.random.iter().flatten()));
    let x = widen(span(all().map(|text| text.0)), 0.07);
    let ways = columns.iter().flat_map(|c| c.probe.iter()).filter_map(|text| match text.1 {
        Came::To(way) => Some(way),
        Came::Nowhere => None,
    });
    let y = widen(span(ways.chain([x.0, x.1])), 0.04);
    for (i, column) in columns.iter().enumerate() {
        let left = LEFT + (i % n) as f64 * (panel_width + BETWEEN);
        let top = 14.0 + strip + ABOVE + (i / n) as f64 * block;
        let above = Frame { left, top, width: panel_width, height: PLACE_HEIGHT };
        let below = Frame { top: top + PLACE_HEIGHT + APART, height: SHARE_HEIGHT, ..above };
        let labelled = i % n == 0;
        draw_places(&mut scene, column, (above, labelled), (x, y));
        draw_shares(&mut scene, column, (below, labelled), x);
    }
    Ok(scene)
}

fn legend(columns: &[Texts]) -> Legend {
    let mut legend = Legend::default();
    legend.push(Swatch::Line(MEAN), "probe's direction, mean");
    legend.push(Swatch::Dot(TEXT_DOT, 4.0), "each text");
    if columns.iter().any(|column| !column.random.is_empty()) {
        legend.push(Swatch::Band(RANDOM, BAND), "random directions, mean, least to greatest");
        legend.push(Swatch::Line(Stroke::solid(BLACK, 1.6)), "their share along the dose");
    }
    legend.push(Swatch::Line(IDENTITY), "text moves by the dose");
    for (ink, words) in SHARES {
        legend.push(Swatch::Dot(ink, 5.5), words);
    }
    legend
}

fn draw_places(
    scene: &mut Scene,
    column: &Texts,
    (frame, labelled): (Frame, bool),
    (x, y): ((f64, f64), (f64, f64)),
) {
    let unit = unit(column.target);
    let label = if labelled { format!("the text moved by ({unit})") } else { String::new() };
    let ticks = if frame.width < 250.0 { 4 } else { 7 };
    let title = if column.layers.contains('+') { "layers" } else { "layer" };
    let title = format!("{title} {}", column.layers.replace('+', " + "));
    let panel = Panel { frame, x: Axis::round(x, ticks, ""), y: Axis::round(y, 8, &label), title };
    panel.draw(scene);
    scene.line(&[panel.at((x.0, x.0)), panel.at((x.1, x.1))], IDENTITY);
    let means: Vec<Curve> = column.random.iter().map(|texts| mean(texts)).collect();
    let all: Vec<(f64, Came)> = column.random.concat();
    let clamped = |(dose, by): &(f64, f64)| panel.at((*dose, by.clamp(y.0, y.1)));
    let (low, high) = ends(&means);
    if low.len() > 1 {
        scene.area(low.iter().chain(high.iter().rev()).map(clamped).collect(), BAND);
    }
    let draw = |scene: &mut Scene, curve: Curve, stroke: Stroke| {
        scene.line(&curve.iter().map(clamped).collect::<Vec<_>>(), stroke);
    };
    draw(scene, mean(&all), RANDOM);
    for (dose, came) in &column.probe {
        if let Came::To(way) = came {
            scene.dot(panel.at((*dose, *way)), 3.4, TEXT_DOT);
        }
    }
    draw(scene, mean(&column.probe), MEAN);
}

fn draw_shares(scene: &mut Scene, column: &Texts, (frame, labelled): (Frame, bool), x: (f64, f64)) {
    let unit = unit(column.target);
    let ticks = if frame.width < 250.0 { 4 } else { 7 };
    let y = Axis::round((0.0, 1.0), 2, if labelled { "share of texts" } else { "" });
    let x = Axis::round(x, ticks, &format!("dose ({unit})"));
    let panel = Panel { frame, x, y, title: String::new() };
    panel.draw(scene);
    let doses = doses(&column.probe);
    let gaps = doses.windows(2).map(|pair| pair[1] - pair[0]);
    let half = 0.38 * gaps.fold(f64::INFINITY, f64::min).min(panel.x.high - panel.x.low);
    for dose in doses {
        let mut base = 0.0;
        for (share, (ink, _)) in shares(&column.probe, dose).into_iter().zip(SHARES) {
            let (left, right) = ((dose - half).max(panel.x.low), (dose + half).min(panel.x.high));
            let corners = [(left, base), (right, base), (right, base + share), (left, base + share)];
            if share > 0.0 {
                scene.area(corners.map(|corner| panel.at(corner)).to_vec(), ink);
            }
            base += share;
        }
    }
    // Random directions' texts that moved along the dose: a tick where their share ends.
    let random: Vec<(f64, Came)> = column.random.concat();
    for dose in self::doses(&random).into_iter().filter(|dose| *dose != 0.0) {
        let share = shares(&random, dose)[0];
        let (left, right) = ((dose - half).max(panel.x.low), (dose + half).min(panel.x.high));
        scene.line(&[panel.at((left, share)), panel.at((right, share))], Stroke::solid(BLACK, 1.6));
    }
}
