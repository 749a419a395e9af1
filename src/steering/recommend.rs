//! The recommendation of a sweep: the layer and dose of the greatest effect within a budget of divergence.

use crate::results::{SweepPoint, SweepRow};
use std::collections::HashMap;

/// The least effect that is recommended; smaller effects are printed as 0.00.
const LEAST_EFFECT: f64 = 0.005;

/// A layer and a dose, with their effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommendation {
    /// The block whose output is changed, or several joined by `+`.
    pub layers: String,
    /// The dose.
    pub dose: f64,
    /// The direction's name.
    pub direction: String,
    /// The measure of the effect: `reading` (a probe's prediction), `names` or `text`.
    pub effect_of: &'static str,
    /// The mean effect over the prompts, positive along the dose.
    pub effect: f64,
    /// The mean effect of random directions of the same length; `None` without any.
    pub random: Option<f64>,
    /// Mean divergence of the next token from the unsteered one, in nats.
    pub kl: f64,
}

/// The measure of a sweep's effect: the place or time that the text names, or else the probability of the names, or
/// else the reading.
fn effect_of(rows: &[SweepRow]) -> &'static str {
    if rows.iter().any(|row| row.named_value.is_some()) {
        "text"
    } else if rows.iter().any(|row| row.names_log_prob.is_some()) {
        "names"
    } else {
        "reading"
    }
}

fn value(row: &SweepRow, of: &str) -> Option<f64> {
    match of {
        "text" => row.named_value,
        "names" => row.names_log_prob,
        _ => Some(row.reading),
    }
}

/// The points of a sweep with the readings at the last layer, and the measure of their effect.
///
/// The mean effect leaves out texts without a known name, and all texts of a prompt whose unsteered text has none, as
/// the figure `text_by_dose` does.
pub fn points(rows: &[SweepRow]) -> (Vec<SweepPoint>, &'static str) {
    let of = effect_of(rows);
    let last = rows.iter().map(|row| row.read_layer).max();
    let read = || rows.iter().filter(|row| Some(row.read_layer) == last);
    let curve = |r: &SweepRow| (r.layers.clone(), r.direction.clone(), r.seed, r.prompt.clone());
    let unsteered: HashMap<_, Option<f64>> =
        read().filter(|row| row.dose == 0.0).map(|row| (curve(row), value(row, of))).collect();
    // The index of each point by layers, direction and the bits of the dose; points first hold sums, later means.
    let mut places: HashMap<(&str, &str, u64), usize> = HashMap::new();
    let mut points: Vec<SweepPoint> = Vec::new();
    for row in read() {
        let place =
            *places.entry((&row.layers, &row.direction, row.dose.to_bits())).or_insert_with(|| points.len());
        if place == points.len() {
            points.push(SweepPoint {
                layers: row.layers.clone(),
                direction: row.direction.clone(),
                dose: row.dose,
                ..SweepPoint::default()
            });
        }
        let point = &mut points[place];
        (point.kl, point.n) = (point.kl + row.kl, point.n + 1);
        let Some(before) = unsteered.get(&curve(row)).copied().flatten() else { continue };
        point.n_compared += 1;
        let Some(after) = value(row, of) else {
            point.nothing += 1;
            continue;
        };
        let moved = change(row, before, after, of);
        (point.effect, point.n_read) = (point.effect + moved, point.n_read + 1);
        if of == "text" {
            point.along += usize::from(moved > 0.0);
            point.against += usize::from(moved < 0.0);
        }
    }
    for point in &mut points {
        point.effect /= point.n_read.max(1) as f64;
        point.kl /= point.n as f64;
    }
    (points, of)
}

/// The change, positive along the dose; longitudes change by the shorter way round; names ignore the dose's sign.
fn change(row: &SweepRow, before: f64, after: f64, of: &str) -> f64 {
    let by = match (of, row.target.as_str()) {
        ("text", "longitude") => (after - before + 540.0).rem_euclid(360.0) - 180.0,
        _ => after - before,
    };
    if of == "names" { by } else { by * row.dose.signum() }
}

