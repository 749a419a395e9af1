//! Which entities go through the model together, and which of them one machine does.

use crate::error::{Error, Result};
use crate::model::{AttentionDirection, Spec, Transformer, count};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// One part of a dataset's entities, of several that are done apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    of: usize,
}

/// The groups of a dataset's entities: a function of their tokens and the size of a group alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    order: Vec<usize>,
    groups: Vec<Group>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    /// Which of the ordered entities.
    of: Range<usize>,
    n_nodes: usize,
}

/// Distinct tokens in one pass: enough for dense products, few enough for a small memory and, on this machine's
/// processors, for a part of each product to stay in a core's cache.
///
/// # Units
/// Tokens, of which each takes about as many bytes as `node_bytes` says.
pub fn group_nodes(transformer: &Transformer) -> usize {
    if transformer.device().is_cpu() {
        fitting(&transformer.spec, 768).min(soon_done(&transformer.spec))
    } else {
        fitting(&transformer.spec, 2048)
    }
}

fn fitting(spec: &Spec, most: usize) -> usize {
    const LEAST: usize = 256;
    const BUDGET: usize = 1 << 29;
    let fit = BUDGET / node_bytes(spec);
    (fit / LEAST * LEAST).clamp(LEAST, most)
}

/// Tokens whose pass a slow core, of 50 GFLOP/s, ends within some 20 seconds, so that a kill loses no more; not so few
/// that reading the weights would take longer than multiplying them.
fn soon_done(spec: &Spec) -> usize {
    const FLOPS: usize = 1_000_000_000_000;
    const LEAST: usize = 64;
    let in_blocks = count(spec).saturating_sub(spec.d_vocab * spec.d_model).max(1);
    (FLOPS / (2 * in_blocks) / LEAST * LEAST).max(LEAST)
}

/// Bytes of a pass that each of its tokens takes: the tensors that are alive at once in the MLP, where
/// they are widest, and what is read of one hook point.
pub(super) fn node_bytes(spec: &Spec) -> usize {
    let heads = spec.d_head * (2 * spec.n_heads + 2 * spec.n_kv_heads);
    let neurons = spec.d_mlp * if spec.mlp.is_gated() { 4 } else { 2 };
    4 * (6 * spec.d_model + heads.max(neurons) + spec.d_mlp)
}

impl Shard {
    /// The `index`-th of `of` parts, counted from 1.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such part.
    pub fn new(index: usize, of: usize) -> Result<Shard> {
        if index == 0 || index > of {
            let expected = "one from 1 on of as many as there are, such as 2/4";
            return Err(Error::invalid("shard", format!("{index}/{of}"), expected));
        }
        Ok(Shard { index, of })
    }

    /// Which part it is, counted from 1.
    pub fn index(self) -> usize {
        self.index
    }

    /// How many parts there are.
    pub fn of(self) -> usize {
        self.of
    }

    /// The folder's name.
    pub(super) fn folder(self) -> String {
        format!("{}-of-{}", self.index, self.of)
    }

