//! The tokens of texts for a lens, divided by text into training rows and held-out rows.

use crate::error::Result;
use crate::model::Spec;
use crate::tokenizer::{Encoded, Tokenizer};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;
use std::ops::Range;

/// A text's tokens, and those that are rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LensText {
    pub ids: Vec<u32>,
    pub rows: Range<usize>,
}

/// Texts for fitting a lens, and held-out texts.
///
/// Special tokens, such as BOS, are not rows. In a causal model texts with a common prefix have the same stream there: a
/// training prefix counts once, and a held-out row is never one of a training text.
#[derive(Debug, Clone)]
pub struct LensTexts {
    pub(super) train: Vec<LensText>,
    pub(super) held_out: Vec<LensText>,
    /// The number of texts that were cut at the end of the model's context.
    pub n_cut: usize,
}

/// The beginnings of texts, as a prefix tree (trie).
#[derive(Default)]
struct Prefixes {
    children: HashMap<(usize, u32), usize>,
}

impl Prefixes {
    /// The number of first tokens that are the beginning of an added text.
    fn known(&self, ids: &[u32]) -> usize {
        let mut node = 0;
        ids.iter()
            .take_while(|id| self.children.get(&(node, **id)).map(|next| node = *next).is_some())
            .count()
    }

    fn add(&mut self, ids: &[u32]) {
        let mut node = 0;
        for id in ids {
            let next = self.children.len() + 1;
            node = *self.children.entry((node, *id)).or_insert(next);
        }
    }
}

impl LensTexts {
    /// Draws texts in random order, each held out with the probability `held_out`, until `n_tokens` training rows are
    /// reached; fewer texts give fewer rows.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a text that the tokenizer refuses.
    pub fn draw(
        spec: &Spec,
        tokenizer: &Tokenizer,
        mut texts: Vec<String>,
        draw: LensDraw,
    ) -> Result<LensTexts> {
        let LensDraw { n_tokens, held_out, seed } = draw;
        texts.sort();
        texts.dedup();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        texts.shuffle(&mut rng);
        let (mut seen, mut n_rows, mut n_cut) = (Prefixes::default(), 0, 0);
        let (mut train, mut out) = (Vec::new(), Vec::new());
        for text in texts {
            if n_rows >= n_tokens {
                break;
            }
            let is_out = rng.random::<f64>() < held_out;
            let encoded = tokenizer.encode(&text)?;
            n_cut += usize::from(encoded.ids.len() > spec.n_context);
            let mut text = LensText::of(encoded, spec.n_context);
            if is_out {
                out.push(text);
                continue;
            }
            text.rows.start = text.rows.start.max(seen.known(&text.ids)).min(text.rows.end);
            text.rows.end = text.rows.end.min(text.rows.start + n_tokens - n_rows);
            seen.add(&text.ids);
            n_rows += text.rows.len();
            train.push(text);
        }
        for text in &mut out {
            text.rows.start = text.rows.start.max(seen.known(&text.ids)).min(text.rows.end);
            // The last token has no next one to predict.
            text.rows.end = text.rows.end.saturating_sub(1).max(text.rows.start);
        }
        for texts in [&mut train, &mut out] {
            texts.retain(|text| !text.rows.is_empty());
            // Sorted, so that texts with a common prefix share a batch.
            texts.sort_by(|a, b| a.ids.cmp(&b.ids));
        }
        Ok(LensTexts { train, held_out: out, n_cut })
    }

    /// The number of training rows.
    pub fn n_train(&self) -> usize {
        self.train.iter().map(|text| text.rows.len()).sum()
    }

    /// The number of held-out rows.
    pub fn n_held_out(&self) -> usize {
        self.held_out.iter().map(|text| text.rows.len()).sum()
    }

    /// The numbers of training texts and of held-out texts.
    pub fn n_texts(&self) -> (usize, usize) {
        (self.train.len(), self.held_out.len())
    }

    /// The numbers that identify both sets of rows.
    pub fn fingerprint(&self) -> Vec<u8> {
        let of = |text: &LensText| {
            let numbers = [text.ids.len() as u32, text.rows.start as u32, text.rows.end as u32];
            numbers.into_iter().chain(text.ids.clone()).collect::<Vec<u32>>()
        };
        let sets = [&self.train, &self.held_out].into_iter().flat_map(|set| {
            std::iter::once(vec![set.len() as u32]).chain(set.iter().map(of)).collect::<Vec<_>>()
        });
        sets.flatten().flat_map(u32::to_le_bytes).collect()
    }
}

/// The number of training rows, the share of held-out texts, and the seed of the draw.
#[derive(Debug, Clone, Copy)]
pub struct LensDraw {
    /// The number of training rows.
    pub n_tokens: usize,
    /// The share of held-out texts.
    pub held_out: f64,
    /// The seed.
    pub seed: u64,
}

impl LensText {
    fn of(encoded: Encoded, n_context: usize) -> LensText {
        let n_before = encoded.n_special();
        let is_special = |(start, end): &&(usize, usize)| start == end;
        let n_after = encoded.offsets.iter().rev().take_while(is_special).count();
        let mut ids = encoded.ids;
        let end = ids.len().saturating_sub(n_after).min(n_context);
        ids.truncate(end);
        LensText { rows: n_before.min(end)..end, ids }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::model::Precision;
    use std::collections::HashSet;

    const NAMES: [&str; 6] = ["Oslo", "Paris", "Cairo", "Tokyo", "Madrid", "Vienna"];

    #[test]
    fn no_held_out_row_is_one_of_a_training_text_and_no_training_row_counts_twice() {
        let model = Model::bundled(Precision::F32).unwrap();
        let texts: Vec<String> =
            (0..300).map(|i| format!("{} north of Rome {i}, then Lima", NAMES[i % NAMES.len()])).collect();
        let draw = LensDraw { n_tokens: 400, held_out: 0.3, seed: 1 };
        let found = LensTexts::draw(model.spec(), &model.tokenizer, texts.clone(), draw).unwrap();
        assert_eq!(found.n_train(), 400);
        assert!(found.n_held_out() > 20);
        let prefixes = |texts: &[LensText]| -> Vec<Vec<u32>> {
            texts.iter().flat_map(|t| t.rows.clone().map(|at| t.ids[..=at].to_vec())).collect()
        };
        let (train, out) = (prefixes(&found.train), prefixes(&found.held_out));
        let distinct: HashSet<&Vec<u32>> = train.iter().collect();
        assert_eq!(distinct.len(), train.len());
        let of_training: HashSet<Vec<u32>> =
            found.train.iter().flat_map(|t| (0..t.ids.len()).map(|at| t.ids[..=at].to_vec())).collect();
        assert!(out.iter().all(|prefix| !of_training.contains(prefix)));
        assert!(found.held_out.iter().all(|t| t.rows.end < t.ids.len()));
        let again = LensTexts::draw(model.spec(), &model.tokenizer, texts, draw).unwrap();
        assert_eq!(found.fingerprint(), again.fingerprint());
    }
}
