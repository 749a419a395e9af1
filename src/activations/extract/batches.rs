//! Batches: entities that go through the model in one pass, limited by their number of distinct tokens: in a causal
//! model, the tokens of a prefix that texts share count once.

use super::shard::Shard;
use crate::model::{AttentionDirection, Spec, Transformer, count, memory};
use std::ops::Range;

/// The batches of a dataset's entities; they depend only on the entities' tokens and the batch size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batches {
    /// Indices of the entities, sorted by token ids.
    order: Vec<usize>,
    batches: Vec<Batch>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Batch {
    /// The batch's range in the sorted entities.
    entities: Range<usize>,
    n_tokens: usize,
}

/// The default for the maximum number of distinct tokens in one pass.
///
/// It is large enough for dense products and small enough for the memory. On the CPU it is also so small that a block
/// of each product stays in the cache of a core, and that a killed run loses little work.
///
/// # Units
/// Tokens; [`memory::token_bytes`] estimates the bytes of one.
pub fn batch_tokens(transformer: &Transformer) -> usize {
    if transformer.device().is_cpu() {
        within_memory(&transformer.spec, 768).min(within_seconds(&transformer.spec))
    } else {
        within_memory(&transformer.spec, 2048)
    }
}

fn within_memory(spec: &Spec, most: usize) -> usize {
    const LEAST: usize = 256;
    const BUDGET: usize = 1 << 29;
    let fit = BUDGET / memory::token_bytes(spec);
    (fit / LEAST * LEAST).clamp(LEAST, most)
}

/// The number of tokens whose pass takes about 20 seconds on a slow core (50 GFLOP/s), so that a killed run loses
/// little work; at least `LEAST`, so that reading the weights does not take longer than multiplying them.
fn within_seconds(spec: &Spec) -> usize {
    const FLOPS: usize = 1_000_000_000_000;
    const LEAST: usize = 64;
    let in_blocks = count(spec).saturating_sub(spec.d_vocab * spec.d_model).max(1);
    (FLOPS / (2 * in_blocks) / LEAST * LEAST).max(LEAST)
}

impl Batches {
    /// Sorts the texts by tokens, so that texts with a common prefix are neighbours, and cuts them where a batch would
    /// have more than `batch_tokens` distinct tokens.
    pub(crate) fn new(texts: &[&[u32]], direction: AttentionDirection, batch_tokens: usize) -> Batches {
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by(|a, b| texts[*a].cmp(texts[*b]).then(a.cmp(b)));
        let mut batches: Vec<Batch> = Vec::new();
        for (at, &entity) in order.iter().enumerate() {
            let ids = texts[entity];
            let shared = match at.checked_sub(1) {
                Some(before) if direction == AttentionDirection::Causal => {
                    texts[order[before]].iter().zip(ids).take_while(|(a, b)| a == b).count()
                }
                _ => 0,
            };
            match batches.last_mut() {
                Some(batch) if batch.n_tokens + ids.len() - shared <= batch_tokens => {
                    batch.entities.end = at + 1;
                    batch.n_tokens += ids.len() - shared;
                }
                _ => batches.push(Batch { entities: at..at + 1, n_tokens: ids.len() }),
            }
        }
        Batches { order, batches }
    }

