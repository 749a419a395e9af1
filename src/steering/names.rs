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

/// The tokens of each name of a set after a text.
type Tokens = Vec<Vec<u32>>;

/// One text's nodes for the names of a set: for each name, which of the wanted log-probabilities it is made of.
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
            let expected = "names whose tokens do not melt into the text's last one";
            return Err(Error::invalid(format!("names after `{text}`"), "none", expected));
        }
        all.sort_unstable();
        all.dedup_by(|later, earlier| later.starts_with(earlier));
        Ok(all)
    }

    /// The log-probability that each text goes on with one of the names, each text steered its own way.
    ///
    /// # Units
    /// Nats.
    ///
    /// # Errors
    /// As [`crate::model::Transformer::forward`]; [`Error::Invalid`] where no name can follow a text.
    pub fn log_probs(&self, model: &Model, texts: &[&str], hook: &mut SteerTexts) -> Result<Vec<f64>> {
        let each = NameSet::log_probs_of(std::slice::from_ref(self), (model, texts), hook)?;
        Ok(each.into_iter().map(|of_text| of_text[0]).collect())
    }

    /// The same for several sets, in one pass.
    ///
    /// # Shapes
    /// `[n_texts][n_sets]`.
    ///
    /// # Errors
    /// As [`NameSet::log_probs`].
    pub fn log_probs_of(
        sets: &[NameSet],
        (model, texts): (&Model, &[&str]),
        hook: &mut SteerTexts,
    ) -> Result<Vec<Vec<f64>>> {
        let mut known: HashMap<&str, (Vec<u32>, Vec<Tokens>)> = HashMap::new();
        for text in texts {
            if !known.contains_key(text) {
                let names = sets.iter().map(|set| set.tokens_after(model, text));
                known.insert(text, (model.tokenizer.encode(text)?.ids, names.collect::<Result<_>>()?));
            }
        }
        let prompts: Vec<Vec<u32>> = texts.iter().map(|text| known[text].0.clone()).collect();
        let (mut forest, last) = Forest::of_chains(&prompts)?;
        let mut wanted = Vec::new();
        let mut parts: Vec<Vec<Parts>> = Vec::new();
        for (text, &last) in texts.iter().zip(&last) {
            let mut children: HashMap<(u32, u32), (u32, usize)> = HashMap::new();
            let mut one = |name: &Vec<u32>| {
                let (mut node, mut of_name) = (last, Vec::new());
                for &token in name {
                    let (next, i) = *children.entry((node, token)).or_insert_with(|| {
                        wanted.push((node, token));
                        (forest.branch(node, token), wanted.len() - 1)
                    });
                    of_name.push(i);
                    node = next;
                }
                of_name
            };
            let mut of_set = |names: &Tokens| names.iter().map(&mut one).collect();
            parts.push(known[text].1.iter().map(&mut of_set).collect());
        }
        let log_probs = log_probs_after(&model.transformer, &forest, &wanted, hook)?;
        let of_name = |part: &Vec<usize>| part.iter().map(|i| log_probs[*i]).sum::<f64>().exp();
        let of_set = |names: &Parts| names.iter().map(of_name).sum::<f64>().ln();
        Ok(parts.iter().map(|of_text| of_text.iter().map(of_set).collect()).collect())
    }
}
