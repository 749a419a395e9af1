//! The probability that a text continues with a name from a set: all tokens of the name count, not only the first.

use super::steer::SteerTexts;
use super::text_stats::log_probs_after;
use super::watched::CountedWork;
use crate::error::{Error, Result};
use crate::model::{Chain, Forest, Hook, Model};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU64;

/// Names with which a text may continue: a country and its cities, the words for an age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameSet {
    names: Vec<String>,
}

/// The approximate number of nodes in a pass: more would not be faster and would need more memory.
const NODES: usize = 2048;

/// The tokens of each name of a set after a text.
type Tokens = Vec<Vec<u32>>;
/// A text's tokens, and those of each set's names after it.
type Followed = (Vec<u32>, Vec<Tokens>);
/// One text's nodes for the names of a set: for each name the indices of its tokens' log-probabilities.
type Parts = Vec<Vec<usize>>;

impl NameSet {
    /// A set of names.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is empty.
    pub fn new(mut names: Vec<String>) -> Result<NameSet> {
        names.retain(|name| !name.trim().is_empty());
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            return Err(Error::invalid("names to search for", "none", "at least one name"));
        }
        Ok(NameSet { names })
    }

    /// The names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The tokens of each name after a text. A name is dropped if its tokens begin with those of another name, whose
    /// probability includes it, or if its first token merges with the text's last one.
    fn tokens_after(&self, model: &Model, text: &str) -> Result<Tokens> {
        let prompt = model.tokenizer.encode(text)?.ids;
        let mut all = Vec::new();
        for name in &self.names {
            let whole = model.tokenizer.encode(&format!("{text} {name}"))?.ids;
            if let Some(rest) = whole.strip_prefix(prompt.as_slice()).filter(|rest| !rest.is_empty()) {
                all.push(rest.to_vec());
            }
        }
        if all.is_empty() {
            let expected = "names whose tokens do not merge with the text's last one";
            return Err(Error::invalid(format!("names after `{text}`"), "none", expected));
        }
        all.sort_unstable();
        all.dedup_by(|later, earlier| later.starts_with(earlier));
        Ok(all)
    }

    /// The log-probability that each text continues with one of the names; each text is steered by its own changes.
    ///
    /// # Units
    /// Nats.
    ///
    /// # Errors
    /// As [`crate::model::Transformer::forward`]; [`Error::Invalid`] if no name can follow a text.
    pub fn log_probs(&self, model: &Model, texts: &[&str], steers: &SteerTexts) -> Result<Vec<f64>> {
        self.log_probs_counted(model, Steered { texts, steers }, &AtomicU64::new(0))
    }

    /// As [`NameSet::log_probs`]; adds the tokens that each block computes to `done`.
    pub(super) fn log_probs_counted(
        &self,
        model: &Model,
        steered: Steered,
        done: &AtomicU64,
    ) -> Result<Vec<f64>> {
        let each = NameSet::counted(std::slice::from_ref(self), model, steered, done)?;
        Ok(each.into_iter().map(|of_text| of_text[0]).collect())
    }

    /// The number of tokens that each block computes for the names after a text, without the text's own.
    pub(super) fn n_tokens(&self, model: &Model, text: &str) -> Result<usize> {
        let names = self.tokens_after(model, text)?;
        let begins = names.iter().flat_map(|name| (1..name.len()).map(|n| &name[..n]));
        Ok(begins.collect::<HashSet<_>>().len())
    }

    /// The log-probabilities of [`NameSet::log_probs`] for several sets, with several texts in one pass.
    ///
    /// # Shapes
    /// `[n_texts][n_sets]`.
    ///
    /// # Errors
    /// As [`NameSet::log_probs`].
    pub fn log_probs_of(
        sets: &[NameSet],
        model: &Model,
        texts: &[&str],
        steers: &SteerTexts,
    ) -> Result<Vec<Vec<f64>>> {
        NameSet::counted(sets, model, Steered { texts, steers }, &AtomicU64::new(0))
    }

    fn counted(
        sets: &[NameSet],
        model: &Model,
        Steered { texts, steers }: Steered,
        done: &AtomicU64,
    ) -> Result<Vec<Vec<f64>>> {
        let mut known: HashMap<&str, Followed> = HashMap::new();
        for text in texts {
            if !known.contains_key(text) {
                let names = sets.iter().map(|set| set.tokens_after(model, text));
                known.insert(text, (model.tokenizer.encode(text)?.ids, names.collect::<Result<_>>()?));
            }
        }
        let size = |(text, sets): &Followed| text.len() + sets.iter().flatten().map(Vec::len).sum::<usize>();
        let at_once = (NODES / known.values().map(size).max().unwrap_or(1)).max(1);
        let mut all = Vec::with_capacity(texts.len());
        for (i, texts) in texts.chunks(at_once).enumerate() {
            let mut hook = steers.part(i * at_once..i * at_once + texts.len());
            let followed: Vec<&Followed> = texts.iter().map(|text| &known[text]).collect();
            all.extend(log_probs(model, &followed, &mut Chain(&mut hook, &mut CountedWork(done)))?);
        }
        Ok(all)
    }
}

/// Texts, and the changes of each.
pub(super) struct Steered<'a> {
    pub(super) texts: &'a [&'a str],
    pub(super) steers: &'a SteerTexts,
}

/// The log-probability that each text continues with one of the names of each set, in one pass.
fn log_probs(model: &Model, followed: &[&Followed], hook: &mut dyn Hook) -> Result<Vec<Vec<f64>>> {
    let prompts: Vec<Vec<u32>> = followed.iter().map(|(prompt, _)| prompt.clone()).collect();
    let (mut forest, last) = Forest::of_chains(&prompts)?;
    let mut wanted = Vec::new();
    let mut parts: Vec<Vec<Parts>> = Vec::new();
    for ((_, sets), &last) in followed.iter().zip(&last) {
        // Names with a common prefix share its nodes; a name's last token needs no node, because no token follows it.
        let mut nodes: HashMap<(u32, u32), u32> = HashMap::new();
        let mut places: HashMap<(u32, u32), usize> = HashMap::new();
        let mut one = |name: &Vec<u32>| {
            let (mut node, mut of_name) = (last, Vec::new());
            for (i, &token) in name.iter().enumerate() {
                of_name.push(*places.entry((node, token)).or_insert_with(|| {
                    wanted.push((node, token));
                    wanted.len() - 1
                }));
                if i + 1 < name.len() {
                    node = *nodes.entry((node, token)).or_insert_with(|| forest.branch(node, token));
                }
            }
            of_name
        };
        let mut of_set = |names: &Tokens| names.iter().map(&mut one).collect();
        parts.push(sets.iter().map(&mut of_set).collect());
    }
    let log_probs = log_probs_after(&model.transformer, &forest, &wanted, hook)?;
    let of_name = |part: &Vec<usize>| part.iter().map(|i| log_probs[*i]).sum::<f64>().exp();
    let of_set = |names: &Parts| names.iter().map(of_name).sum::<f64>().ln();
    Ok(parts.iter().map(|of_text| of_text.iter().map(of_set).collect()).collect())
}
