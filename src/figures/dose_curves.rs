//! The rows of a dose–response sweep as curves over the dose.

use super::axis::Interval;
use crate::error::{Error, Result};
use crate::results::SweepRow;

/// A curve over the dose: (dose, value) with ascending doses.
pub(super) type Curve = Vec<(f64, f64)>;

/// One column of the figure: a target moved at a layer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sweep {
    /// `latitude`, `longitude`, `year` or another target.
    pub target: String,
    /// The steered layer, or several with `+` between them.
    pub layers: String,
    /// The last layer with predictions.
    pub read_layer: usize,
    /// The change of the prediction at the last layer.
    pub reading: Curves,
    /// The KL divergence from the unsteered model.
    pub kl: Curves,
    /// The mean change of the prediction at the steered layer (the last of several), along the probe's direction; empty
    /// if that is the last layer with predictions.
    pub steered: Curve,
}

/// The curves of one quantity.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curves {
    /// Along the probe's direction: one curve per prompt.
    pub prompts: Vec<Curve>,
    /// Along random directions: one curve per direction, the mean over prompts.
    pub random: Vec<Curve>,
}

/// The mean over curves, at every dose of any curve.
pub(super) fn mean<'a>(curves: impl IntoIterator<Item = &'a Curve>) -> Curve {
    let mut points: Curve = curves.into_iter().flatten().copied().collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let at_one_dose = points.chunk_by(|a, b| a.0 == b.0);
    at_one_dose.map(|same| (same[0].0, same.iter().map(|p| p.1).sum::<f64>() / same.len() as f64)).collect()
}

/// The least and the greatest value over curves, at every dose of any curve.
pub(super) fn ends(curves: &[Curve]) -> (Curve, Curve) {
    let at = |dose: f64| Interval::of(curves.iter().flatten().filter(|p| p.0 == dose).map(|p| p.1));
    let points = mean(curves).into_iter().map(|(dose, _)| (dose, at(dose)));
    points.map(|(dose, of)| ((dose, of.low), (dose, of.high))).unzip()
}

/// The unit of a latitude, a longitude or a year; the name of any other target.
pub(super) fn unit(target: &str) -> &str {
    match target {
        "year" => "years",
        "latitude" | "longitude" => "degrees",
        own => own,
    }
}

/// The columns, in the order of their first rows.
///
/// # Errors
/// As [`super::dose_response()`].
pub(super) fn collect(rows: &[SweepRow]) -> Result<Vec<Sweep>> {
    let mut keys: Vec<(&str, &str, &str)> = Vec::new();
    for row in rows {
        check(row)?;
        let key = (row.kind.as_str(), row.target.as_str(), row.layers.as_str());
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    if keys.is_empty() {
        let expected =
            "rows of directions `probe` and `random` at several doses; `mappa steer sweep` writes them";
        return Err(Error::invalid("rows for the dose–response figure", "none", expected));
    }
    keys.into_iter()
        .map(|key| {
            let of_key = |r: &&SweepRow| (r.kind.as_str(), r.target.as_str(), r.layers.as_str()) == key;
            sweep(&rows.iter().filter(of_key).collect::<Vec<_>>())
        })
        .collect()
}

/// True if any row belongs to the probe's direction.
pub(super) fn has_probe(rows: &[SweepRow]) -> bool {
    rows.iter().any(|row| row.direction == "probe")
}

fn place(row: &SweepRow) -> String {
    let SweepRow { target, layers, direction, dose, read_layer, prompt, .. } = row;
    format!(
        "{target} steered at layer {layers}: {direction} direction, dose {dose}, read at layer {read_layer}, prompt `{prompt}`"
    )
}

fn check(row: &SweepRow) -> Result<()> {
    if let Some(found) = [row.dose, row.reading, row.kl].into_iter().find(|value| !value.is_finite()) {
        let advice = "leave the row out, or steer with smaller doses".to_string();
        return Err(Error::NonFinite { place: place(row), found, advice });
    }
    if row.direction != "probe" && row.direction != "random" {
        return Err(Error::invalid("direction of a sweep row", &row.direction, "`probe` or `random`"));
    }
    Ok(())
}

fn sweep(rows: &[&SweepRow]) -> Result<Sweep> {
    let first = rows[0];
    if !rows.iter().any(|row| row.direction == "probe") {
        return Err(Error::invalid(
            place(first),
            "no row of direction `probe`",
            "rows of the probe's direction",
        ));
    }
    let read_layer = rows.iter().map(|row| row.read_layer).max().unwrap_or(0);
    let at_layer = |layer: usize| rows.iter().copied().filter(move |row| row.read_layer == layer).collect();
    let last: Vec<&SweepRow> = at_layer(read_layer);
    let after =
        first.layers.split('+').next_back().and_then(|block| block.parse().ok()).unwrap_or(read_layer);
    let steered: Vec<&SweepRow> = at_layer(after);
    let steered = match after == read_layer || steered.is_empty() {
        true => Curve::new(),
        false => mean(&curves(&steered, change)?.prompts),
    };
    Ok(Sweep {
        target: first.target.clone(),
        layers: first.layers.clone(),
        read_layer,
        reading: curves(&last, change)?,
        kl: curves(&last, |row, _| Ok(row.kl))?,
        steered,
    })
}

/// A row's prediction minus the prediction for the same prompt without steering.
fn change(row: &SweepRow, rows: &[&SweepRow]) -> Result<f64> {
    // At dose 0 all directions give the unsteered model.
    let still = rows.iter().find(|other| other.prompt == row.prompt && other.dose == 0.0);
    match still {
        Some(still) => Ok(row.reading - still.reading),
        None => Err(Error::invalid(place(row), "no row of the same prompt at dose 0", "a sweep with dose 0")),
    }
}

fn curves(rows: &[&SweepRow], value: fn(&SweepRow, &[&SweepRow]) -> Result<f64>) -> Result<Curves> {
    let mut keyed: Vec<((&str, u64, &str), Curve)> = Vec::new();
    for row in rows {
        let key = (row.direction.as_str(), row.seed, row.prompt.as_str());
        let i = keyed.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            keyed.push((key, Curve::new()));
            keyed.len() - 1
        });
        if keyed[i].1.iter().any(|(dose, _)| *dose == row.dose) {
            return Err(Error::invalid(place(row), "two rows", "one row per point"));
        }
        keyed[i].1.push((row.dose, value(row, rows)?));
    }
    keyed.iter_mut().for_each(|(_, curve)| curve.sort_by(|a, b| a.0.total_cmp(&b.0)));
    let of = |direction: &str, seed: Option<u64>| -> Vec<Curve> {
        let chosen =
            keyed.iter().filter(|((d, s, _), _)| *d == direction && seed.is_none_or(|seed| seed == *s));
        chosen.map(|(_, curve)| curve.clone()).collect()
    };
    let mut seeds: Vec<u64> = rows.iter().filter(|r| r.direction == "random").map(|r| r.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let random = seeds.into_iter().map(|seed| mean(&of("random", Some(seed)))).collect();
    Ok(Curves { prompts: of("probe", None), random })
}