    /// The range of each batch in the sorted texts.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.batches.iter().map(|batch| batch.entities.clone())
    }

    /// The entities of a batch, sorted by token ids.
    pub(crate) fn entities(&self, batch: usize) -> &[usize] {
        &self.order[self.batches[batch].entities.clone()]
    }

    /// The number of distinct tokens of a range of batches.
    pub(crate) fn n_tokens(&self, batches: Range<usize>) -> usize {
        self.batches[batches].iter().map(|batch| batch.n_tokens).sum()
    }

    /// The batches of a shard: consecutive whole batches, with nearly the same number of tokens in each shard.
    pub(crate) fn of_shard(&self, shard: Option<Shard>) -> Range<usize> {
        let n = self.batches.len();
        let Some(shard) = shard else { return 0..n };
        let total = self.n_tokens(0..n) as u128;
        // A batch belongs to the shard whose share of the tokens contains the batch's middle token.
        let border = |part: usize| {
            let mut before = 0u128;
            let in_earlier = |batch: &&Batch| {
                let middle = 2 * before + batch.n_tokens as u128;
                before += batch.n_tokens as u128;
                middle * shard.of() as u128 <= 2 * total * part as u128
            };
            self.batches.iter().take_while(in_earlier).count()
        };
        border(shard.index() - 1)..border(shard.index())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Forest, Sizes};
    use rand::{Rng, SeedableRng};

    fn texts(seed: u64) -> Vec<Vec<u32>> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        (0..400).map(|_| (0..rng.random_range(1..9)).map(|_| rng.random_range(0..4)).collect()).collect()
    }

    #[test]
    fn batches_hold_every_entity_once_and_count_their_tokens() {
        for (seed, batch_tokens) in [(1, 1), (2, 7), (3, 50), (4, 10_000)] {
            let texts = texts(seed);
            let ids: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
            for direction in [AttentionDirection::Causal, AttentionDirection::Bidirectional] {
                let batches = Batches::new(&ids, direction, batch_tokens);
                let mut entities: Vec<usize> = Vec::new();
                for b in batches.of_shard(None) {
                    let batch: Vec<Vec<u32>> =
                        batches.entities(b).iter().map(|&i| texts[i].clone()).collect();
                    let (forest, _) = match direction {
                        AttentionDirection::Causal => Forest::of_texts(&batch).unwrap(),
                        AttentionDirection::Bidirectional => Forest::of_chains(&batch).unwrap(),
                    };
                    assert_eq!(batches.n_tokens(b..b + 1), forest.len());
                    assert!(forest.len() <= batch_tokens || batch.len() == 1);
                    entities.extend(batches.entities(b));
                }
                entities.sort_unstable();
                assert_eq!(entities, (0..400).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn shards_are_even_runs_of_batches_that_join_to_all() {
        let texts = texts(5);
        let ids: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        for batch_tokens in [3, 20, 10_000] {
            let batches = Batches::new(&ids, AttentionDirection::Bidirectional, batch_tokens);
            let n_batches = batches.of_shard(None).end;
            for of in [1, 2, 3, 7, 50] {
                let parts: Vec<_> =
                    (1..=of).map(|i| batches.of_shard(Some(Shard::new(i, of).unwrap()))).collect();
                assert_eq!((parts[0].start, parts[of - 1].end), (0, n_batches));
                assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
                let share = batches.n_tokens(0..n_batches) as f64 / of as f64;
                for part in parts {
                    let off = (batches.n_tokens(part) as f64 - share).abs();
                    assert!(off <= batch_tokens.max(9) as f64, "{off} tokens off a share of {share}");
                }
            }
        }
    }

    #[test]
    fn wide_models_have_small_batches() {
        let sizes = |d_model: usize, n_heads: usize, d_mlp: usize| Sizes {
            d_model,
            n_layers: 2,
            n_heads,
            d_mlp,
            d_vocab: 100,
            n_context: 64,
        };
        let tokens = |sizes: Sizes| within_memory(&Spec::llama(sizes), 2048);
        assert_eq!(tokens(sizes(128, 4, 384)), 2048);
        assert_eq!(tokens(sizes(1024, 16, 4096)), 2048);
        let (wide, wider) = (tokens(sizes(4096, 32, 11008)), tokens(sizes(8192, 64, 28672)));
        assert!(256 <= wider && wider < wide && wide < 2048, "{wide} and {wider}");
        let soon = |d_model: usize, n_layers: usize| {
            let sizes = Sizes { d_model, n_layers, n_heads: 8, d_mlp: 4 * d_model, d_vocab: 8, n_context: 8 };
            within_seconds(&Spec::llama(sizes))
        };
        // 0.1, 1.1 and 12.6 billion weights in the blocks.
        assert!(soon(576, 20) > 768);
        assert_eq!(soon(2048, 16), 448);
        assert_eq!(soon(5120, 30), 64);
    }
}
