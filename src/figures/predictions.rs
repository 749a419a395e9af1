//! Predicted against true targets of one dataset at one hook point: picks the rows, then a map or a plot.

use super::format::{Caption, Format};
use super::legend::{Legend, Swatch};
use super::letters;
use super::numbers;
use super::paint::paint;
use super::places;
use super::scene::{Label, Point, Scene};
use super::style::*;
use crate::error::{Error, Result};
use crate::results::PredictionRow;
use std::collections::BTreeSet;

/// One test entity: its true and its predicted point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    /// Longitude and latitude in degrees, or the number twice.
    pub truth: (f64, f64),
    /// The same, as the probe reads it.
    pub prediction: (f64, f64),
    /// The colour of its group.
    pub ink: Ink,
}

/// The test readings, the true points of all entities, and what the legend says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Readings {
    pub tests: Vec<Reading>,
    pub truths: Vec<(f64, f64)>,
    pub legend: Legend,
}

/// How far over the true values' range, as a share of it, predictions may push an axis.
const REACH: f64 = 0.2;
/// Group names longer than this are cut in the legend.
const LONGEST: usize = 28;

/// Draws where or when a probe puts the test entities against where or when they are.
///
/// Places: a map of predictions coloured by group over all true places, some joined to their true place.
/// Years and other numbers: predicted against true with the diagonal. Only rows with split `test` are drawn as
/// predictions; a prediction far outside the true values' range is left out and counted in the subtitle.
///
/// # Units
/// Degrees east and north, or the target's own.
///
/// # Errors
/// [`Error::Invalid`] without test rows, for rows of more than one dataset or hook point, for several targets
/// that are not `latitude` and `longitude`, or for a latitude without its longitude;
/// [`Error::NonFinite`] for a value that is no number.
pub fn predictions(rows: &[PredictionRow], caption: &Caption, format: Format) -> Result<Vec<u8>> {
    paint(&scene(rows, caption)?, format)
}

pub(super) fn scene(rows: &[PredictionRow], caption: &Caption) -> Result<Scene> {
    check(rows)?;
    let target = |name: &str| -> Vec<&PredictionRow> { rows.iter().filter(|r| r.target == name).collect() };
    let names: BTreeSet<&str> = rows.iter().map(|row| row.target.as_str()).collect();
    match names.iter().copied().collect::<Vec<&str>>()[..] {
        ["latitude", "longitude"] => {
            Ok(places::scene(&pair(&target("longitude"), &target("latitude"))?, caption))
        }
        [name] => Ok(numbers::scene((name, &pair(&target(name), &target(name))?), caption)),
        _ => {
            let found = names.into_iter().collect::<Vec<&str>>().join(", ");
            Err(Error::invalid(
                "targets of the predictions",
                found,
                "`latitude` and `longitude`, or one number",
            ))
        }
    }
}

fn check(rows: &[PredictionRow]) -> Result<()> {
    let Some(first) = rows.iter().find(|row| row.split == "test") else {
        let what = rows.first().map_or("predictions".into(), |r| format!("predictions of `{}`", r.dataset));
        let expected = "rows with split `test`; `mappa probe` writes them";
        return Err(Error::invalid(what, "no test rows", expected));
    };
    for row in rows {
        for (found, expected) in [(&row.dataset, &first.dataset), (&row.hook_point, &first.hook_point)] {
            if found != expected {
                let expected = format!("only `{expected}`: one dataset and one hook point for each figure");
                return Err(Error::invalid("predictions", found, expected));
            }
        }
        if let Some(found) = [row.truth, row.prediction].into_iter().find(|value| !value.is_finite()) {
            let place = format!("{}: {} of `{}`", row.dataset, row.target, row.name);
            return Err(Error::NonFinite { place, found, advice: "leave the row out or probe again".into() });
        }
    }
    Ok(())
}

/// Joins the rows of an entity's two coordinates; names repeat, so it is the order that pairs them.
fn pair(across: &[&PredictionRow], up: &[&PredictionRow]) -> Result<Readings> {
    if let Some(lone) = across.iter().zip(up).find(|(x, y)| x.name != y.name || x.split != y.split) {
        let found = format!("`{}` beside `{}`", lone.0.name, lone.1.name);
        return Err(Error::invalid("predictions", found, "latitude and longitude rows in the same order"));
    }
    if across.len() != up.len() {
        let found = format!("{} longitudes and {} latitudes", across.len(), up.len());
        return Err(Error::invalid("predictions", found, "one of each for every entity"));
    }
    let (groups, legend) = groups(across);
    let ink = |group: &str| groups.iter().find(|(name, _)| *name == group).map_or(GREY, |(_, ink)| *ink);
    let is_test = |(x, _): &(&&PredictionRow, &&PredictionRow)| x.split == "test";
    let tests = across.iter().zip(up).filter(is_test).map(|(x, y)| Reading {
        truth: (x.truth, y.truth),
        prediction: (x.prediction, y.prediction),
        ink: ink(&x.group),
    });
    let truths = across.iter().zip(up).map(|(x, y)| (x.truth, y.truth)).collect();
    Ok(Readings { tests: tests.collect(), truths, legend })
}

