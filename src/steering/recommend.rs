//! Where and how strongly to steer: the most effect that a budget of divergence buys.

use crate::results::{SweepPoint, SweepRow};

/// A layer and a dose, with what they did.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommendation {
    /// The block whose output is moved.
    pub layer: usize,
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

/// Layer, direction and the bits of the dose.
type Key = (usize, String, u64);
/// Effect, divergence and how many there are of both.
type Sums = (f64, f64, f64);

/// The points of a sweep as they were read at the last layer, and what their effect is measured in.
///
/// A text that names nothing counts as not moved.
pub fn points(rows: &[SweepRow]) -> (Vec<SweepPoint>, &'static str) {
    let of = effect_of(rows);
    let last = rows.iter().map(|row| row.read_layer).max();
    let read: Vec<&SweepRow> = rows.iter().filter(|row| Some(row.read_layer) == last).collect();
    let key = |r: &SweepRow| (r.steer_layer, r.direction.clone(), r.dose.to_bits());
    let mut sums: Vec<(Key, Sums)> = Vec::new();
    for row in &read {
        let is_zero = |r: &&&SweepRow| {
            r.dose == 0.0
                && (r.steer_layer, &r.direction, r.seed) == (row.steer_layer, &row.direction, row.seed)
        };
        let before = read.iter().filter(is_zero).find(|r| r.prompt == row.prompt).and_then(|r| value(r, of));
        let moved =
            value(row, of).zip(before).map_or(0.0, |(after, before)| change(row, (before, after), of));
        let place = sums.iter().position(|(known, _)| *known == key(row)).unwrap_or_else(|| {
            sums.push((key(row), (0.0, 0.0, 0.0)));
            sums.len() - 1
        });
        let (effect, kl, n) = &mut sums[place].1;
        (*effect, *kl, *n) = (*effect + moved, *kl + row.kl, *n + 1.0);
    }
    let point = |((layer, direction, dose), (effect, kl, n)): (Key, Sums)| SweepPoint {
        layer,
        direction,
        dose: f64::from_bits(dose),
        effect: effect / n,
        kl: kl / n,
    };
    (sums.into_iter().map(point).collect(), of)
}

/// How far something went the way of the dose; longitudes go the short way round, and names whichever way.
fn change(row: &SweepRow, (before, after): (f64, f64), of: &str) -> f64 {
    let by = match (of, row.target.as_str()) {
        ("text", "longitude") => (after - before + 540.0).rem_euclid(360.0) - 180.0,
        _ => after - before,
    };
    if of == "names" { by } else { by * row.dose.signum() }
}

/// The point with the greatest effect whose mean divergence is within the budget.
///
/// # Units
/// Nats.
pub fn recommend(rows: &[SweepRow], most_kl: f64) -> Option<Recommendation> {
    let (points, effect_of) = points(rows);
    let within = |p: &&SweepPoint| p.direction != "random" && p.dose != 0.0 && p.kl <= most_kl;
    let best = points.iter().filter(within).max_by(|a, b| a.effect.total_cmp(&b.effect))?;
    let beside = |p: &&SweepPoint| p.direction == "random" && p.layer == best.layer && p.dose == best.dose;
    Some(Recommendation {
        layer: best.layer,
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

    fn row(layer: usize, (direction, dose): (&str, f64), (reading, kl): (f64, f64)) -> SweepRow {
        SweepRow {
            kind: "place".into(),
            prompt: "Oslo".into(),
            steer_layer: layer,
            direction: direction.into(),
            seed: u64::from(direction == "random"),
            target: "longitude".into(),
            dose,
            read_layer: 5,
            reading,
            kl,
            log_prob: -1.0,
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
        for layer in [2, 3] {
            for direction in ["probe", "random"] {
                rows.push(row(layer, (direction, 0.0), (10.0, 0.0)));
            }
        }
        rows.push(row(2, ("probe", -30.0), (-15.0, 0.4)));
        rows.push(row(2, ("random", -30.0), (11.0, 0.1)));
        rows.push(row(3, ("probe", 60.0), (90.0, 3.0)));
        rows.push(row(3, ("probe", 30.0), (30.0, 0.2)));
        let best = recommend(&rows, 1.0).unwrap();
        assert_eq!((best.layer, best.dose, best.effect, best.random), (2, -30.0, 25.0, Some(-1.0)));
        assert_eq!(recommend(&rows, 5.0).unwrap().effect, 80.0);
        assert_eq!(recommend(&rows, 0.1), None);
        // What the text says counts before the reading, the short way round the Earth.
        rows[0].named_value = Some(170.0);
        rows[4].named_value = Some(-170.0);
        let best = recommend(&rows, 1.0).unwrap();
        assert_eq!((best.effect_of, best.effect), ("text", 0.0));
    }
}