/// The point with the greatest effect among those whose mean divergence is within the budget; `None` if no point has an
/// effect. Readings at a steered layer do not count, since steering sets them directly. Points at which most texts name
/// nothing do not count either, since the few other texts say little.
///
/// # Units
/// Nats.
pub fn recommend(rows: &[SweepRow], most_kl: f64) -> Option<Recommendation> {
    let (points, effect_of) = points(rows);
    let last = rows.iter().map(|row| row.read_layer).max();
    let is_read_where_steered = |p: &SweepPoint| {
        let steered = p.layers.split('+').filter_map(|block| block.parse::<usize>().ok());
        effect_of == "reading" && steered.max() == last
    };
    let within = |p: &&SweepPoint| {
        let counts = p.direction != "random" && p.dose != 0.0 && !is_read_where_steered(p);
        counts && p.kl <= most_kl && p.effect >= LEAST_EFFECT && 2 * p.n_read >= p.n_compared
    };
    let best = points.iter().filter(within).max_by(|a, b| a.effect.total_cmp(&b.effect))?;
    let is_baseline =
        |p: &&SweepPoint| p.direction == "random" && p.layers == best.layers && p.dose == best.dose;
    Some(Recommendation {
        layers: best.layers.clone(),
        dose: best.dose,
        direction: best.direction.clone(),
        effect_of,
        effect: best.effect,
        random: points.iter().find(is_baseline).map(|p| p.effect),
        kl: best.kl,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(layers: &str, direction: &str, dose: f64, [reading, kl]: [f64; 2]) -> SweepRow {
        SweepRow {
            kind: "place".into(),
            prompt: "Oslo".into(),
            layers: layers.into(),
            direction: direction.into(),
            seed: u64::from(direction == "random"),
            target: "longitude".into(),
            dose,
            read_layer: 5,
            reading,
            kl,
            perplexity: Some(3.0),
            repetition: 0.0,
            names_log_prob: None,
            named: String::new(),
            named_value: None,
            text: String::new(),
        }
    }

    #[test]
    fn the_greatest_effect_within_the_budget_is_recommended() {
        let mut rows = vec![];
        for layers in ["2", "0+3"] {
            for direction in ["probe", "random"] {
                rows.push(row(layers, direction, 0.0, [10.0, 0.0]));
            }
        }
        rows.push(row("2", "probe", -30.0, [-15.0, 0.4]));
        rows.push(row("2", "random", -30.0, [11.0, 0.1]));
        rows.push(row("0+3", "probe", 60.0, [90.0, 3.0]));
        rows.push(row("0+3", "probe", 30.0, [30.0, 0.2]));
        let best = recommend(&rows, 1.0).unwrap();
        assert_eq!((&*best.layers, best.dose, best.effect, best.random), ("2", -30.0, 25.0, Some(-1.0)));
        assert_eq!(recommend(&rows, 5.0).unwrap().effect, 80.0);
        assert_eq!(recommend(&rows, 0.1), None);
        // Readings at a steered last layer and points without an effect do not count.
        let mut at_last = rows.clone();
        at_last.iter_mut().for_each(|row| row.layers = row.layers.replace('3', "5"));
        assert_eq!(recommend(&at_last, 5.0).unwrap().layers, "2");
        let unmoved: Vec<SweepRow> = rows.iter().map(|r| SweepRow { reading: 10.0, ..r.clone() }).collect();
        assert_eq!(recommend(&unmoved, 5.0), None);
        // The place that the text names counts before the reading, by the shorter way round the Earth.
        rows[0].named_value = Some(170.0);
        rows[4].named_value = Some(-170.0);
        assert_eq!((recommend(&rows, 1.0), points(&rows).1), (None, "text"));
        // From 170 to −170 is eastwards, against a dose to the west. The text at 60 has no unsteered text with a name,
        // so it cannot be compared.
        let counts = |p: &SweepPoint| (p.n_compared, p.along, p.against, p.nothing);
        let (all, _) = points(&rows);
        let at = |dose: f64| all.iter().find(|p| p.dose == dose && p.direction == "probe").unwrap();
        assert_eq!((counts(at(-30.0)), counts(at(60.0))), ((1, 0, 1, 0), (0, 0, 0, 0)));
    }

    #[test]
    fn texts_that_name_nothing_are_in_no_mean_and_most_texts_must_name_something() {
        let text = |prompt: &str, dose: f64, named_value: Option<f64>| SweepRow {
            prompt: prompt.into(),
            named_value,
            ..row("2", "probe", dose, [0.0, dose / 100.0])
        };
        let mut rows = Vec::new();
        for (prompt, at) in
            [("Oslo", [Some(10.0), Some(40.0), Some(90.0)]), ("Rome", [Some(12.0), None, None])]
        {
            for (dose, value) in [0.0, 30.0, 60.0].into_iter().zip(at) {
                rows.push(text(prompt, dose, value));
            }
        }
        // The unsteered text names nothing: no text of this prompt counts.
        rows.push(text("Nowhere", 0.0, None));
        rows.push(text("Nowhere", 30.0, Some(50.0)));
        rows.push(text("Nowhere", 60.0, Some(50.0)));
        let (all, of) = points(&rows);
        let counts = |p: &SweepPoint| (p.effect, p.n, p.n_compared, p.n_read, p.along, p.nothing);
        assert_eq!(of, "text");
        assert_eq!(counts(&all[1]), (30.0, 3, 2, 1, 1, 1));
        assert_eq!(counts(&all[2]), (80.0, 3, 2, 1, 1, 1));
        assert_eq!(recommend(&rows, 1.0).map(|best| best.dose), Some(60.0));
        rows.push(text("Bonn", 0.0, Some(7.0)));
        rows.push(text("Bonn", 30.0, Some(20.0)));
        rows.push(text("Bonn", 60.0, None));
        assert_eq!(recommend(&rows, 1.0).map(|best| best.dose), Some(30.0), "most texts at 60 name nothing");
    }
}