fn groups<'a>(rows: &[&'a PredictionRow]) -> (Vec<(&'a str, Ink)>, Legend) {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    let mut place = std::collections::HashMap::new();
    for row in rows.iter().filter(|row| row.split == "test") {
        let i = *place.entry(row.group.as_str()).or_insert(counts.len());
        match counts.get_mut(i) {
            Some((_, count)) => *count += 1,
            None => counts.push((row.group.as_str(), 1)),
        }
    }
    // Ties keep the order of the rows, so that the same rows give the same picture.
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut legend = Legend::default();
    if counts.len() < 2 {
        legend.push(Swatch::Dot(BLUE, 4.5), "predicted");
        return (counts.into_iter().map(|(group, _)| (group, BLUE)).collect(), legend);
    }
    let others = counts.len().saturating_sub(GROUPS.len());
    let coloured: Vec<_> = counts.into_iter().map(|(group, _)| group).zip(GROUPS).collect();
    for (group, ink) in &coloured {
        legend.push(Swatch::Dot(*ink, 4.5), short(if group.is_empty() { "no group" } else { group }));
    }
    if others > 0 {
        legend.push(Swatch::Dot(GREY, 4.5), format!("other ({others} more)"));
    }
    (coloured, legend)
}

fn short(words: &str) -> String {
    if words.chars().count() <= LONGEST {
        return words.to_string();
    }
    words.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// An axis range: all true values, and predictions as far as [`REACH`] beyond them.
pub(super) fn limits(truths: &[f64], predictions: &[f64]) -> (f64, f64) {
    let (low, high) = super::axis::span(truths.iter().copied());
    let reach = (high - low) * REACH;
    let near = predictions.iter().map(|value| value.clamp(low - reach, high + reach));
    super::axis::widen(super::axis::span(truths.iter().copied().chain(near)), 0.04)
}

/// The subtitle with how many entities are drawn and how many lie off the axes.
pub(super) fn subtitle(caption: &Caption, drawn: usize, all: usize) -> String {
    let count = format!("n = {all} test rows");
    let outside = match all - drawn {
        0 => String::new(),
        outside => format!(", {outside} predicted outside the axes and not drawn"),
    };
    if caption.subtitle.is_empty() {
        format!("{count}{outside}")
    } else {
        format!("{} · {count}{outside}", caption.subtitle)
    }
}

/// Title, subtitle, baselines and legend at the top of a canvas; says where they end.
pub(super) fn draw_head(scene: &mut Scene, caption: &Caption, legend: &Legend) -> f64 {
    let (left, width) = (SIDE, scene.width - 2.0 * SIDE);
    scene.text(Label::level(caption.title, (left, 32.0), fitted(caption.title, TITLE_SIZE, width)));
    let below = [caption.subtitle, caption.baselines].into_iter().filter(|words| !words.is_empty());
    for (line, words) in below.enumerate() {
        let at = (left, 56.0 + LINE * line as f64);
        scene.text(Label::level(words, at, fitted(words, LABEL_SIZE, width)));
    }
    legend.draw(scene, (left, words_height(caption)), width);
    head_height(caption, legend, scene.width)
}

/// The height that [`draw_head`] will take.
pub(super) fn head_height(caption: &Caption, legend: &Legend, width: f64) -> f64 {
    words_height(caption) + legend.height(width - 2.0 * SIDE) + 16.0
}

fn words_height(caption: &Caption) -> f64 {
    if caption.baselines.is_empty() { 68.0 } else { 68.0 + LINE }
}

/// From one line under the title to the next.
const LINE: f64 = 21.0;

/// The canvas to the left and right of title and legend.
pub(super) const SIDE: f64 = 24.0;

/// A letter size at which the words fit.
fn fitted(words: &str, size: f64, width: f64) -> f64 {
    size.min(size * width / (FONT_SLACK * letters::width(words, size)))
}

/// Points that do not hide one another at this scale: one for each square of three canvas units.
pub(super) fn thinned(points: impl Iterator<Item = Point>) -> Vec<Point> {
    let mut seen = std::collections::HashSet::new();
    points.filter(|(x, y)| seen.insert(((x / 3.0) as i64, (y / 3.0) as i64))).collect()
}

/// A dot's radius that suits how many there are.
pub(super) fn radius(n: usize) -> f64 {
    match n {
        0..=400 => 3.6,
        401..=2500 => 2.6,
        _ => 1.8,
    }
}
