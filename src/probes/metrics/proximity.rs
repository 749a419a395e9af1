//! Proximity error: the share of all entities that are nearer to a prediction than the predicted entity itself is.

use super::kd_tree::KdTree;
use super::predicted::Predicted;
use super::score::{GREAT_CIRCLE, TargetScore};
use super::unit_sphere::{Point, squared_chord};
use crate::datasets::TargetKind;
use crate::error::Result;
use rayon::prelude::*;

/// Number of queries to the tree that one thread answers at a time.
const QUERIES: usize = 64;

/// The mean proximity error: distances on the sphere for places, otherwise along the number line for each target.
pub(super) fn scores(predicted: &Predicted) -> Result<Vec<TargetScore>> {
    if *predicted.kind == TargetKind::Place {
        let (truth, predicted) = predicted.points()?;
        let shares = share_nearer(&predicted, &truth);
        return Ok(vec![TargetScore::mean_of("proximity", GREAT_CIRCLE, shares)]);
    }
    let score = |column: &super::predicted::Column| {
        let shares = share_nearer_on_line(&column.predicted, &column.truth);
        TargetScore::mean_of("proximity", &column.target, shares)
    };
    Ok(predicted.columns.iter().map(score).collect())
}

/// For each `i`: the share of the points in `own` that are nearer to `centres[i]` than `own[i]` is.
///
/// Each centre queries a tree, so no table of all pairs is needed. More than 65,536 points are represented by 32,768 of
/// them, one per cell: otherwise the time would grow with the power 1.5 of their number.
pub(super) fn share_nearer(centres: &[Point], own: &[Point]) -> Vec<f64> {
    let tree = KdTree::thinned(own);
    let limits: Vec<f64> = centres.iter().zip(own).map(|(centre, own)| squared_chord(centre, own)).collect();
    let nearer = centres.par_chunks(QUERIES).zip(limits.par_chunks(QUERIES));
    let nearer = nearer.flat_map_iter(|(centres, limits)| tree.n_nearer(centres, limits));
    nearer.map(|n| n as f64 / centres.len() as f64).collect()
}

/// For each `i` on a line: the share of the values in `own` that are nearer to `centres[i]` than `own[i]` is.
pub(super) fn share_nearer_on_line(centres: &[f64], own: &[f64]) -> Vec<f64> {
    let mut sorted = own.to_vec();
    sorted.sort_by(f64::total_cmp);
    let share = |(centre, own): (&f64, &f64)| {
        let reach = (own - centre).abs();
        // Compares differences, because the sum `centre + reach` would be rounded.
        let first = sorted.partition_point(|value| centre - value >= reach);
        let last = sorted.partition_point(|value| value - centre < reach);
        last.saturating_sub(first) as f64 / centres.len() as f64
    };
    centres.par_iter().zip(own).with_min_len(1024).map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_on_a_line_equal_those_over_all_values() {
        let own: Vec<f64> = (0..300).map(|i| f64::from(i * 7919 % 60)).collect();
        let centres: Vec<f64> = (0..300).map(|i| f64::from(i * 31 % 97) * 0.7).collect();
        for ((centre, mine), share) in centres.iter().zip(&own).zip(share_nearer_on_line(&centres, &own)) {
            let n = own.iter().filter(|value| (*value - centre).abs() < (mine - centre).abs()).count();
            assert_eq!(share, n as f64 / 300.0);
        }
    }
}
