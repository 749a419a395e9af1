//! Dose and response: what steering does to later readings, the next token and the text.

use super::direction::Direction;
use super::gazetteer::Gazetteer;
use super::layers::Layers;
use super::names::NameSet;
use super::op::{Along, Norm, Op};
use super::positions::{Positions, Where};
use super::reply::{divergence, log_probs_after, repetition};
use super::steer::{Steer, SteerTexts};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::{
    Callbacks, Capture, Chain, Continuation, Forest, Generation, Hook, Model, NoHook, Prompts, generate_each,
};
use crate::probes::ProbeSet;
use crate::results::SweepRow;
use crate::tokenizer::EncodedPrompt;
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::ops::Range;

/// Texts that are steered in one pass.
const AT_ONCE: usize = 1024;

/// What a direction of a sweep is.
#[derive(Debug, Clone, PartialEq)]
pub enum Way {
    /// The probe's, doses in the target's unit.
    Probe(Along),
    /// Another, by name, a direction a block; doses in multiples of the block's residual RMS norm.
    Along(String, BTreeMap<usize, Direction>),
}

impl Way {
    /// What rows call it.
    pub fn name(&self) -> &str {
        match self {
            Way::Probe(Along::Pattern) => "probe",
            Way::Probe(Along::Weights) => "weights",
            Way::Along(name, _) => name,
        }
    }
}

/// What a sweep varies at one layer, or at several that are moved together: directions and doses, over prompts.
#[derive(Debug, Clone)]
pub struct Sweep<'a> {
    /// What result rows call it: `place` or `year`.
    pub kind: &'a str,
    /// The probe set that gives directions and readings.
    pub probes: &'a ProbeSet,
    /// Which of its targets is moved.
    pub target: &'a str,
    /// The blocks whose outputs are moved, each by the dose.
    pub layers: &'a Layers,
    /// Along what; random directions are as long as the first of them.
    pub ways: &'a [Way],
    /// How far; 0 is among them.
    pub doses: &'a [f64],
    /// The texts that are continued.
    pub prompts: &'a [String],
    /// The part of each text that it is about; where there are none, the whole text.
    pub parts: &'a [Range<usize>],
    /// Which tokens are changed.
    pub at: Where,
    /// How many random directions stand beside the others.
    pub n_random: u64,
    /// How many tokens are generated.
    pub n_tokens: usize,
    /// The names whose probability is followed.
    pub names: Option<&'a NameSet>,
    /// What reads an answer out of the text.
    pub gazetteer: Option<&'a Gazetteer>,
}

/// How far a sweep is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepProgress {
    /// Texts done.
    pub n_done: usize,
    /// Texts in all.
    pub n: usize,
}

/// One steered text: its prompt, direction and dose.
struct Variant<'a> {
    prompt: usize,
    direction: &'a str,
    seed: u64,
    dose: f64,
    /// What is done after each block.
    ops: Vec<(usize, Op)>,
}

