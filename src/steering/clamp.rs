//! Clamping the latents of a sparse dictionary: the effect on the probability of their groups' names and of other
//! names.

use super::gazetteer::Gazetteer;
use super::name_set::NameSet;
use super::op::Op;
use super::positions::{TokenChoice, TokenPositions};
use super::steer::{SteerHook, SteerTexts};
use super::text_stats::divergence;
use crate::error::{Error, Result};
use crate::features::Dictionary;
use crate::model::{Callbacks, Continuation, Forest, Model, Prompts, generate_each};
use crate::results::ClampRow;
use crate::tokenizer::EncodedPrompt;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// A latent and the group that it represents.
#[derive(Debug, Clone, PartialEq)]
pub struct ClampedLatent {
    /// The latent.
    pub latent: usize,
    /// Its greatest activation on the dataset.
    pub greatest: f64,
    /// The group's name.
    pub group: String,
    /// Texts to continue; none is about an entity of the group.
    pub prompts: Vec<String>,
}

/// A trial: the levels at which latents are clamped, and the names whose probability is measured.
#[derive(Debug, Clone)]
pub struct ClampTrial<'a> {
    /// The dictionary.
    pub dictionary: Arc<Dictionary>,
    /// The groups whose names are measured: their probability, and their occurrence in texts.
    pub gazetteer: &'a Gazetteer,
    /// Multiples of each latent's greatest activation.
    pub times: &'a [f64],
    /// Other latents as a baseline: their directions are added, each scaled to the length of the clamped latent's
    /// direction times its level.
    pub random: &'a [usize],
    /// The tokens that are changed.
    pub at: TokenChoice,
    /// The number of tokens that are generated.
    pub n_tokens: usize,
}

/// The outcome of one change for all prompts.
struct Outcome {
    /// Log-probability of each group's name after each prompt, `[n_prompts][n_groups]`.
    log_probs: Vec<Vec<f64>>,
    /// The first group that each text names, if any.
    named: Vec<Option<String>>,
    first_logits: Vec<Vec<f32>>,
}

impl ClampTrial<'_> {
    /// Clamps one latent at each level, and computes the baseline of random latents: one row per change.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the gazetteer lacks the group, or a prompt cannot be encoded.
    pub fn rows(&self, model: &Model, clamped: &ClampedLatent) -> Result<Vec<ClampRow>> {
        let names = self.gazetteer.entries().iter().map(|(name, _)| NameSet::new(vec![name.clone()]));
        let names = names.collect::<Result<Vec<NameSet>>>()?;
        let own = self.gazetteer.entries().iter().position(|(name, _)| *name == clamped.group);
        let own = own.ok_or_else(|| Error::invalid("group", &clamped.group, "a group of the gazetteer"))?;
        let plain = self.outcome(model, clamped, &names, None)?;
        let mut rows = Vec::new();
        for &times in self.times {
            let target = times * clamped.greatest;
            let direction = self.dictionary.direction(clamped.latent);
            let length = target * f64::from(direction.dot(&direction)).sqrt();
            let mut changes =
                vec![("unit", clamped.latent, Op::clamp(&self.dictionary, clamped.latent, target)?)];
            for &latent in self.random {
                let direction = self.dictionary.direction(latent);
                let of_one = f64::from(direction.dot(&direction)).sqrt().max(f64::MIN_POSITIVE);
                changes.push(("random", latent, Op::add_latent(&self.dictionary, latent, length / of_one)?));
            }
            for (way, latent, op) in changes {
                let outcome = self.outcome(model, clamped, &names, Some(&op))?;
                let row = row(clamped, own, &plain, &outcome);
                rows.push(ClampRow { way: way.into(), unit: latent, times, ..row });
            }
        }
        Ok(rows)
    }

    fn hook(&self, model: &Model, prompts: &[EncodedPrompt], op: Option<&Op>) -> Result<SteerTexts> {
        let one = |prompts: &EncodedPrompt| match op {
            None => Ok(vec![]),
            Some(op) => {
                let positions = TokenPositions::new(&self.at, prompts)?;
                Ok(vec![SteerHook::new(model.spec(), self.dictionary.hook_point, op.clone(), positions)?])
            }
        };
        Ok(SteerTexts::new(prompts.iter().map(one).collect::<Result<_>>()?))
    }

    fn outcome(
        &self,
        model: &Model,
        clamped: &ClampedLatent,
        names: &[NameSet],
        op: Option<&Op>,
    ) -> Result<Outcome> {
        let prompts = clamped.prompts.iter().map(|text| model.tokenizer.encode_prompt(text, 0..text.len()));
        let prompts = prompts.collect::<Result<Vec<EncodedPrompt>>>()?;
        let ids: Vec<Vec<u32>> = prompts.iter().map(|one| one.encoded.ids.clone()).collect();
        let continuation = Continuation::greedy(self.n_tokens).until_end(model.tokenizer.end_tokens());
        let mut hook = self.hook(model, &prompts, op)?;
        let (forest, last) = Forest::of_chains(&ids)?;
        let (texts, callbacks) = (Prompts { forest, last }, Callbacks { hook: &mut hook, on_token: None });
        let texts = generate_each(&model.transformer, texts, &continuation, callbacks)?;
        let named = texts.iter().map(|text| {
            let written = model.tokenizer.decode(text.written_ids())?;
            Ok(self.gazetteer.read(&written).map(|(name, _)| name.to_string()))
        });
        let texts_before: Vec<&str> = clamped.prompts.iter().map(String::as_str).collect();
        let hook = self.hook(model, &prompts, op)?;
        Ok(Outcome {
            named: named.collect::<Result<_>>()?,
            log_probs: NameSet::log_probs_of(names, model, &texts_before, &hook)?,
            first_logits: texts.into_iter().map(|text| text.first_logits).collect(),
        })
    }
}

/// The row of an outcome, compared with that of the unclamped model.
fn row(clamped: &ClampedLatent, own: usize, plain: &Outcome, outcome: &Outcome) -> ClampRow {
    let n_prompts = clamped.prompts.len();
    let n_groups = plain.log_probs[0].len();
    let mean = |values: &mut dyn Iterator<Item = f64>, n: usize| values.sum::<f64>() / n.max(1) as f64;
    let change = |group: usize| {
        let both = plain.log_probs.iter().zip(&outcome.log_probs);
        mean(&mut both.map(|(before, after)| after[group] - before[group]), n_prompts)
    };
    let changes: Vec<f64> = (0..n_groups).map(change).collect();
    let others = changes.iter().enumerate().filter(|(group, _)| *group != own).map(|(_, change)| *change);
    let names_it = |outcome: &Outcome| {
        let hits = outcome.named.iter().filter(|name| name.as_ref() == Some(&clamped.group)).count();
        hits as f64 / n_prompts.max(1) as f64
    };
    let kl = outcome.first_logits.iter().zip(&plain.first_logits).map(|(p, q)| divergence(p, q));
    ClampRow {
        group: clamped.group.clone(),
        unit: clamped.latent,
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

/// `n` latents of `among` other than `latent`, drawn with a seed; all of them if there are fewer.
pub fn other_latents(among: &[usize], latent: usize, n: usize, seed: u64) -> Vec<usize> {
    let mut others: Vec<usize> = among.iter().copied().filter(|other| *other != latent).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    others.partial_shuffle(&mut rng, n).0.to_vec()
}
