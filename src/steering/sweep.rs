//! Dose–response sweeps: the effect of steering on readings at later layers, on the next token and on the text.

use super::direction::UnitDirection;
use super::gazetteer::Gazetteer;
use super::layer_set::LayerSet;
use super::name_set::{NameSet, Steered};
use super::op::{Basis, Op};
use super::positions::{TokenChoice, TokenPositions};
use super::steer::{SteerHook, SteerTexts};
use super::text_stats::{divergence, repetition, token_log_probs};
use super::watched::{CountedWork, watched};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::limits::{RANDOM, check_memory, product};
use crate::model::{
    Callbacks, Capture, Chain, Continuation, Forest, Generation, Hook, Model, Prompts, generate_each,
};
use crate::probes::ProbeSet;
use crate::progress::{Observer, Progress};
use crate::results::SweepRow;
use crate::tokenizer::EncodedPrompt;
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::AtomicU64;

/// Maximum number of texts in one pass; if one prompt alone has more variants, these are one pass.
const AT_ONCE: usize = 1024;

/// A direction of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub enum SweepDirection {
    /// The probe's direction; doses are in the target's unit.
    Probe(Basis),
    /// A named direction, one vector per block; doses are in multiples of the block's residual RMS norm.
    Named(String, BTreeMap<usize, UnitDirection>),
}

impl SweepDirection {
    /// The direction's name in result rows.
    pub fn name(&self) -> &str {
        match self {
            SweepDirection::Probe(Basis::Pattern) => "probe",
            SweepDirection::Probe(Basis::Weights) => "weights",
            SweepDirection::Named(name, _) => name,
        }
    }
}

/// The plan of a sweep at one layer, or at several layers together: directions, doses and prompts.
#[derive(Debug, Clone)]
pub struct DoseSweep<'a> {
    /// The kind of target in result rows: `place`, `year` or `quantity`.
    pub kind: &'a str,
    /// The probe set that gives directions and readings.
    pub probes: &'a ProbeSet,
    /// The target that is moved.
    pub target: &'a str,
    /// The blocks whose outputs are changed, each by the full dose.
    pub layers: &'a LayerSet,
    /// The directions; random directions have the length of the first one's change.
    pub directions: &'a [SweepDirection],
    /// The doses, which must include 0.
    pub doses: &'a [f64],
    /// The texts that are continued.
    pub prompts: &'a [String],
    /// The subject of each text, such as the entity; if the list is empty, the whole texts.
    pub parts: &'a [Range<usize>],
    /// The tokens that are changed.
    pub at: TokenChoice,
    /// The number of random directions, as a baseline.
    pub n_random: u64,
    /// The number of tokens that are generated.
    pub n_tokens: usize,
    /// The names whose probability is computed.
    pub names: Option<&'a NameSet>,
    /// The names that are searched for in each text; the first occurrence counts.
    pub gazetteer: Option<&'a Gazetteer>,
}

/// One steered text: its prompt, direction and dose.
struct Variant<'a> {
    prompt: usize,
    direction: &'a str,
    seed: u64,
    dose: f64,
    /// The changes, each at the output of a block.
    ops: Vec<(usize, Op)>,
}

/// Refuses doses that are not finite, or that do not include 0.
///
/// # Errors
/// [`Error::Invalid`] with the doses.
pub fn check_doses(doses: &[f64]) -> Result<()> {
    if let Some(dose) = doses.iter().find(|dose| !dose.is_finite()) {
        return Err(Error::invalid("doses of a sweep", dose, "finite numbers"));
    }
    match doses.contains(&0.0) {
        true => Ok(()),
        false => Err(Error::invalid("doses of a sweep", format!("{doses:?}"), "doses that include 0")),
    }
}

