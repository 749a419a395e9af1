//! Where and how strongly to steer: the most effect that a budget of divergence buys.

use crate::results::{SweepPoint, SweepRow};
use std::collections::HashMap;

/// An effect below this is printed as 0.00, and is none.
const LEAST_EFFECT: f64 = 0.005;

/// A layer and a dose, with what they did.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommendation {
    /// The block whose output is moved, or several with `+` between them.
    pub layers: String,
    /// How far.
    pub dose: f64,
    /// Along what.
    pub direction: String,
    /// What the effect is measured in: `reading`, `names` or `text`.
    pub effect_of: &'static str,
    /// The mean effect over the prompts, along the dose.
    pub effect: f64,
    /// The same of random directions of the same length; `None` without any.
    pub random: Option<f64>,
    /// Mean divergence of the next token from the unsteered one, in nats.
    pub kl: f64,
}

/// What a sweep's effect is: where the text says it is, else the probability of the names, else the reading.
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

/// The points of a sweep as they were read at the last layer, and what their effect is measured in.
///
/// A text that names nothing counts as not moved.
pub fn points(rows: &[SweepRow]) -> (Vec<SweepPoint>, &'static str) {
    let of = effect_of(rows);
    let last = rows.iter().map(|row| row.read_layer).max();
    let read = || rows.iter().filter(|row| Some(row.read_layer) == last);
    let curve = |r: &SweepRow| (r.layers.clone(), r.direction.clone(), r.seed, r.prompt.clone());
    let unsteered: HashMap<_, Option<f64>> =
        read().filter(|row| row.dose == 0.0).map(|row| (curve(row), value(row, of))).collect();
    // By layers, direction and the bits of the dose; sums until all are there.
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
        let before = unsteered.get(&curve(row)).copied().flatten();
        let moved =
            value(row, of).zip(before).map_or(0.0, |(after, before)| change(row, (before, after), of));
        let point = &mut points[place];
        (point.effect, point.kl, point.n) = (point.effect + moved, point.kl + row.kl, point.n + 1);
        if of == "text" {
            point.along += usize::from(moved > 0.0);
            point.against += usize::from(moved < 0.0);
            point.nothing += usize::from(row.named_value.is_none());
        }
    }
    for point in &mut points {
        (point.effect, point.kl) = (point.effect / point.n as f64, point.kl / point.n as f64);
    }
    (points, of)
}

/// How far something went the way of the dose; longitudes go the short way round, and names whichever way.
fn change(row: &SweepRow, (before, after): (f64, f64), of: &str) -> f64 {
    let by = match (of, row.target.as_str()) {
        ("text", "longitude") => (after - before + 540.0).rem_euclid(360.0) - 180.0,
        _ => after - before,
    };
    if of == "names" { by } else { by * row.dose.signum() }
}

/// The point with the greatest effect whose mean divergence is within the budget; none where nothing has an effect. A
/// reading at a layer that was itself steered is no effect: there the probe reads what was set.
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
        counts && p.kl <= most_kl && p.effect >= LEAST_EFFECT
    };
    let best = points.iter().filter(within).max_by(|a, b| a.effect.total_cmp(&b.effect))?;
    let beside = |p: &&SweepPoint| p.direction == "random" && p.layers == best.layers && p.dose == best.dose;
    Some(Recommendation {
        layers: best.layers.clone(),
        dose: best.dose,
        direction: best.direction.clone(),
        effect_of,
        effect: best.effect,
        random: points.iter().find(beside).map(|p| p.effect),
        kl: best.kl,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(layers: &str, (direction, dose): (&str, f64), (reading, kl): (f64, f64)) -> SweepRow {
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
    fn the_most_effect_within_the_budget_wins_whichever_way_it_goes() {
        let mut rows = vec![];
        for layers in ["2", "0+3"] {
            for direction in ["probe", "random"] {
                rows.push(row(layers, (direction, 0.0), (10.0, 0.0)));
            }
        }
        rows.push(row("2", ("probe", -30.0), (-15.0, 0.4)));
        rows.push(row("2", ("random", -30.0), (11.0, 0.1)));
        rows.push(row("0+3", ("probe", 60.0), (90.0, 3.0)));
        rows.push(row("0+3", ("probe", 30.0), (30.0, 0.2)));
        let best = recommend(&rows, 1.0).unwrap();
        assert_eq!((&*best.layers, best.dose, best.effect, best.random), ("2", -30.0, 25.0, Some(-1.0)));
        assert_eq!(recommend(&rows, 5.0).unwrap().effect, 80.0);
        assert_eq!(recommend(&rows, 0.1), None);
        // The last layer that is read, steered itself, says nothing; nor does what stays as it was.
        let mut at_last = rows.clone();
        at_last.iter_mut().for_each(|row| row.layers = row.layers.replace('3', "5"));
        assert_eq!(recommend(&at_last, 5.0).unwrap().layers, "2");
        let unmoved: Vec<SweepRow> = rows.iter().map(|r| SweepRow { reading: 10.0, ..r.clone() }).collect();
        assert_eq!(recommend(&unmoved, 5.0), None);
        // What the text says counts before the reading, the short way round the Earth.
        rows[0].named_value = Some(170.0);
        rows[4].named_value = Some(-170.0);
        assert_eq!((recommend(&rows, 1.0), points(&rows).1), (None, "text"));
        // From 170 to −170 is eastwards; a dose westwards does not want that. The others name nothing.
        let counts = |p: &SweepPoint| (p.n, p.along, p.against, p.nothing);
        let (all, _) = points(&rows);
        let at = |dose: f64| all.iter().find(|p| p.dose == dose && p.direction == "probe").unwrap();
        assert_eq!((counts(at(-30.0)), counts(at(60.0))), ((1, 0, 1, 0), (1, 0, 0, 1)));
    }
}