impl Sweep<'_> {
    /// The number of texts it generates.
    pub fn len(&self) -> usize {
        self.prompts.len() * self.doses.len() * (self.ways.len() + self.n_random as usize)
    }

    /// Whether it generates none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn check(&self, model: &Model) -> Result<()> {
        if !self.doses.contains(&0.0) {
            let found = format!("{:?}", self.doses);
            return Err(Error::invalid("doses of a sweep", found, "doses with 0 among them"));
        }
        self.layers.check(model.spec().n_layers)?;
        if self.ways.is_empty() || self.prompts.is_empty() {
            return Err(Error::invalid("sweep", "nothing to vary", "at least one direction and one prompt"));
        }
        let (found, expected) = (&self.probes.about.model, &model.name);
        if found != expected {
            let found = format!("a probe of the model `{found}`");
            return Err(Error::invalid("probes", found, format!("probes of `{expected}`, which is steered")));
        }
        Ok(())
    }

    /// What one direction does at one dose, at each of the blocks.
    fn ops(&self, way: &Way, dose: f64) -> Result<Vec<(usize, Op)>> {
        let target = self.probes.target(self.target)?;
        let one = |&block: &usize| {
            let stored = self.probes.get(HookPoint::ResidPost(block))?;
            let op = match way {
                Way::Probe(along) => {
                    let mut deltas = vec![0.0; stored.probe.n_targets()];
                    deltas[target] = dose;
                    Op::shift_along(*along, stored, &deltas)?
                }
                Way::Along(name, directions) => {
                    let direction = directions.get(&block).ok_or_else(|| {
                        let expected = format!("a direction for each of the blocks {}", self.layers);
                        Error::invalid(format!("direction `{name}`"), format!("none for {block}"), expected)
                    })?;
                    Op::add(direction, dose, stored.stream.resid_rms)
                }
            };
            Ok((block, op))
        };
        self.layers.blocks().iter().map(one).collect()
    }

    /// The same random direction at each of the blocks, as long there as the first direction's change.
    fn random_ops(&self, seed: u64, dose: f64) -> Result<Vec<(usize, Op)>> {
        let as_long = |(block, op): (usize, Op)| {
            let length = op.length().unwrap_or(0.0) * dose.signum();
            Ok((block, Op::Add(Direction::random(op.width(), seed)?.times(length))))
        };
        self.ops(&self.ways[0], dose)?.into_iter().map(as_long).collect()
    }

    /// What each text does, prompt by prompt; the first of a prompt's is at dose 0.
    fn variants(&self) -> Result<Vec<Variant<'_>>> {
        let mut doses = self.doses.to_vec();
        doses.sort_by_key(|dose| *dose != 0.0);
        let mut all = Vec::new();
        for prompt in 0..self.prompts.len() {
            for way in self.ways {
                for &dose in &doses {
                    let ops = self.ops(way, dose)?;
                    all.push(Variant { prompt, direction: way.name(), seed: 0, dose, ops });
                }
            }
            for seed in 1..=self.n_random {
                for &dose in &doses {
                    let ops = self.random_ops(seed, dose)?;
                    all.push(Variant { prompt, direction: "random", seed, dose, ops });
                }
            }
        }
        Ok(all)
    }
}

/// Runs the sweep: one row for each prompt, direction, dose and layer from the first steered one on.
///
/// All texts run side by side, in one pass a token. Random directions move the stream by a vector of the same
/// length as the first direction's at the same dose.
///
/// # Errors
/// [`Error::Invalid`] if a layer has no probe, the probes are of another model, 0 is not among the doses, or a
/// prompt cannot be encoded.
pub fn sweep(model: &Model, plan: &Sweep, progress: &mut dyn FnMut(SweepProgress)) -> Result<Vec<SweepRow>> {
    plan.check(model)?;
    let part = |i: usize| plan.parts.get(i).cloned().unwrap_or(0..plan.prompts[i].len());
    let framed = (0..plan.prompts.len()).map(|i| model.tokenizer.encode_prompt(&plan.prompts[i], part(i)));
    let framed = framed.collect::<Result<Vec<EncodedPrompt>>>()?;
    let variants = plan.variants()?;
    let of_prompt = variants.len() / plan.prompts.len();
    let at_once = (AT_ONCE / of_prompt).max(1) * of_prompt; // whole prompts, each with its dose 0
    let mut rows = Vec::new();
    for variants in variants.chunks(at_once) {
        rows.extend(Pass { model, plan, framed: &framed, variants }.rows(of_prompt)?);
        progress(SweepProgress { n_done: rows.len() / later(plan, model).len(), n: plan.len() });
    }
    Ok(rows)
}

/// Where readings are taken: from the first steered layer on.
fn later(plan: &Sweep, model: &Model) -> Vec<HookPoint> {
    (plan.layers.first()..model.spec().n_layers).map(HookPoint::ResidPost).collect()
}

/// Some whole prompts' texts.
struct Pass<'a> {
    model: &'a Model,
    plan: &'a Sweep<'a>,
    framed: &'a [EncodedPrompt],
    variants: &'a [Variant<'a>],
}

