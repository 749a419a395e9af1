//! The place or time that the steered text names, against the dose.

use super::axis::{Axis, Interval};
use super::columns::Columns;
use super::dose_curves::{Curve, ends, has_probe, unit};
use super::figure_kind::{FigureKind, Subject};
use super::format::Format;
use super::legend::{Legend, Swatch};
use super::paint::paint;
use super::panel::{Frame, Panel};
use super::scene::Scene;
use super::style::*;
use crate::error::{Error, Result};
use crate::results::SweepRow;

const COLUMNS: Columns = Columns {
    left: 96.0,
    between: 70.0,
    right: 26.0,
    above: 44.0,
    apart: 40.0,
    below: 66.0,
    heights: [250.0, 120.0],
    widths: [560.0, 440.0, 300.0, 212.0],
};

const MEAN: Stroke = Stroke::solid(BLUE, 3.2);
const TEXT_DOT: Ink = SKY.faint(0.55);
const RANDOM: Stroke = Stroke::solid(GREY, 2.4);
const BAND: Ink = GREY.faint(0.25);
const IDENTITY: Stroke = Stroke::dashed(BLACK, 1.4, SHORT_DASH);
/// The shares of texts: moved along the dose, against it, and without a known name.
const SHARES: [(Ink, &str); 3] = [
    (BLUE.faint(0.75), "moved along the dose"),
    (VERMILLION.faint(0.75), "against it"),
    (PALE, "names nothing"),
];

/// This figure's entry in [`FIGURES`](super::FIGURES).
pub(super) const FIGURE: FigureKind = FigureKind {
    name: "text_by_dose",
    about: "the places or times that a sweep's texts name",
    subject: Subject::Sweep,
    // A move can only be measured from an unsteered text that names something.
    applies: |rows| has_probe(&rows.sweep) && rows.sweep.iter().any(is_unsteered_with_name),
    draw: |rows, format| text_by_dose(&rows.sweep, format),
};

/// Draws one column per steered layer: above, the distance between the places (or times) in the unsteered and in the
/// steered text; below, the shares of texts that moved along the dose, against it, or name nothing.
///
/// Dots are texts steered along the probe's direction, the line is their mean. Grey is the mean of random directions,
/// whose changes have the same length, with a band between the least and the greatest mean of a direction. Texts
/// without a known name are left out of all means; prompts whose unsteered text names nothing are left out entirely.
///
/// # Units
/// Doses and distances in degrees or years; longitudes by the shorter way round.
///
/// # Errors
/// [`Error::Invalid`] without rows of the probe's direction whose unsteered text names something, or without dose 0
/// for a prompt.
pub fn text_by_dose(rows: &[SweepRow], format: Format) -> Result<Vec<u8>> {
    paint(&scene(rows)?, format)
}

/// The move of a steered text: the value that it names minus the value that the unsteered text names.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Move {
    By(f64),
    /// The text names nothing.
    Unknown,
}

