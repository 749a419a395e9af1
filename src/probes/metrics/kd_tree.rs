//! A k-d tree: counts points within a distance and finds the distance to the nearest point.

use super::unit_sphere::{Point, squared_chord};

/// Maximum number of points in a leaf.
const LEAF: usize = 16;
/// A relative safety margin against rounding when a box is compared with a distance.
const ROUNDING: f64 = 1e-12;

/// A k-d tree over points on the unit sphere.
#[derive(Debug)]
pub(in crate::probes) struct KdTree {
    points: Vec<Point>,
    nodes: Vec<Node>,
}

/// A box that bounds the points from `first` to `last`: a leaf, or split into two smaller boxes.
#[derive(Debug)]
struct Node {
    low: Point,
    high: Point,
    first: usize,
    last: usize,
    /// The index of the second smaller box, none for a leaf; the first smaller box is the next node.
    second: Option<usize>,
}

impl KdTree {
    /// Builds a tree over the points.
    pub(crate) fn of(points: &[Point]) -> KdTree {
        let mut tree = KdTree { points: points.to_vec(), nodes: Vec::new() };
        if !points.is_empty() {
            tree.grow(0, points.len());
        }
        tree
    }

    /// Adds the node for the points from `first` to `last`, and the nodes below it.
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

    /// The number of points with a squared chord to `centre` below `limit`.
    pub(crate) fn n_nearer(&self, centre: &Point, limit: f64) -> usize {
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

    /// The squared chord from `centre` to the nearest point; infinity if there are no points.
    pub(crate) fn nearest(&self, centre: &Point) -> f64 {
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

#[cfg(test)]
mod tests {
    use super::super::unit_sphere::on_sphere;
    use super::*;
    use crate::probes::fixture::noise;

    /// Points, some of them equal, and other points near them.
    fn example() -> (Vec<Point>, Vec<Point>) {
        let n = 400;
        let places = noise([n, 2], 3).mapv(|v| (v * 40.0).round() / 40.0);
        let others = &places + &(noise([n, 2], 4) * 0.3);
        let points = |of: &ndarray::Array2<f64>| -> Vec<Point> {
            of.rows().into_iter().map(|row| on_sphere(row[0] * 170.0, row[1] * 350.0)).collect()
        };
        (points(&others), points(&places))
    }

    #[test]
    fn counts_and_nearest_equal_those_over_all_points() {
        let (centres, own) = example();
        let tree = KdTree::of(&own);
        for (centre, own_point) in centres.iter().zip(&own) {
            let all: Vec<f64> = own.iter().map(|point| squared_chord(centre, point)).collect();
            let limit = squared_chord(centre, own_point);
            assert_eq!(tree.n_nearer(centre, limit), all.iter().filter(|d| **d < limit).count());
            assert_eq!(tree.nearest(centre), all.iter().copied().fold(f64::INFINITY, f64::min));
        }
        assert_eq!(KdTree::of(&[]).n_nearer(&centres[0], 4.0), 0);
        assert_eq!(KdTree::of(&[]).nearest(&centres[0]), f64::INFINITY);
    }

    #[test]
    fn many_equal_points_are_one_leaf() {
        let tree = KdTree::of(&vec![on_sphere(10.0, 20.0); 100]);
        assert_eq!(tree.nodes.len(), 1);
        assert_eq!(tree.n_nearer(&on_sphere(10.0, 21.0), 4.1), 100);
        assert_eq!(tree.nearest(&on_sphere(10.0, 20.0)), 0.0);
    }
}