impl DoseSweep<'_> {
    /// The number of texts it generates.
    pub fn len(&self) -> usize {
        let n_directions = self.directions.len().saturating_add(self.n_random as usize);
        product([self.prompts.len(), self.doses.len(), n_directions]) as usize
    }

    /// True if it generates none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn check(&self, model: &Model) -> Result<()> {
        RANDOM.check("--random", self.n_random)?;
        let changes =
            product([self.len(), self.layers.blocks().len(), model.spec().d_model, size_of::<f64>()]);
        check_memory("the changes of a sweep", changes, "sweep fewer doses, prompts or --random directions")?;
        check_doses(self.doses)?;
        self.layers.check(model.spec().n_layers)?;
        if self.directions.is_empty() || self.prompts.is_empty() {
            return Err(Error::invalid("sweep", "no direction or no prompt", "at least one of each"));
        }
        let (found, expected) = (&self.probes.about.model, &model.name);
        if found != expected {
            let found = format!("a probe of the model `{found}`");
            return Err(Error::invalid("probes", found, format!("probes of the steered model `{expected}`")));
        }
        Ok(())
    }

    /// The changes of one direction at one dose, at each of the blocks.
    fn ops(&self, direction: &SweepDirection, dose: f64) -> Result<Vec<(usize, Op)>> {
        let target = self.probes.target(self.target)?;
        let one = |&block: &usize| {
            let stored = self.probes.get(HookPoint::ResidPost(block))?;
            let op = match direction {
                SweepDirection::Probe(basis) => {
                    let mut deltas = vec![0.0; stored.probe.n_targets()];
                    deltas[target] = dose;
                    Op::shift_along(*basis, stored, &deltas)?
                }
                SweepDirection::Named(name, directions) => {
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

    /// The changes of one random direction; at each block they have the length of the first direction's change.
    fn random_ops(&self, seed: u64, dose: f64) -> Result<Vec<(usize, Op)>> {
        let as_long = |(block, op): (usize, Op)| {
            let length = op.length().unwrap_or(0.0) * dose.signum();
            Ok((block, Op::Add(UnitDirection::random(op.width(), seed)?.times(length))))
        };
        self.ops(&self.directions[0], dose)?.into_iter().map(as_long).collect()
    }

    /// The variants of all prompts, grouped by prompt; a prompt's first variant has dose 0.
    fn variants(&self) -> Result<Vec<Variant<'_>>> {
        let mut doses = self.doses.to_vec();
        doses.sort_by_key(|dose| *dose != 0.0);
        let mut all = Vec::new();
        for prompt in 0..self.prompts.len() {
            for direction in self.directions {
                for &dose in &doses {
                    let ops = self.ops(direction, dose)?;
                    all.push(Variant { prompt, direction: direction.name(), seed: 0, dose, ops });
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

/// Runs the sweep: one row per prompt, direction, dose and layer, from the first steered layer on.
///
/// About a thousand texts are generated in parallel, with one pass per token. Random directions change the stream by a
/// vector of the same length as the first direction's at the same dose.
///
/// # Errors
/// [`Error::Invalid`] if a layer has no probe, the probes belong to another model, the doses do not include 0, or a
/// prompt cannot be encoded.
pub fn sweep(model: &Model, plan: &DoseSweep, observer: &mut dyn Observer) -> Result<Vec<SweepRow>> {
    plan.check(model)?;
    let part = |i: usize| plan.parts.get(i).cloned().unwrap_or(0..plan.prompts[i].len());
    let framed = (0..plan.prompts.len()).map(|i| model.tokenizer.encode_prompt(&plan.prompts[i], part(i)));
    let framed = framed.collect::<Result<Vec<EncodedPrompt>>>()?;
    let variants = plan.variants()?;
    let of_prompt = variants.len() / plan.prompts.len();
    let at_once = (AT_ONCE / of_prompt).max(1) * of_prompt; // whole prompts with their dose 0
    let stage = format!("layer {}", plan.layers);
    let per_text = plan.n_tokens.max(1);
    let total = product([plan.len(), per_text]);
    let mut report = |done| observer.progress(&Progress::counted(&stage, done, total));
    report(0);
    let (mut rows, mut before) = (Vec::new(), 0);
    for variants in variants.chunks(at_once) {
        let pass = Pass { model, plan, framed: &framed, variants };
        let tokens = product([variants.len(), per_text]);
        // The progress in tokens; below 100 % until the pass has ended, since the expected work is an estimate.
        let done = |share: f64| (tokens as f64 * share.min(0.99)) as u64;
        rows.extend(pass.watched(of_prompt, &mut |share| report(before + done(share)))?);
        before += tokens;
        report(before);
    }
    Ok(rows)
}

/// The hook points of the readings: from the first steered layer on.
fn read_points(plan: &DoseSweep, model: &Model) -> Vec<HookPoint> {
    (plan.layers.first()..model.spec().n_layers).map(HookPoint::ResidPost).collect()
}

/// One pass: the texts of some prompts, with all variants of each.
struct Pass<'a> {
    model: &'a Model,
    plan: &'a DoseSweep<'a>,
    framed: &'a [EncodedPrompt],
    variants: &'a [Variant<'a>],
}

impl Pass<'_> {
    fn hook(&self) -> Result<SteerTexts> {
        let one = |v: &Variant| {
            let positions = TokenPositions::new(&self.plan.at, &self.framed[v.prompt])?;
            let at_block = |(block, op): &(usize, Op)| {
                SteerHook::new(self.model.spec(), HookPoint::ResidPost(*block), op.clone(), positions.clone())
            };
            v.ops.iter().map(at_block).collect()
        };
        Ok(SteerTexts::new(self.variants.iter().map(one).collect::<Result<_>>()?))
    }

    /// The rows of the pass; `report` receives the completed share of the work several times per second.
    fn watched(&self, of_prompt: usize, report: &mut dyn FnMut(f64)) -> Result<Vec<SweepRow>> {
        let expected = self.expected_work()?.max(1) as f64;
        watched(|done| self.rows(of_prompt, done), &mut |done| report(done as f64 / expected))
    }

    /// An estimate of the tokens that all blocks compute: each prompt once, each generated token with steering and
    /// again without (for the perplexity), and the prompts once more with all names after them.
    fn expected_work(&self) -> Result<u64> {
        let prompts: usize = self.variants.iter().map(|v| self.framed[v.prompt].encoded.ids.len()).sum();
        let generated = self.variants.len().saturating_mul(self.plan.n_tokens);
        let names = match (self.plan.names, self.plan.prompts.first()) {
            // The names have about as many tokens after each prompt.
            (Some(set), Some(first)) => {
                prompts + self.variants.len().saturating_mul(set.n_tokens(self.model, first)?)
            }
            _ => 0,
        };
        let tokens = prompts.saturating_add(2 * generated).saturating_add(names);
        Ok(product([self.model.spec().n_layers, tokens]))
    }

    fn rows(&self, of_prompt: usize, done: &AtomicU64) -> Result<Vec<SweepRow>> {
        let (model, plan) = (self.model, self.plan);
        let points = read_points(plan, model);
        let ids: Vec<Vec<u32>> =
            self.variants.iter().map(|v| self.framed[v.prompt].encoded.ids.clone()).collect();
        let (forest, last) = Forest::of_chains(&ids)?;
        let mut steer = self.hook()?;
        let mut readings =
            FirstPass { capture: Capture::nodes(&points, &last)?, is_first: true, work: CountedWork(done) };
        let continuation = Continuation::greedy(plan.n_tokens).until_end(model.tokenizer.end_tokens());
        let mut hook = Chain(&mut steer, &mut readings);
        let (prompts, callbacks) = (Prompts { forest, last }, Callbacks { hook: &mut hook, on_token: None });
        let texts = generate_each(&model.transformer, prompts, &continuation, callbacks)?;
        let perplexities = perplexities(model, &texts, &mut CountedWork(done))?;
        let names = match plan.names {
            Some(set) => {
                let prompts: Vec<&str> =
                    self.variants.iter().map(|v| self.framed[v.prompt].text.as_str()).collect();
                set.log_probs_counted(model, Steered { texts: &prompts, steers: &steer }, done)?
                    .into_iter()
                    .map(Some)
                    .collect()
            }
            None => vec![None; texts.len()],
        };
        let read = points.iter().map(|at| Ok((*at, readings.capture.get(*at)?.clone())));
        let read = read.collect::<Result<Vec<(HookPoint, Tensor)>>>()?;
        let mut rows = Vec::new();
        for (i, text) in texts.iter().enumerate() {
            let unsteered = &texts[i / of_prompt * of_prompt];
            let kl = divergence(&text.first_logits, &unsteered.first_logits);
            let scores = TextScores { kl, perplexity: perplexities[i], names_log_prob: names[i] };
            let of_text = self.row(i, text, scores)?;
            for (at, values) in &read {
                let reading = self.reading(*at, &values.get(i)?.to_vec1::<f32>()?)?;
                rows.push(SweepRow { read_layer: at.layer(), reading, ..of_text.clone() });
            }
        }
        Ok(rows)
    }

    fn reading(&self, at: HookPoint, activation: &[f32]) -> Result<f64> {
        let target = self.plan.probes.target(self.plan.target)?;
        Ok(self.plan.probes.get(at)?.probe.predict_row(activation)[target])
    }

    /// A text's row, without its readings.
    fn row(&self, i: usize, text: &Generation, scores: TextScores) -> Result<SweepRow> {
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
            kl: scores.kl,
            perplexity: scores.perplexity,
            repetition: repetition(text.new_ids()),
            names_log_prob: scores.names_log_prob,
            named: named.map(|(name, _)| name.to_string()).unwrap_or_default(),
            named_value: named.map(|(_, values)| values[target]),
            text: written,
        })
    }
}

/// The scores of one text.
struct TextScores {
    kl: f64,
    perplexity: Option<f64>,
    names_log_prob: Option<f64>,
}

/// Captures the activations of the prompts, and ignores those of generated tokens.
struct FirstPass<'a> {
    capture: Capture,
    is_first: bool,
    work: CountedWork<'a>,
}

impl Hook for FirstPass<'_> {
    fn begin(&mut self, forest: &Forest) -> Result<()> {
        self.is_first = forest.n_past() == 0;
        Ok(())
    }

    fn at(&mut self, point: HookPoint, stream: Tensor) -> Result<Tensor> {
        let stream = self.work.at(point, stream)?;
        if self.is_first { self.capture.at(point, stream) } else { Ok(stream) }
    }
}

/// The perplexity of each text's new tokens under the unsteered model; `None` without new tokens.
fn perplexities(model: &Model, texts: &[Generation], hook: &mut dyn Hook) -> Result<Vec<Option<f64>>> {
    let one = |own: Vec<f64>| (!own.is_empty()).then(|| (-own.iter().sum::<f64>() / own.len() as f64).exp());
    Ok(token_log_probs(model, texts, hook)?.into_iter().map(one).collect())
}
