//! Points in space, in a k-d tree: how many lie nearer than a distance, and how near the nearest is.

use crate::datasets::{Lat, Lon};
use rayon::prelude::*;

/// A point on the unit sphere.
pub(super) type Point = [f64; 3];

/// How many points a leaf of the tree holds at most.
const LEAF: usize = 16;
/// Boxes are told apart from a distance only where they differ from it by more than rounding.
const ROUNDING: f64 = 1e-12;

/// The point on the unit sphere at two angles in degrees; the first is from the equator.
///
/// Angles beyond 90° are taken as they are: the great-circle formula holds for them as well.
pub(super) fn on_sphere(first: f64, second: f64) -> Point {
    let (phi, lambda) = (first.to_radians(), second.to_radians());
    [phi.cos() * lambda.cos(), phi.cos() * lambda.sin(), phi.sin()]
}

/// A place as a point on the unit sphere.
pub(super) fn point_of((lat, lon): (Lat, Lon)) -> Point {
    on_sphere(lat.degrees(), lon.degrees())
}

/// The squared length of the chord between two points, which rises with their distance along the sphere.
pub(super) fn squared_chord(a: &Point, b: &Point) -> f64 {
    (0..3).map(|axis| (a[axis] - b[axis]) * (a[axis] - b[axis])).sum()
}

/// Points in boxes within boxes.
#[derive(Debug)]
pub(super) struct Points {
    points: Vec<Point>,
    nodes: Vec<Node>,
}

/// A box and what lies in it: the points from `first` to `last`, or two smaller boxes.
#[derive(Debug)]
struct Node {
    low: Point,
    high: Point,
    first: usize,
    last: usize,
    /// The second of the smaller boxes; the first follows its parent at once.
    second: Option<usize>,
}

impl Points {
    /// A tree over some points.
    pub fn of(points: &[Point]) -> Points {
        let mut tree = Points { points: points.to_vec(), nodes: Vec::new() };
        if !points.is_empty() {
            tree.grow(0, points.len());
        }
        tree
    }

    fn grow(&mut self, first: usize, last: usize) {
        let inside = &mut self.points[first..last];
        let mut low = [f64::INFINITY; 3];
        let mut high = [f64::NEG_INFINITY; 3];
        for point in inside.iter() {
            for axis in 0..3 {
                low[axis] = low[axis].min(point[axis]);
                high[axis] = high[axis].max(point[axis]);
            }
        }
        let node = self.nodes.len();
        let width = |axis: &usize| high[*axis] - low[*axis];
        let longest = (0..3).max_by(|a, b| width(a).total_cmp(&width(b))).unwrap_or(0);
        let is_leaf = last - first <= LEAF || width(&longest) == 0.0;
        if !is_leaf {
            let middle = inside.len() / 2;
            inside.select_nth_unstable_by(middle, |a, b| a[longest].total_cmp(&b[longest]));
        }
        self.nodes.push(Node { low, high, first, last, second: None });
        if !is_leaf {
            let middle = first + (last - first) / 2;
            self.grow(first, middle);
            self.nodes[node].second = Some(self.nodes.len());
            self.grow(middle, last);
        }
    }

    /// How many points have a squared chord to `centre` below `limit`.
    pub fn n_nearer(&self, centre: &Point, limit: f64) -> usize {
        let (mut n, mut open) = (0, if self.nodes.is_empty() { vec![] } else { vec![0] });
        while let Some(at) = open.pop() {
            let node = &self.nodes[at];
            let (least, most) = node.bounds(centre);
            if least > limit * (1.0 + ROUNDING) {
                continue;
            }
            if most < limit * (1.0 - ROUNDING) {
                n += node.last - node.first;
            } else if let Some(second) = node.second {
                open.extend([second, at + 1]);
            } else {
                let inside = &self.points[node.first..node.last];
                n += inside.iter().filter(|point| squared_chord(centre, point) < limit).count();
            }
        }
        n
    }

    /// The squared chord from `centre` to the nearest point; infinite without points.
    pub fn nearest(&self, centre: &Point) -> f64 {
        let mut best = f64::INFINITY;
        let mut open = if self.nodes.is_empty() { vec![] } else { vec![(0.0, 0)] };
        while let Some((least, at)) = open.pop() {
            if least >= best {
                continue;
            }
            let node = &self.nodes[at];
            match node.second {
                None => {
                    let inside = &self.points[node.first..node.last];
                    best = inside.iter().map(|point| squared_chord(centre, point)).fold(best, f64::min);
                }
                Some(second) => {
                    let mut both = [at + 1, second].map(|child| (self.nodes[child].bounds(centre).0, child));
                    both.sort_by(|a, b| b.0.total_cmp(&a.0));
                    open.extend(both);
                }
            }
        }
        best
    }
}

