//! Predicted against true targets of one dataset at one hook point: a map of places, or a scatter plot of numbers.

use super::figure_kind::{FigureKind, Subject};
use super::format::{Caption, Format};
use super::legend::{Legend, Swatch};
use super::map;
use super::paint::paint;
use super::readings::{Reading, Readings};
use super::scatter;
use super::scene::Scene;
use super::style::*;
use crate::error::{Error, Result};
use crate::results::PredictionRow;
use std::collections::BTreeSet;

/// Group names longer than this are cut in the legend.
const LONGEST: usize = 28;

/// This figure's entry in [`FIGURES`](super::FIGURES).
pub(super) const FIGURE: FigureKind = FigureKind {
    name: "predictions",
    about: "predicted against true places or numbers of a dataset",
    subject: Subject::Dataset { suffix: "" },
    applies: |rows| !rows.predictions.rows.is_empty(),
    draw: |rows, format| predictions(&rows.predictions.rows, &rows.predictions.caption(), format),
};

/// Draws a probe's predictions of the test entities against the true values.
///
/// Places: a map of predictions coloured by group over all true places; lines join some of them to their true places.
/// Years and other numbers: predicted against true with the diagonal. Only rows with split `test` are drawn as
/// predictions; a prediction far outside the true values' range is left out and counted in the subtitle.
///
/// # Units
/// Degrees east and north, or the target's own.
///
/// # Errors
/// [`Error::Invalid`] without test rows, for rows of more than one dataset or hook point, for several targets
/// that are not `latitude` and `longitude`, or for a latitude without its longitude;
/// [`Error::NonFinite`] for a value that is not finite.
pub fn predictions(rows: &[PredictionRow], caption: &Caption, format: Format) -> Result<Vec<u8>> {
    paint(&scene(rows, caption)?, format)
}

pub(super) fn scene(rows: &[PredictionRow], caption: &Caption) -> Result<Scene> {
    check(rows)?;
    let target = |name: &str| -> Vec<&PredictionRow> { rows.iter().filter(|r| r.target == name).collect() };
    let names: BTreeSet<&str> = rows.iter().map(|row| row.target.as_str()).collect();
    match names.iter().copied().collect::<Vec<&str>>()[..] {
        ["latitude", "longitude"] => {
            Ok(map::scene(&pair(&target("longitude"), &target("latitude"))?, caption))
        }
        [name] => Ok(scatter::scene(name, &pair(&target(name), &target(name))?, caption)),
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
                let expected = format!("only `{expected}`: one dataset and one hook point per figure");
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

/// Pairs the rows of each entity's two coordinates by their order, since names are not unique.
fn pair(across: &[&PredictionRow], up: &[&PredictionRow]) -> Result<Readings> {
    if let Some(lone) = across.iter().zip(up).find(|(x, y)| x.name != y.name || x.split != y.split) {
        let found = format!("a longitude of `{}` and a latitude of `{}`", lone.0.name, lone.1.name);
        return Err(Error::invalid("predictions", found, "latitude and longitude rows in the same order"));
    }
    if across.len() != up.len() {
        let found = format!("{} longitudes and {} latitudes", across.len(), up.len());
        return Err(Error::invalid("predictions", found, "one of each per entity"));
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
    // Groups of equal size keep the order of the rows, so that equal rows give equal figures.
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
