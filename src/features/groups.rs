//! Latents as detectors of a group of entities: chosen on training rows, measured on test rows.

use super::activation_index::ActivationIndex;
use rayon::prelude::*;
use std::collections::HashMap;

/// The group of each entity, and its part of the split: training or test.
#[derive(Debug, Clone, PartialEq)]
pub struct Groups {
    names: Vec<String>,
    of: Vec<Option<usize>>,
    is_test: Vec<bool>,
}

/// A latent as a detector of a group: the entities at which its activation is at least `threshold`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// The latent.
    pub latent: usize,
    /// The group's number.
    pub group: usize,
    /// The threshold with the best F1 on training rows.
    pub threshold: f32,
    /// The F1 at this threshold.
    pub train_f1: f64,
}

/// The scores of a match on test rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TestMatch {
    /// The share of the group among the selected entities; 0 if none is selected.
    pub precision: f64,
    /// The share of the group that is selected.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// The area under the precision–recall curve; a random ranking has the group's share.
    pub average_precision: f64,
    /// The share of the group among all test entities.
    pub share: f64,
    /// The number of the group's test entities.
    pub n: usize,
}

impl Groups {
    /// Groups from the entities' labels; entities with an empty label belong to no group.
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

    /// One match for each latent and each group in which it is active, at the threshold with the best F1 on training
    /// rows; the best match comes first.
    ///
    /// Groups with fewer than `smallest` training entities are left out.
    pub fn matches(&self, active: &ActivationIndex, smallest: usize) -> Vec<Match> {
        let sizes = self.size(false);
        let of_latent = |latent: usize| {
            let mut best: HashMap<usize, Match> = HashMap::new();
            let mut hits = vec![0; self.names.len()];
            let rows: Vec<(usize, f32)> =
                active.of_latent(latent).iter().copied().filter(|(row, _)| !self.is_test[*row]).collect();
            let mut n = 0;
            // Rows of equal activation are on the same side of every threshold.
            for same in rows.chunk_by(|a, b| a.1 == b.1) {
                n += same.len();
                let groups = same.iter().filter_map(|(row, _)| self.of[*row]);
                groups.clone().for_each(|group| hits[group] += 1);
                for group in groups.filter(|group| sizes[*group] >= smallest) {
                    let train_f1 = 2.0 * hits[group] as f64 / (n + sizes[group]) as f64;
                    let found = Match { latent, group, threshold: same[0].1, train_f1 };
                    let known = best.entry(group).or_insert(found);
                    if train_f1 > known.train_f1 {
                        *known = found;
                    }
                }
            }
            best.into_values().collect::<Vec<Match>>()
        };
        let mut all: Vec<Match> = (0..active.n_latents()).into_par_iter().flat_map_iter(of_latent).collect();
        all.sort_by(|a, b| {
            b.train_f1.total_cmp(&a.train_f1).then((a.latent, a.group).cmp(&(b.latent, b.group)))
        });
        all
    }

    /// The scores of a match on test rows; `None` for a group without test rows.
    pub fn test(&self, active: &ActivationIndex, found: &Match) -> Option<TestMatch> {
        let n = self.size(true)[found.group];
        let n_test = self.is_test.iter().filter(|is_test| **is_test).count();
        if n == 0 {
            return None;
        }
        let rows: Vec<(bool, f32)> = active
            .of_latent(found.latent)
            .iter()
            .filter(|(row, _)| self.is_test[*row])
            .map(|(row, activation)| (self.of[*row] == Some(found.group), *activation))
            .collect();
        let selected = rows.iter().take_while(|(_, activation)| *activation >= found.threshold);
        let (n_selected, hits) =
            selected.fold((0, 0), |(n, hits), (hit, _)| (n + 1, hits + usize::from(*hit)));
        let share = |of: usize, all: usize| if all == 0 { 0.0 } else { of as f64 / all as f64 };
        Some(TestMatch {
            precision: share(hits, n_selected),
            recall: share(hits, n),
            f1: share(2 * hits, n_selected + n),
            average_precision: average_precision(&rows, n, n_test),
            share: share(n, n_test),
            n,
        })
    }
}

/// Average precision: the mean, over a group's entities, of the precision at the threshold that selects the entity;
/// rows of equal activation are selected together.
///
/// `rows` have an activation above zero, the greatest first; all other rows are selected together at the end.
///
/// # Source
/// scikit-learn's `average_precision_score`: `Σ (R_n − R_{n−1}) P_n`.
fn average_precision(rows: &[(bool, f32)], n_group: usize, n_all: usize) -> f64 {
    let (mut n, mut hits, mut sum) = (0, 0, 0.0);
    for same in rows.chunk_by(|a, b| a.1 == b.1) {
        let new = same.iter().filter(|(hit, _)| *hit).count();
        (n, hits) = (n + same.len(), hits + new);
        sum += new as f64 * hits as f64 / n as f64;
    }
    // At the last threshold all entities are selected.
    sum += (n_group - hits) as f64 * n_group as f64 / n_all as f64;
    sum / n_group as f64
}
