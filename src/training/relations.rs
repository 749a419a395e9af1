//! Relations between the entities of one dataset: neighbours, landmarks, compass and order in time.

use crate::datasets::{Dataset, Target};

/// The number of nearest entities that count as neighbours.
const N_NEIGHBOURS: usize = 12;
/// The number of landmarks, which texts mention more often than other entities.
const N_LANDMARKS: usize = 32;

/// The entities of a dataset as points, with their neighbours and landmarks.
pub(super) struct Relations {
    points: Vec<[f64; 2]>,
    /// For each entity its nearest entities, the nearest first.
    pub neighbours: Vec<Vec<usize>>,
    /// Entities far from each other, so that each region or age has one.
    pub landmarks: Vec<usize>,
}

impl Relations {
    pub(super) fn of(dataset: &Dataset) -> Relations {
        let points: Vec<[f64; 2]> = dataset
            .entities
            .iter()
            .map(|e| match e.target {
                Target::Place { lat, lon } => [lat.degrees(), lon.degrees()],
                Target::Year(value) | Target::Quantity(value) => [value, 0.0],
            })
            .collect();
        let kind = dataset.entities[0].target;
        let distance = |a: usize, b: usize| distance(kind, points[a], points[b]);
        let neighbours = (0..points.len())
            .map(|a| {
                let mut others: Vec<usize> = (0..points.len()).filter(|b| *b != a).collect();
                others.sort_by(|b, c| distance(a, *b).total_cmp(&distance(a, *c)));
                others.truncate(N_NEIGHBOURS);
                others
            })
            .collect();
        let landmarks = match kind {
            Target::Place { .. } => spread(points.len(), distance),
            Target::Year(_) | Target::Quantity(_) => quantiles(&points),
        };
        Relations { points, neighbours, landmarks }
    }

    /// The direction from `b` to `a`: one of eight compass directions, by differences in latitude and longitude.
    ///
    /// The difference in longitude is taken the short way round.
    pub(super) fn wind(&self, a: usize, b: usize) -> &'static str {
        let north = self.points[a][0] - self.points[b][0];
        let east = (self.points[a][1] - self.points[b][1] + 540.0).rem_euclid(360.0) - 180.0;
        let sector = (east.atan2(north).to_degrees() / 45.0).round().rem_euclid(8.0) as usize;
        ["north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west"][sector]
    }

    /// True if `a` is earlier than `b`, or has the smaller number.
    pub(super) fn is_before(&self, a: usize, b: usize) -> bool {
        self.points[a][0] < self.points[b][0]
    }

    /// Orders `b` and `c` by their distance from `a`, the nearer first.
    pub(super) fn nearer_first(&self, a: usize, b: usize, c: usize, kind: Target) -> (usize, usize) {
        let d = |x: usize| distance(kind, self.points[a], self.points[x]);
        if d(b) <= d(c) { (b, c) } else { (c, b) }
    }
}

/// The squared chord on the sphere for places, the difference for numbers; only their order is used.
fn distance(kind: Target, a: [f64; 2], b: [f64; 2]) -> f64 {
    match kind {
        Target::Place { .. } => {
            let unit = |p: [f64; 2]| {
                let (lat, lon) = (p[0].to_radians(), p[1].to_radians());
                [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
            };
            unit(a).iter().zip(unit(b)).map(|(x, y)| (x - y) * (x - y)).sum()
        }
        Target::Year(_) | Target::Quantity(_) => (a[0] - b[0]).abs(),
    }
}

/// Farthest-point sampling: each landmark is the entity farthest from those before it.
fn spread(n: usize, distance: impl Fn(usize, usize) -> f64) -> Vec<usize> {
    let mut chosen = vec![0];
    let mut to_chosen: Vec<f64> = (0..n).map(|i| distance(i, 0)).collect();
    while chosen.len() < N_LANDMARKS.min(n) {
        let next = (0..n).max_by(|a, b| to_chosen[*a].total_cmp(&to_chosen[*b])).unwrap_or(0);
        chosen.push(next);
        for (i, d) in to_chosen.iter_mut().enumerate() {
            *d = d.min(distance(i, next));
        }
    }
    chosen
}

/// Entities at equal steps in the order of their years or numbers.
fn quantiles(points: &[[f64; 2]]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|a, b| points[*a][0].total_cmp(&points[*b][0]));
    let n = N_LANDMARKS.min(order.len());
    (0..n).map(|i| order[(2 * i + 1) * order.len() / (2 * n)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::parse;
    use std::path::Path;

    #[test]
    fn winds_go_the_short_way_round() {
        let rows = "name,latitude,longitude\nFiji,-18,178\nSamoa,-14,-172\nParis,49,2\nLagos,6,3\n";
        let relations = Relations::of(&parse(Path::new("p.csv"), rows.as_bytes()).unwrap());
        assert_eq!(relations.wind(1, 0), "east");
        assert_eq!(relations.wind(0, 1), "west");
        assert_eq!(relations.wind(2, 3), "north");
        assert_eq!(relations.neighbours[0][0], 1);
        assert_eq!(
            relations.nearer_first(
                0,
                2,
                1,
                crate::datasets::bundled("world_place").unwrap().entities[0].target
            ),
            (1, 2)
        );
    }

    #[test]
    fn landmarks_in_time_are_evenly_spaced() {
        let rows: String = (0..320).map(|i| format!("p{i},{}\n", i * 3)).collect();
        let relations =
            Relations::of(&parse(Path::new("p.csv"), format!("name,year\n{rows}").as_bytes()).unwrap());
        let steps: Vec<usize> = relations.landmarks.windows(2).map(|w| w[1] - w[0]).collect();
        assert!(steps.iter().all(|s| *s == 10), "{steps:?}");
        assert!(relations.is_before(0, 1));
    }
}