impl Pass<'_> {
    fn hook(&self) -> Result<SteerTexts> {
        let one = |v: &Variant| {
            let positions = Positions::new(&self.plan.at, &self.framed[v.prompt])?;
            let at_block = |(block, op): &(usize, Op)| {
                let what = (HookPoint::ResidPost(*block), op.clone());
                Steer::new(self.model.spec(), what, Norm::Free, positions.clone())
            };
            v.ops.iter().map(at_block).collect()
        };
        Ok(SteerTexts::new(self.variants.iter().map(one).collect::<Result<_>>()?))
    }

    fn rows(&self, of_prompt: usize) -> Result<Vec<SweepRow>> {
        let (model, plan) = (self.model, self.plan);
        let later = later(plan, model);
        let ids: Vec<Vec<u32>> =
            self.variants.iter().map(|v| self.framed[v.prompt].encoded.ids.clone()).collect();
        let (forest, last) = Forest::of_chains(&ids)?;
        let mut steer = self.hook()?;
        let mut readings = FirstPass { capture: Capture::nodes(&later, &last)?, is_first: true };
        let continuation = Continuation::greedy(plan.n_tokens).until_end(&model.tokenizer);
        let mut hook = Chain(&mut steer, &mut readings);
        let (prompts, callbacks) = (Prompts { forest, last }, Callbacks { hook: &mut hook, on_token: None });
        let texts = generate_each(&model.transformer, prompts, &continuation, callbacks)?;
        let perplexities = perplexities(model, &texts)?;
        let names = match plan.names {
            Some(set) => {
                let prompts: Vec<&str> =
                    self.variants.iter().map(|v| self.framed[v.prompt].text.as_str()).collect();
                set.log_probs(model, &prompts, &steer)?.into_iter().map(Some).collect()
            }
            None => vec![None; texts.len()],
        };
        let read = later.iter().map(|at| Ok((*at, readings.capture.get(*at)?.clone())));
        let read = read.collect::<Result<Vec<(HookPoint, Tensor)>>>()?;
        let mut rows = Vec::new();
        for (i, text) in texts.iter().enumerate() {
            let unsteered = &texts[i / of_prompt * of_prompt];
            let kl = divergence(&text.first_logits, &unsteered.first_logits);
            let of_text = self.row(i, text, (kl, perplexities[i], names[i]))?;
            for (at, values) in &read {
                let reading = self.reading(*at, &values.get(i)?.to_vec1::<f32>()?)?;
                rows.push(SweepRow { read_layer: at.layer(), reading, ..of_text.clone() });
            }
        }
        Ok(rows)
    }

    fn reading(&self, at: HookPoint, activation: &[f32]) -> Result<f64> {
        let target = self.plan.probes.target(self.plan.target)?;
        Ok(self.plan.probes.get(at)?.probe.read_row(activation)[target])
    }

    /// A text's row but for its readings.
    fn row(
        &self,
        i: usize,
        text: &Generation,
        (kl, perplexity, names_log_prob): (f64, Option<f64>, Option<f64>),
    ) -> Result<SweepRow> {
        let (plan, v) = (self.plan, &self.variants[i]);
        let written = self.model.tokenizer.decode(text.written_ids())?;
        let target = plan.probes.target(plan.target)?;
        let named = plan.gazetteer.and_then(|gazetteer| gazetteer.read(&written));
        Ok(SweepRow {
            kind: plan.kind.to_string(),
            prompt: plan.prompts[v.prompt].clone(),
            layers: plan.layers.to_string(),
            direction: v.direction.to_string(),
            seed: v.seed,
            target: plan.target.to_string(),
            dose: v.dose,
            read_layer: 0,
            reading: 0.0,
            kl,
            perplexity,
            repetition: repetition(text.new_ids()),
            names_log_prob,
            named: named.map(|(name, _)| name.to_string()).unwrap_or_default(),
            named_value: named.map(|(_, values)| values[target]),
            text: written,
        })
    }
}

/// Reads the prompts, and looks away from what is generated.
struct FirstPass {
    capture: Capture,
    is_first: bool,
}

impl Hook for FirstPass {
    fn begin(&mut self, forest: &Forest) -> Result<()> {
        self.is_first = forest.n_past() == 0;
        Ok(())
    }

    fn at(&mut self, point: HookPoint, stream: Tensor) -> Result<Tensor> {
        if self.is_first { self.capture.at(point, stream) } else { Ok(stream) }
    }
}

/// The perplexity of each text's new tokens under the unsteered model; `None` where there are none.
fn perplexities(model: &Model, texts: &[Generation]) -> Result<Vec<Option<f64>>> {
    let ids: Vec<Vec<u32>> = texts.iter().map(|text| text.ids.clone()).collect();
    let (forest, last) = Forest::of_texts(&ids)?;
    let mut wanted = Vec::new();
    for (text, last) in texts.iter().zip(&last) {
        let path = forest.path(*last);
        wanted.extend((text.n_prompt..text.ids.len()).map(|i| (path[i - 1], text.ids[i])));
    }
    let all = log_probs_after(&model.transformer, &forest, &wanted, &mut NoHook)?;
    let mut rest = all.as_slice();
    let one = |text: &Generation| {
        let (own, others) = rest.split_at(text.new_ids().len());
        rest = others;
        (!own.is_empty()).then(|| (-own.iter().sum::<f64>() / own.len() as f64).exp())
    };
    Ok(texts.iter().map(one).collect())
}