/// The texts of one column.
struct Texts<'a> {
    layers: &'a str,
    target: &'a str,
    probe: Vec<(f64, Move)>,
    /// The texts of each random direction.
    random: Vec<Vec<(f64, Move)>>,
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
        let moved =
            row.named_value.map_or(Move::Unknown, |after| Move::By(distance(&row.target, before, after)));
        let i = columns.iter().position(|c| c.layers == row.layers).unwrap_or_else(|| {
            let (layers, target) = (row.layers.as_str(), row.target.as_str());
            columns.push(Texts { layers, target, probe: vec![], random: vec![] });
            columns.len() - 1
        });
        match (row.direction.as_str(), row.seed as usize) {
            ("probe", _) => columns[i].probe.push((row.dose, moved)),
            ("random", seed) => {
                let random = &mut columns[i].random;
                random.resize(random.len().max(seed + 1), vec![]);
                random[seed].push((row.dose, moved));
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

/// The distance from one value to another; of longitudes by the shorter way round.
fn distance(target: &str, before: f64, after: f64) -> f64 {
    match target {
        "longitude" => (after - before + 540.0).rem_euclid(360.0) - 180.0,
        _ => after - before,
    }
}

/// The doses of texts, ascending, without duplicates.
fn doses(texts: &[(f64, Move)]) -> Vec<f64> {
    let mut all: Vec<f64> = texts.iter().map(|text| text.0).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    all
}

/// The mean move at each dose, of the texts that name something.
fn mean(texts: &[(f64, Move)]) -> Curve {
    let at = |dose: f64| {
        let moves = texts.iter().filter_map(|text| match text {
            (d, Move::By(by)) if *d == dose => Some(*by),
            _ => None,
        });
        let moves: Vec<f64> = moves.collect();
        (!moves.is_empty()).then(|| (dose, moves.iter().sum::<f64>() / moves.len() as f64))
    };
    doses(texts).into_iter().filter_map(at).collect()
}

/// The shares of texts at a dose: moved along it, against it, and without a known name.
fn shares(texts: &[(f64, Move)], dose: f64) -> [f64; 3] {
    let mut counts = [0.0; 3];
    let mut n = 0.0;
    for (_, moved) in texts.iter().filter(|text| text.0 == dose) {
        n += 1.0;
        match moved {
            Move::By(by) if by * dose > 0.0 => counts[0] += 1.0,
            Move::By(by) if by * dose < 0.0 => counts[1] += 1.0,
            Move::By(_) => (),
            Move::Unknown => counts[2] += 1.0,
        }
    }
    counts.map(|count| count / f64::max(n, 1.0))
}

fn is_unsteered_with_name(row: &SweepRow) -> bool {
    row.dose == 0.0 && row.named_value.is_some()
}

pub(super) fn scene(rows: &[SweepRow]) -> Result<Scene> {
    let columns = collect(rows)?;
    let (mut scene, frames) = COLUMNS.scene(columns.len(), &legend(&columns));
    let all = || columns.iter().flat_map(|c| c.probe.iter().chain(c.random.iter().flatten()));
    let x = Interval::of(all().map(|text| text.0)).widened(0.07);
    let moves = columns.iter().flat_map(|c| c.probe.iter()).filter_map(|text| match text.1 {
        Move::By(by) => Some(by),
        Move::Unknown => None,
    });
    let y = Interval::of(moves.chain([x.low, x.high])).widened(0.04);
    for (texts, column) in columns.iter().zip(frames) {
        let (labelled, doses) = (column.is_first, x);
        draw_moves(&mut scene, texts, &Site { frame: column.upper, labelled, doses }, y);
        draw_shares(&mut scene, texts, &Site { frame: column.lower, labelled, doses });
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

/// The frame of a panel.
struct Site {
    frame: Frame,
    /// True if the vertical axis has a label.
    labelled: bool,
    doses: Interval,
}

fn draw_moves(scene: &mut Scene, column: &Texts, site: &Site, y: Interval) {
    let Site { frame, labelled, doses: x } = *site;
    let unit = unit(column.target);
    let label = if labelled { format!("the text moved by ({unit})") } else { String::new() };
    let ticks = if frame.width < 250.0 { 4 } else { 7 };
    let title = if column.layers.contains('+') { "layers" } else { "layer" };
    let title = format!("{title} {}", column.layers.replace('+', " + "));
    let panel = Panel { frame, x: Axis::round(x, ticks, ""), y: Axis::round(y, 8, &label), title };
    panel.draw(scene);
    scene.line(&[panel.at((x.low, x.low)), panel.at((x.high, x.high))], IDENTITY);
    let means: Vec<Curve> = column.random.iter().map(|texts| mean(texts)).collect();
    let all: Vec<(f64, Move)> = column.random.concat();
    let clamped = |(dose, by): &(f64, f64)| panel.at((*dose, by.clamp(y.low, y.high)));
    let (low, high) = ends(&means);
    if low.len() > 1 {
        scene.area(low.iter().chain(high.iter().rev()).map(clamped).collect(), BAND);
    }
    let draw = |scene: &mut Scene, curve: Curve, stroke: Stroke| {
        scene.line(&curve.iter().map(clamped).collect::<Vec<_>>(), stroke);
    };
    draw(scene, mean(&all), RANDOM);
    for (dose, moved) in &column.probe {
        if let Move::By(by) = moved {
            scene.dot(panel.at((*dose, *by)), 3.4, TEXT_DOT);
        }
    }
    draw(scene, mean(&column.probe), MEAN);
}

fn draw_shares(scene: &mut Scene, column: &Texts, site: &Site) {
    let Site { frame, labelled, doses: x } = *site;
    let unit = unit(column.target);
    let ticks = if frame.width < 250.0 { 4 } else { 7 };
    let y = Axis::round(Interval::new(0.0, 1.0), 2, if labelled { "share of texts" } else { "" });
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
    // A tick at the share of texts that random directions moved along the dose.
    let random: Vec<(f64, Move)> = column.random.concat();
    for dose in self::doses(&random).into_iter().filter(|dose| *dose != 0.0) {
        let share = shares(&random, dose)[0];
        let (left, right) = ((dose - half).max(panel.x.low), (dose + half).min(panel.x.high));
        scene.line(&[panel.at((left, share)), panel.at((right, share))], Stroke::solid(BLACK, 1.6));
    }
}
