//! How likely a text goes on with one of some names: whole names, not their first tokens.

use super::reply::log_probs_after;
use super::steer::SteerTexts;
use crate::error::{Error, Result};
use crate::model::{Forest, Model};
use std::collections::HashMap;

/// Names of which a text may go on with one: a country and its cities, the words for an age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameSet {
    names: Vec<String>,
}

/// Nodes of a pass, about: more would not be faster, and take memory.
const NODES: usize = 2048;

/// A prompt's tokens, and those of each name after it.
type Followed = (Vec<u32>, Vec<Vec<u32>>);
/// For each name, which of the wanted log-probabilities it is made of.
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
            return Err(Error::invalid("names to look for", "none", "at least one name"));
        }
        Ok(NameSet { names })
    }

    /// The names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The tokens of each name after a text; a name that begins with another whole one is part of that.
    fn tokens_after(&self, model: &Model, text: &str) -> Result<Followed> {
        let prompt = model.tokenizer.encode(text)?.ids;
        let mut all = Vec::new();
        for name in &self.names {
            let whole = model.tokenizer.encode(&format!("{text} {name}"))?.ids;
            if let Some(rest) = whole.strip_prefix(prompt.as_slice()).filter(|rest| !rest.is_empty()) {
                all.push(rest.to_vec());
            }
        }
        if all.is_empty() {
            let expected = "names whose tokens do not melt into the text's last one";
            return Err(Error::invalid(format!("names after `{text}`"), "none", expected));
        }
        all.sort_unstable();
        all.dedup_by(|later, earlier| later.starts_with(earlier));
        Ok((prompt, all))
    }

    /// The log-probability that each text goes on with one of the names, each text steered its own way.
    ///
    /// # Units
    /// Nats.
    ///
    /// # Errors
    /// As [`crate::model::Transformer::forward`]; [`Error::Invalid`] where no name can follow a text.
    pub fn log_probs(&self, model: &Model, texts: &[&str], steers: &SteerTexts) -> Result<Vec<f64>> {
        let mut known: HashMap<&str, Followed> = HashMap::new();
        for text in texts {
            if !known.contains_key(text) {
                known.insert(text, self.tokens_after(model, text)?);
            }
        }
        let size = |text: &&str| known[*text].0.len() + known[*text].1.iter().map(Vec::len).sum::<usize>();
        let at_once = (NODES / texts.iter().map(size).max().unwrap_or(1)).max(1);
        let mut all = Vec::with_capacity(texts.len());
        for (i, texts) in texts.chunks(at_once).enumerate() {
            let mut hook = steers.part(i * at_once..i * at_once + texts.len());
            let followed: Vec<&Followed> = texts.iter().map(|text| &known[text]).collect();
            all.extend(log_probs(model, &followed, &mut hook)?);
        }
        Ok(all)
    }
}

/// The log-probability that each prompt goes on with one of its names, all of them in one pass.
fn log_probs(model: &Model, followed: &[&Followed], hook: &mut SteerTexts) -> Result<Vec<f64>> {
    let prompts: Vec<Vec<u32>> = followed.iter().map(|(prompt, _)| prompt.clone()).collect();
    let (mut forest, last) = Forest::of_chains(&prompts)?;
    let mut wanted = Vec::new();
    let mut parts: Vec<Parts> = Vec::new();
    for ((_, names), &last) in followed.iter().zip(&last) {
        // Names that begin alike share their nodes; what follows a name's last token is not asked for.
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
        parts.push(names.iter().map(&mut one).collect());
    }
    let log_probs = log_probs_after(&model.transformer, &forest, &wanted, hook)?;
    let of_name = |part: &Vec<usize>| part.iter().map(|i| log_probs[*i]).sum::<f64>().exp();
    Ok(parts.iter().map(|names| names.iter().map(of_name).sum::<f64>().ln()).collect())
}
