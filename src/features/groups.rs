//! How specific a unit is to one group of entities: chosen on training rows, measured on test rows.

use super::active::Active;
use rayon::prelude::*;
use std::collections::HashMap;

/// The group of each entity, and which entities are for testing.
#[derive(Debug, Clone, PartialEq)]
pub struct Groups {
    names: Vec<String>,
    of: Vec<Option<usize>>,
    is_test: Vec<bool>,
}

/// How well "the unit's activation is at least `threshold`" tells the entities of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// The unit.
    pub unit: usize,
    /// The group's number.
    pub group: usize,
    /// The threshold with the best F1 on training rows.
    pub threshold: f32,
    /// That F1.
    pub train_f1: f64,
}

/// What a match does on test rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TestMatch {
    /// The share of the group among the entities that are picked; 0 if none is.
    pub precision: f64,
    /// The share of the group that is picked.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// The area under precision over recall, over all thresholds; the group's share is what chance reaches.
    pub average_precision: f64,
    /// The share of the group among all.
    pub share: f64,
    /// The number of its entities.
    pub n: usize,
}

impl Groups {
    /// Groups by label, one an entity; an empty label is no group.
    pub fn new(labels: &[String], is_test: Vec<bool>) -> Groups {
        let mut numbers = HashMap::new();
        let mut names = Vec::new();
        let mut number = |label: &String| {
            (!label.is_empty()).then(|| {
                *numbers.entry(label.clone()).or_insert_with(|| {
                    names.push(label.clone());
                    names.len() - 1
                })
            })
        };
        let of = labels.iter().map(&mut number).collect();
        Groups { names, of, is_test }
    }

    /// The groups' names, by number.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The group of an entity.
    pub fn name_of(&self, entity: usize) -> &str {
        self.of[entity].map_or("", |group| &self.names[group])
    }

    fn size(&self, is_test: bool) -> Vec<usize> {
        let mut sizes = vec![0; self.names.len()];
        let meant = self.of.iter().zip(&self.is_test).filter(|(_, test)| **test == is_test);
        meant.filter_map(|(group, _)| *group).for_each(|group| sizes[group] += 1);
        sizes
    }

    /// Each unit with each group that it is active in, at the threshold with the best F1 on training rows.
    ///
    /// Groups of fewer training entities than `smallest` are left out.
    pub fn matches(&self, active: &Active, smallest: usize) -> Vec<Match> {
        let sizes = self.size(false);
        let of_unit = |unit: usize| {
            let mut best: HashMap<usize, Match> = HashMap::new();
            let mut hits = vec![0; self.names.len()];
            let rows: Vec<(usize, f32)> =
                active.of_unit(unit).iter().copied().filter(|(row, _)| !self.is_test[*row]).collect();
            let mut n = 0;
            // Rows of one activation stand on the same side of every threshold.
            for same in rows.chunk_by(|a, b| a.1 == b.1) {
                n += same.len();
                let groups = same.iter().filter_map(|(row, _)| self.of[*row]);
                groups.clone().for_each(|group| hits[group] += 1);
                for group in groups.filter(|group| sizes[*group] >= smallest) {
                    let train_f1 = 2.0 * hits[group] as f64 / (n + sizes[group]) as f64;
                    let found = Match { unit, group, threshold: same[0].1, train_f1 };
                    let known = best.entry(group).or_insert(found);
                    if train_f1 > known.train_f1 {
                        *known = found;
                    }
                }
            }
            best.into_values().collect::<Vec<Match>>()
        };
        let mut all: Vec<Match> = (0..active.n_units()).into_par_iter().flat_map_iter(of_unit).collect();
        all.sort_by(|a, b| b.train_f1.total_cmp(&a.train_f1).then((a.unit, a.group).cmp(&(b.unit, b.group))));
        all
    }

    /// What a match does on test rows; `None` for a group without any.
    pub fn test(&self, active: &Active, found: &Match) -> Option<TestMatch> {
        let n = self.size(true)[found.group];
        let n_test = self.is_test.iter().filter(|is_test| **is_test).count();
        if n == 0 {
            return None;
        }
        let rows: Vec<(bool, f32)> = active
            .of_unit(found.unit)
            .iter()
            .filter(|(row, _)| self.is_test[*row])
            .map(|(row, activation)| (self.of[*row] == Some(found.group), *activation))
            .collect();
        let picked = rows.iter().take_while(|(_, activation)| *activation >= found.threshold);
        let (n_picked, hits) = picked.fold((0, 0), |(n, hits), (hit, _)| (n + 1, hits + usize::from(*hit)));
        let share = |of: usize, all: usize| if all == 0 { 0.0 } else { of as f64 / all as f64 };
        Some(TestMatch {
            precision: share(hits, n_picked),
            recall: share(hits, n),
            f1: share(2 * hits, n_picked + n),
            average_precision: average_precision(&rows, (n, n_test)),
            share: share(n, n_test),
            n,
        })
    }
}

/// Mean precision at each newly found entity of a group, rows of one activation taken together.
///
/// `rows` are those with an activation above zero, the greatest first; all others stand together at the end.
///
/// # Source
/// scikit-learn's `average_precision_score`: `Σ (R_n − R_{n−1}) P_n`.
fn average_precision(rows: &[(bool, f32)], (n_group, n_all): (usize, usize)) -> f64 {
    let (mut n, mut hits, mut sum) = (0, 0, 0.0);
    for same in rows.chunk_by(|a, b| a.1 == b.1) {
        let new = same.iter().filter(|(hit, _)| *hit).count();
        (n, hits) = (n + same.len(), hits + new);
        sum += new as f64 * hits as f64 / n as f64;
    }
    // At the last threshold all entities are picked.
    sum += (n_group - hits) as f64 * n_group as f64 / n_all as f64;
    sum / n_group as f64
}
