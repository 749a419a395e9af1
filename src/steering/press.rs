//! Pressing units of a sparse dictionary: whether the names of what they stand for, and no others, come out.

use super::gazetteer::Gazetteer;
use super::names::NameSet;
use super::op::{Norm, Op};
use super::positions::{Positions, Where};
use super::reply::divergence;
use super::steer::{Steer, SteerTexts};
use crate::error::{Error, Result};
use crate::features::Dictionary;
use crate::model::{Callbacks, Continuation, Forest, Model, Prompts, generate_each};
use crate::results::PressRow;
use crate::tokenizer::EncodedPrompt;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// A unit and the group it is said to stand for.
#[derive(Debug, Clone, PartialEq)]
pub struct Pressed {
    /// The unit.
    pub unit: usize,
    /// Its greatest activation on the dataset.
    pub greatest: f64,
    /// The group's name.
    pub group: String,
    /// Texts to continue, none about an entity of the group.
    pub prompts: Vec<String>,
}

/// What is pressed, how far, and what is looked at.
#[derive(Debug, Clone)]
pub struct Press<'a> {
    /// The dictionary.
    pub dictionary: Arc<Dictionary>,
    /// The groups whose names are followed, and read out of texts.
    pub gazetteer: &'a Gazetteer,
    /// Multiples of each unit's greatest activation.
    pub times: &'a [f64],
    /// Other units that stand beside, their directions as long as the clamp's change.
    pub random: &'a [usize],
    /// Which tokens are changed.
    pub at: Where,
    /// How many tokens are generated.
    pub n_tokens: usize,
}

/// What one way of pressing made of all prompts.
struct Outcome {
    /// Log-probability of each group's name after each prompt, `[n_prompts][n_groups]`.
    log_probs: Vec<Vec<f64>>,
    /// The group that each text names first.
    named: Vec<Option<String>>,
    first_logits: Vec<Vec<f32>>,
}

impl Press<'_> {
    /// Presses one unit at each strength, and the random ones beside it: a row each.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the group is none of the gazetteer's, or a prompt cannot be encoded.
    pub fn rows(&self, model: &Model, pressed: &Pressed) -> Result<Vec<PressRow>> {
        let names = self.gazetteer.entries().iter().map(|(name, _)| NameSet::new(vec![name.clone()]));
        let names = names.collect::<Result<Vec<NameSet>>>()?;
        let own = self.gazetteer.entries().iter().position(|(name, _)| *name == pressed.group);
        let own = own.ok_or_else(|| Error::invalid("group", &pressed.group, "one that texts may name"))?;
        let plain = self.outcome(model, (pressed, &names), None)?;
        let mut rows = Vec::new();
        for &times in self.times {
            let target = times * pressed.greatest;
            let direction = self.dictionary.direction(pressed.unit);
            let length = target * f64::from(direction.dot(&direction)).sqrt();
            let mut ways = vec![("unit", pressed.unit, Op::clamp(&self.dictionary, pressed.unit, target)?)];
            for &unit in self.random {
                let direction = self.dictionary.direction(unit);
                let of_one = f64::from(direction.dot(&direction)).sqrt().max(f64::MIN_POSITIVE);
                ways.push(("random", unit, Op::add_unit(&self.dictionary, unit, length / of_one)?));
            }
            for (way, unit, op) in ways {
                let outcome = self.outcome(model, (pressed, &names), Some(&op))?;
                let row = row(pressed, own, (&plain, &outcome));
                rows.push(PressRow { way: way.into(), unit, times, ..row });
            }
        }
        Ok(rows)
    }

    fn hook(&self, model: &Model, framed: &[EncodedPrompt], op: Option<&Op>) -> Result<SteerTexts> {
        let one = |framed: &EncodedPrompt| match op {
            None => Ok(vec![]),
            Some(op) => {
                let what = (self.dictionary.hook_point, op.clone());
                let positions = Positions::new(&self.at, framed)?;
                Ok(vec![Steer::new(model.spec(), what, Norm::Free, positions)?])
            }
        };
        Ok(SteerTexts::new(framed.iter().map(one).collect::<Result<_>>()?))
    }

    fn outcome(
        &self,
        model: &Model,
        (pressed, names): (&Pressed, &[NameSet]),
        op: Option<&Op>,
    ) -> Result<Outcome> {
        let framed = pressed.prompts.iter().map(|text| model.tokenizer.encode_prompt(text, 0..text.len()));
        let framed = framed.collect::<Result<Vec<EncodedPrompt>>>()?;
        let ids: Vec<Vec<u32>> = framed.iter().map(|one| one.encoded.ids.clone()).collect();
        let continuation = Continuation::greedy(self.n_tokens).until_end(&model.tokenizer);
        let mut hook = self.hook(model, &framed, op)?;
        let (forest, last) = Forest::of_chains(&ids)?;
        let (prompts, callbacks) = (Prompts { forest, last }, Callbacks { hook: &mut hook, on_token: None });
        let texts = generate_each(&model.transformer, prompts, &continuation, callbacks)?;
        let named = texts.iter().map(|text| {
            let written = model.tokenizer.decode(text.written_ids())?;
            Ok(self.gazetteer.read(&written).map(|(name, _)| name.to_string()))
        });
        let prompts: Vec<&str> = pressed.prompts.iter().map(String::as_str).collect();
        let hook = self.hook(model, &framed, op)?;
        Ok(Outcome {
            named: named.collect::<Result<_>>()?,
            log_probs: NameSet::log_probs_of(names, (model, &prompts), &hook)?,
            first_logits: texts.into_iter().map(|text| text.first_logits).collect(),
        })
    }
}

/// What changed from the plain outcome to another.
fn row(pressed: &Pressed, own: usize, (plain, outcome): (&Outcome, &Outcome)) -> PressRow {
    let n_prompts = pressed.prompts.len();
    let n_groups = plain.log_probs[0].len();
    let mean = |values: &mut dyn Iterator<Item = f64>, n: usize| values.sum::<f64>() / n.max(1) as f64;
    let change = |group: usize| {
        let both = plain.log_probs.iter().zip(&outcome.log_probs);
        mean(&mut both.map(|(before, after)| after[group] - before[group]), n_prompts)
    };
    let changes: Vec<f64> = (0..n_groups).map(change).collect();
    let others = changes.iter().enumerate().filter(|(group, _)| *group != own).map(|(_, change)| *change);
    let names_it = |outcome: &Outcome| {
        let hits = outcome.named.iter().filter(|name| name.as_ref() == Some(&pressed.group)).count();
        hits as f64 / n_prompts.max(1) as f64
    };
    let kl = outcome.first_logits.iter().zip(&plain.first_logits).map(|(p, q)| divergence(p, q));
    PressRow {
        group: pressed.group.clone(),
        unit: pressed.unit,
        way: String::new(),
        times: 0.0,
        own: changes[own],
        others: mean(&mut others.clone(), n_groups - 1),
        rank: 1 + others.filter(|change| *change > changes[own]).count(),
        n_groups,
        named: names_it(outcome),
        named_before: names_it(plain),
        kl: mean(&mut { kl }, n_prompts),
        n_prompts,
    }
}

/// `n` units of some, drawn at random but for one, seeded; all of them where there are no more.
pub fn other_units(among: &[usize], unit: usize, (n, seed): (usize, u64)) -> Vec<usize> {
    let mut others: Vec<usize> = among.iter().copied().filter(|other| *other != unit).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    others.partial_shuffle(&mut rng, n).0.to_vec()
}
