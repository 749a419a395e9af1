//! Pairs of texts with different answers: a base, and a source whose stream is put into the base.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Fewer groups than this make an interval too narrow.
const MANY_GROUPS: usize = 20;

/// A base text, and a source text with another answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The text that is changed.
    pub base: usize,
    /// The text whose stream is put into the base.
    pub source: usize,
    /// The group of the pair: pairs of different groups have no text in common.
    pub group: usize,
}

/// As many of these texts for each answer, in a random order that goes through the answers in turn.
fn balanced(labels: &[usize], texts: &[usize], rng: &mut ChaCha8Rng) -> Vec<usize> {
    let n_answers = labels.iter().max().map_or(0, |last| last + 1);
    let mut of_answer: Vec<Vec<usize>> = vec![vec![]; n_answers];
    texts.iter().for_each(|&text| of_answer[labels[text]].push(text));
    of_answer.iter_mut().for_each(|texts| texts.shuffle(rng));
    of_answer.retain(|texts| !texts.is_empty());
    of_answer.shuffle(rng);
    let n = of_answer.iter().map(Vec::len).min().unwrap_or(0);
    (0..n).flat_map(|i| of_answer.iter().map(move |texts| texts[i])).collect()
}

/// Pairs for intervals: the texts are divided into small groups with as many texts of each answer, and every pair lies
/// within one group, so that an interval may resample the groups. At most `n` pairs; fewer if there are too few texts.
pub fn grouped_pairs(labels: &[usize], texts: &[usize], n: usize, seed: u64) -> Vec<Pair> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let texts = balanced(labels, texts, &mut rng);
    let needed = n.div_ceil(texts.len().max(1)) + 1;
    let size = needed.min((texts.len() / MANY_GROUPS).max(2)).min(texts.len().max(2));
    // Texts of one answer are far apart in the list, so that most pairs of a group have different answers.
    let mut pairs = Vec::new();
    for (group, members) in texts.chunks(size).enumerate() {
        for (i, &base) in members.iter().enumerate() {
            let others = members.iter().enumerate().filter(|(j, _)| *j != i);
            let differ = others.filter(|(_, source)| labels[base] != labels[**source]);
            pairs.extend(differ.map(|(_, &source)| Pair { base, source, group }));
        }
    }
    // A part of the pairs has some of every group.
    let step = pairs.len() as f64 / n.max(1) as f64;
    match step > 1.0 {
        true => (0..n).map(|i| pairs[(i as f64 * step) as usize]).collect(),
        false => pairs,
    }
}

/// Pairs for training: every text in turn is a base, its source any text with another answer. The pairs of one base
/// follow each other.
pub fn training_pairs(labels: &[usize], texts: &[usize], n: usize, seed: u64) -> Vec<Pair> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut texts = texts.to_vec();
    texts.shuffle(&mut rng);
    let mut pairs = Vec::with_capacity(n);
    let has_other = texts.iter().any(|text| labels[*text] != labels[texts[0]]);
    if !has_other || n == 0 {
        return pairs;
    }
    for (i, &base) in texts.iter().enumerate() {
        for _ in 0..n / texts.len() + usize::from(i < n % texts.len()) {
            let source = loop {
                let drawn = texts[rng.random_range(0..texts.len())];
                if labels[drawn] != labels[base] {
                    break drawn;
                }
            };
            pairs.push(Pair { base, source, group: i });
        }
    }
    pairs
}

/// An arbitrary answer for each of `n_texts` texts, as a control.
pub fn arbitrary_answers(n_texts: usize, n_answers: usize, seed: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n_texts).map(|_| rng.random_range(0..n_answers as u64) as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn pairs_have_different_answers_and_groups_share_no_text() {
        let labels: Vec<usize> = (0..90).map(|i| i * i % 4).collect();
        let texts: Vec<usize> = (10..90).collect();
        for n in [1, 40, 400, 4000] {
            let pairs = grouped_pairs(&labels, &texts, n, 3);
            assert!(!pairs.is_empty() && pairs.len() <= n);
            let mut group_of: BTreeMap<usize, usize> = BTreeMap::new();
            for Pair { base, source, group } in &pairs {
                assert!(labels[*base] != labels[*source] && *base >= 10 && *source >= 10);
                for text in [base, source] {
                    assert_eq!(group_of.entry(*text).or_insert(*group), group);
                }
            }
            let training = training_pairs(&labels, &texts, n, 3);
            assert_eq!(training.len(), n);
            assert!(training.iter().all(|pair| labels[pair.base] != labels[pair.source]));
        }
        assert!(training_pairs(&labels, &[10, 12], 5, 0).is_empty() || labels[10] != labels[12]);
        assert!(
            grouped_pairs(&labels, &[], 5, 0).is_empty() && training_pairs(&labels, &[], 0, 0).is_empty()
        );
    }
}