impl Node {
    /// The least and the greatest squared chord from a point to the box.
    fn bounds(&self, centre: &Point) -> (f64, f64) {
        let (mut least, mut most) = (0.0, 0.0);
        for (at, (low, high)) in centre.iter().zip(self.low.iter().zip(&self.high)) {
            let (below, above) = (low - at, at - high);
            let outside = below.max(above).max(0.0);
            let across = below.abs().max(above.abs());
            least += outside * outside;
            most += across * across;
        }
        (least, most)
    }
}

/// For each pair: the share of the other points that lie nearer to its centre than its own does.
///
/// No two-dimensional table is held: each centre asks the tree.
pub(super) fn share_nearer(centres: &[Point], own: &[Point]) -> Vec<f64> {
    let tree = Points::of(own);
    let share = |(centre, own): (&Point, &Point)| {
        tree.n_nearer(centre, squared_chord(centre, own)) as f64 / centres.len() as f64
    };
    centres.par_iter().zip(own).with_min_len(64).map(share).collect()
}

/// [`share_nearer`] on a line: for each pair, the share of values nearer to its centre than its own is.
pub(super) fn share_nearer_on_line(centres: &[f64], own: &[f64]) -> Vec<f64> {
    let mut sorted = own.to_vec();
    sorted.sort_by(f64::total_cmp);
    let share = |(centre, own): (&f64, &f64)| {
        let reach = (own - centre).abs();
        // The differences are compared themselves, as sums of a centre and a reach would be rounded.
        let first = sorted.partition_point(|value| centre - value >= reach);
        let last = sorted.partition_point(|value| value - centre < reach);
        last.saturating_sub(first) as f64 / centres.len() as f64
    };
    centres.par_iter().zip(own).with_min_len(1024).map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::noise;
    use super::*;

    /// Places of which some are equal, and readings of them.
    fn example() -> (Vec<Point>, Vec<Point>) {
        let n = 400;
        let places = noise((n, 2), 3).mapv(|v| (v * 40.0).round() / 40.0);
        let readings = &places + &(noise((n, 2), 4) * 0.3);
        let points = |of: &ndarray::Array2<f64>| -> Vec<Point> {
            of.rows().into_iter().map(|row| on_sphere(row[0] * 170.0, row[1] * 350.0)).collect()
        };
        (points(&readings), points(&places))
    }

    #[test]
    fn the_tree_counts_and_finds_as_looking_at_every_point_does() {
        let (centres, own) = example();
        let tree = Points::of(&own);
        for (centre, own_point) in centres.iter().zip(&own) {
            let all: Vec<f64> = own.iter().map(|point| squared_chord(centre, point)).collect();
            let limit = squared_chord(centre, own_point);
            assert_eq!(tree.n_nearer(centre, limit), all.iter().filter(|d| **d < limit).count());
            assert_eq!(tree.nearest(centre), all.iter().copied().fold(f64::INFINITY, f64::min));
        }
        assert_eq!(Points::of(&[]).n_nearer(&centres[0], 4.0), 0);
        assert_eq!(Points::of(&[]).nearest(&centres[0]), f64::INFINITY);
    }

    #[test]
    fn many_equal_points_are_one_leaf() {
        let tree = Points::of(&vec![on_sphere(10.0, 20.0); 100]);
        assert_eq!(tree.nodes.len(), 1);
        assert_eq!(tree.n_nearer(&on_sphere(10.0, 21.0), 4.1), 100);
        assert_eq!(tree.nearest(&on_sphere(10.0, 20.0)), 0.0);
    }

    #[test]
    fn on_a_line_it_counts_as_looking_at_every_value_does() {
        let own: Vec<f64> = (0..300).map(|i| f64::from(i * 7919 % 60)).collect();
        let centres: Vec<f64> = (0..300).map(|i| f64::from(i * 31 % 97) * 0.7).collect();
        for ((centre, mine), share) in centres.iter().zip(&own).zip(share_nearer_on_line(&centres, &own)) {
            let n = own.iter().filter(|value| (*value - centre).abs() < (mine - centre).abs()).count();
            assert_eq!(share, n as f64 / 300.0);
        }
    }
}
