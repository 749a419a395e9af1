//! Statistics of texts: log-probabilities under a model, divergence, repetition.

use crate::error::Result;
use crate::model::{Forest, Generation, Hook, Model, Transformer};
use candle_core::Tensor;
use std::collections::{BTreeSet, HashSet};

/// Rows whose logits are in memory at once.
const ROWS: usize = 1024;

/// The log-probability of each requested token after its node, in one pass over a forest.
///
/// # Units
/// Nats.
///
/// # Errors
/// As [`Transformer::forward`].
pub(super) fn log_probs_after(
    model: &Transformer,
    forest: &Forest,
    wanted: &[(u32, u32)],
    hook: &mut dyn Hook,
) -> Result<Vec<f64>> {
    if wanted.is_empty() {
        return Ok(vec![]);
    }
    let stream = model.forward(forest, None, hook)?;
    let nodes: Vec<u32> = wanted.iter().map(|(node, _)| *node).collect::<BTreeSet<_>>().into_iter().collect();
    let mut by_node = vec![vec![]; nodes.len()];
    for (i, (node, token)) in wanted.iter().enumerate() {
        by_node[nodes.partition_point(|known| known < node)].push((i, *token as usize));
    }
    let mut answers = vec![0.0; wanted.len()];
    for (nodes, wanted) in nodes.chunks(ROWS).zip(by_node.chunks(ROWS)) {
        let rows = stream.index_select(&Tensor::from_slice(nodes, nodes.len(), stream.device())?, 0)?;
        let logits = model.logits(&rows)?.to_vec2::<f32>()?; // [n_rows, d_vocab]
        for (logits, wanted) in logits.iter().zip(wanted) {
            let total = log_sum(logits);
            wanted.iter().for_each(|(i, token)| answers[*i] = f64::from(logits[*token]) - total);
        }
    }
    Ok(answers)
}

/// The log-probability of each new token of each text, under the model with this hook.
///
/// # Units
/// Nats.
///
/// # Errors
/// As [`Transformer::forward`].
pub(crate) fn token_log_probs(
    model: &Model,
    texts: &[Generation],
    hook: &mut dyn Hook,
) -> Result<Vec<Vec<f64>>> {
    let ids: Vec<Vec<u32>> = texts.iter().map(|text| text.ids.clone()).collect();
    let (forest, last) = Forest::of_texts(&ids)?;
    let mut wanted = Vec::new();
    for (text, last) in texts.iter().zip(&last) {
        let path = forest.path(*last);
        wanted.extend((text.n_prompt..text.ids.len()).map(|i| (path[i - 1], text.ids[i])));
    }
    let all = log_probs_after(&model.transformer, &forest, &wanted, hook)?;
    let mut rest = all.as_slice();
    let one = |text: &Generation| {
        let (own, others) = rest.split_at(text.new_ids().len());
        rest = others;
        own.to_vec()
    };
    Ok(texts.iter().map(one).collect())
}

/// The logarithm of the sum of the exponentials.
fn log_sum(logits: &[f32]) -> f64 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    f64::from(most) + logits.iter().map(|x| f64::from(x - most).exp()).sum::<f64>().ln()
}

/// Kullback–Leibler divergence of the distribution with logits `p` from that with logits `q`, in nats.
pub(super) fn divergence(p: &[f32], q: &[f32]) -> f64 {
    let (of_p, of_q) = (log_sum(p), log_sum(q));
    let term = |(p, q): (&f32, &f32)| {
        let (p, q) = (f64::from(*p) - of_p, f64::from(*q) - of_q);
        p.exp() * (p - q)
    };
    p.iter().zip(q).map(term).sum::<f64>().max(0.0)
}

/// The share of token pairs that occurred earlier in the same text.
pub(crate) fn repetition(ids: &[u32]) -> f64 {
    let pairs: Vec<&[u32]> = ids.windows(2).collect();
    let distinct: HashSet<&&[u32]> = pairs.iter().collect();
    if pairs.is_empty() { 0.0 } else { 1.0 - distinct.len() as f64 / pairs.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divergence_is_zero_from_itself_and_positive_otherwise() {
        let (p, q) = ([1.0, 2.0, 3.0], [3.0, 1.0, 0.5]);
        assert_eq!(divergence(&p, &p), 0.0);
        assert!(divergence(&p, &q) > 0.1);
        assert!((log_sum(&p) - (1f64.exp() + 2f64.exp() + 3f64.exp()).ln()).abs() < 1e-12);
    }

    #[test]
    fn repetition_counts_pairs_that_occur_again() {
        assert_eq!(repetition(&[1, 2, 3, 4]), 0.0);
        assert!((repetition(&[1, 2, 1, 2, 1]) - 0.5).abs() < 1e-12);
        assert_eq!(repetition(&[1]), 0.0);
    }
}