    /// The shard whose folder has this name.
    pub(super) fn from_folder(name: &str) -> Option<Shard> {
        let (index, of) = name.split_once("-of-")?;
        let shard = Shard::new(index.parse().ok()?, of.parse().ok()?).ok()?;
        (shard.folder() == name).then_some(shard)
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Shard> {
        let parts =
            text.split_once('/').and_then(|(i, n)| Some((i.trim().parse().ok()?, n.trim().parse().ok()?)));
        let (index, of) =
            parts.ok_or_else(|| Error::invalid("shard", text, "i/n, such as 2/4 for the second of four"))?;
        Shard::new(index, of)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl Plan {
    /// Sorts the texts by tokens, so that those that begin alike stand together, and cuts them where a
    /// group would have more than `group_nodes` distinct tokens.
    pub fn new(seen: &[&[u32]], direction: AttentionDirection, group_nodes: usize) -> Plan {
        let mut order: Vec<usize> = (0..seen.len()).collect();
        order.sort_by(|a, b| seen[*a].cmp(seen[*b]).then(a.cmp(b)));
        let mut groups: Vec<Group> = Vec::new();
        for (at, &entity) in order.iter().enumerate() {
            let ids = seen[entity];
            let shared = match at.checked_sub(1) {
                Some(before) if direction == AttentionDirection::Causal => {
                    seen[order[before]].iter().zip(ids).take_while(|(a, b)| a == b).count()
                }
                _ => 0,
            };
            match groups.last_mut() {
                Some(group) if group.n_nodes + ids.len() - shared <= group_nodes => {
                    group.of.end = at + 1;
                    group.n_nodes += ids.len() - shared;
                }
                _ => groups.push(Group { of: at..at + 1, n_nodes: ids.len() }),
            }
        }
        Plan { order, groups }
    }

    /// The entities of a group, in the order of their tokens.
    pub fn group(&self, group: usize) -> &[usize] {
        &self.order[self.groups[group].of.clone()]
    }

    /// Tokens that go through the model for some groups.
    pub fn n_nodes(&self, groups: Range<usize>) -> usize {
        self.groups[groups].iter().map(|group| group.n_nodes).sum()
    }

    /// The groups of a part: a run of whole groups, with as even a share of the tokens as these allow.
    pub fn part(&self, shard: Option<Shard>) -> Range<usize> {
        let n = self.groups.len();
        let Some(Shard { index, of }) = shard else { return 0..n };
        let total = self.n_nodes(0..n) as u128;
        // A group belongs to the part in whose share its middle lies.
        let border = |part: usize| {
            let mut before = 0u128;
            let in_earlier = |group: &&Group| {
                let middle = 2 * before + group.n_nodes as u128;
                before += group.n_nodes as u128;
                middle * of as u128 <= 2 * total * part as u128
            };
            self.groups.iter().take_while(in_earlier).count()
        };
        border(index - 1)..border(index)
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
    fn groups_hold_every_entity_once_and_as_many_nodes_as_they_say() {
        for (seed, group_nodes) in [(1, 1), (2, 7), (3, 50), (4, 10_000)] {
            let texts = texts(seed);
            let seen: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
            for direction in [AttentionDirection::Causal, AttentionDirection::Bidirectional] {
                let plan = Plan::new(&seen, direction, group_nodes);
                let mut entities: Vec<usize> = Vec::new();
                for g in plan.part(None) {
                    let group: Vec<Vec<u32>> = plan.group(g).iter().map(|&i| texts[i].clone()).collect();
                    let (forest, _) = match direction {
                        AttentionDirection::Causal => Forest::of_texts(&group).unwrap(),
                        AttentionDirection::Bidirectional => Forest::of_chains(&group).unwrap(),
                    };
                    assert_eq!(plan.n_nodes(g..g + 1), forest.len());
                    assert!(forest.len() <= group_nodes || group.len() == 1);
                    entities.extend(plan.group(g));
                }
                entities.sort_unstable();
                assert_eq!(entities, (0..400).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn parts_are_runs_of_groups_that_join_to_all_and_are_even() {
        let texts = texts(5);
        let seen: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        for group_nodes in [3, 20, 10_000] {
            let plan = Plan::new(&seen, AttentionDirection::Bidirectional, group_nodes);
            let n_groups = plan.part(None).end;
            for of in [1, 2, 3, 7, 50] {
                let parts: Vec<_> = (1..=of).map(|i| plan.part(Some(Shard::new(i, of).unwrap()))).collect();
                assert_eq!((parts[0].start, parts[of - 1].end), (0, n_groups));
                assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
                let share = plan.n_nodes(0..n_groups) as f64 / of as f64;
                for part in parts {
                    let off = (plan.n_nodes(part) as f64 - share).abs();
                    assert!(off <= group_nodes.max(9) as f64, "{off} tokens off a share of {share}");
                }
            }
        }
    }

    #[test]
    fn a_shard_is_one_of_as_many_and_nothing_else() {
        assert_eq!("2/4".parse::<Shard>().unwrap(), Shard::new(2, 4).unwrap());
        let shard = Shard::new(12, 30).unwrap();
        assert_eq!(Shard::from_folder(&shard.folder()), Some(shard));
        assert_eq!(shard.to_string(), "12/30");
        for bad in ["0/4", "5/4", "2", "a/b", "-1/2", "1/0", ""] {
            assert!(bad.parse::<Shard>().unwrap_err().to_string().contains("2/4"), "{bad}");
        }
        for bad in ["0-of-4", "02-of-4", "2-of-4.tmp", "x"] {
            assert_eq!(Shard::from_folder(bad), None);
        }
    }

    #[test]
    fn wide_models_have_small_groups() {
        let sizes = |d_model: usize, n_heads: usize, d_mlp: usize| Sizes {
            d_model,
            n_layers: 2,
            n_heads,
            d_mlp,
            d_vocab: 100,
            n_context: 64,
        };
        let nodes = |sizes: Sizes| fitting(&Spec::llama(sizes), 2048);
        assert_eq!(nodes(sizes(128, 4, 384)), 2048);
        assert_eq!(nodes(sizes(1024, 16, 4096)), 2048);
        let (wide, wider) = (nodes(sizes(4096, 32, 11008)), nodes(sizes(8192, 64, 28672)));
        assert!(256 <= wider && wider < wide && wide < 2048, "{wide} and {wider}");
        let soon = |d_model: usize, n_layers: usize| {
            let sizes = Sizes { d_model, n_layers, n_heads: 8, d_mlp: 4 * d_model, d_vocab: 8, n_context: 8 };
            soon_done(&Spec::llama(sizes))
        };
        // 0.1, 1.1 and 12.9 thousand million weights.
        assert!(soon(576, 20) > 768);
        assert_eq!(soon(2048, 16), 448);
        assert_eq!(soon(5120, 30), 64);
    }
}
