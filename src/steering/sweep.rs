//! Dose and response: what steering does to later readings, the next token and the text.

use super::direction::Direction;
use super::gazetteer::Gazetteer;
use super::names::NameSet;
use super::op::{Along, Norm, Op};
use super::positions::{Positions, Where};
use super::reply::{divergence, log_probs_after, repetition};
use super::steer::{Steer, SteerTexts};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::{
    Both, Capture, Continuation, Forest, Framed, Generation, Hook, Model, Next, Untouched, generate_each,
};
use crate::probes::{ProbeSet, StoredProbe};
use crate::results::SweepRow;
use candle_core::Tensor;

/// Texts that are steered in one pass.
const AT_ONCE: usize = 1024;

/// What a direction of a sweep is.
#[derive(Debug, Clone, PartialEq)]
pub enum Way {
    /// The probe's, doses in the target's unit.
    Probe(Along),
    /// Another, by name; doses in multiples of the layer's residual RMS norm.
    Along(String, Direction),
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

/// What a sweep varies at one layer: directions and doses, over prompts.
#[derive(Debug, Clone)]
pub struct Sweep<'a> {
    /// What result rows call it: `place` or `year`.
    pub kind: &'a str,
    /// The probe set that gives directions and readings.
    pub probes: &'a ProbeSet,
    /// Which of its targets is moved.
    pub target: &'a str,
    /// The block whose output is moved.
    pub layer: usize,
    /// Along what; random directions are as long as the first of them.
    pub ways: &'a [Way],
    /// How far; 0 is among them.
    pub doses: &'a [f64],
    /// The texts that are continued.
    pub prompts: &'a [String],
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
    op: Op,
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

    /// What each text does, prompt by prompt; the first of a prompt's is at dose 0.
    fn variants(&self, stored: &StoredProbe) -> Result<Vec<Variant<'_>>> {
        let target = self.probes.target(self.target)?;
        let op = |way: &Way, dose: f64| match way {
            Way::Probe(along) => {
                let mut deltas = vec![0.0; stored.probe.n_targets()];
                deltas[target] = dose;
                Op::shift_along(*along, stored, &deltas)
            }
            Way::Along(_, direction) => Ok(Op::add(direction, dose, stored.stream.resid_rms)),
        };
        let mut doses = self.doses.to_vec();
        doses.sort_by_key(|dose| *dose != 0.0);
        let mut all = Vec::new();
        for prompt in 0..self.prompts.len() {
            for way in self.ways {
                for &dose in &doses {
                    all.push(Variant { prompt, direction: way.name(), seed: 0, dose, op: op(way, dose)? });
                }
            }
            for seed in 1..=self.n_random {
                for &dose in &doses {
                    let length = op(&self.ways[0], dose)?.length().unwrap_or(0.0) * dose.signum();
                    let op = Op::Add(Direction::random(stored.probe.d_model(), seed)?.times(length));
                    all.push(Variant { prompt, direction: "random", seed, dose, op });
                }
            }
        }
        Ok(all)
    }
}

/// Runs the sweep: one row for each prompt, direction, dose and layer from the steered one on.
///
/// All texts run side by side, in one pass a token. Random directions move the stream by a vector of the same
/// length as the first direction's at the same dose.
///
/// # Errors
/// [`Error::Invalid`] if a layer has no probe, the probes are of another model, 0 is not among the doses, or a
/// prompt cannot be encoded.
pub fn sweep(model: &Model, plan: &Sweep, progress: &mut dyn FnMut(SweepProgress)) -> Result<Vec<SweepRow>> {
    plan.check(model)?;
    let stored = plan.probes.get(HookPoint::ResidPost(plan.layer))?;
    let framed = plan.prompts.iter().map(|prompt| framed(model, prompt)).collect::<Result<Vec<Framed>>>()?;
    let variants = plan.variants(stored)?;
    let of_prompt = variants.len() / plan.prompts.len();
    let at_once = (AT_ONCE / of_prompt).max(1) * of_prompt; // whole prompts, each with its dose 0
    let mut rows = Vec::new();
    for variants in variants.chunks(at_once) {
        rows.extend(Pass { model, plan, framed: &framed, variants }.rows(of_prompt)?);
        progress(SweepProgress { n_done: rows.len() / later(plan, model).len(), n: plan.len() });
    }
    Ok(rows)
}

/// A prompt as the model is given it.
fn framed(model: &Model, prompt: &str) -> Result<Framed> {
    let refused = |problem: String| Error::invalid(format!("prompt `{prompt}`"), problem, "another prompt");
    model.tokenizer.frame(prompt, 0..prompt.len()).map_err(refused)
}

/// Where readings are taken: from the steered layer on.
fn later(plan: &Sweep, model: &Model) -> Vec<HookPoint> {
    (plan.layer..model.spec().n_layers).map(HookPoint::ResidPost).collect()
}

/// Some whole prompts' texts.
struct Pass<'a> {
    model: &'a Model,
    plan: &'a Sweep<'a>,
    framed: &'a [Framed],
    variants: &'a [Variant<'a>],
}

impl Pass<'_> {
    fn hook(&self) -> Result<SteerTexts> {
        let one = |v: &Variant| {
            let positions = Positions::new(&self.plan.at, &self.framed[v.prompt])?;
            let point = HookPoint::ResidPost(self.plan.layer);
            Ok(vec![Steer::new(self.model.spec(), (point, v.op.clone()), Norm::Free, positions)?])
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
        let end = self.framed[0].encoded.ids.first().copied();
        let ends = end.filter(|_| self.framed[0].encoded.n_special() > 0).into_iter().collect();
        let continuation = Continuation { ends, ..Continuation::greedy(plan.n_tokens) };
        let mut hook = Both(&mut steer, &mut readings);
        let going =
            (&mut hook as &mut dyn Hook, &mut (|_: usize, _: u32| Next::More) as &mut dyn FnMut(_, _) -> _);
        let texts = generate_each(&model.transformer, (forest, last), &continuation, going)?;
        let log_probs = mean_log_probs(model, &texts)?;
        let names = match plan.names {
            Some(set) => {
                let prompts: Vec<&str> =
                    self.variants.iter().map(|v| self.framed[v.prompt].text.as_str()).collect();
                set.log_probs(model, &prompts, &mut steer)?.into_iter().map(Some).collect()
            }
            None => vec![None; texts.len()],
        };
        let read = later.iter().map(|at| Ok((*at, readings.capture.get(*at)?.clone())));
        let read = read.collect::<Result<Vec<(HookPoint, Tensor)>>>()?;
        let mut rows = Vec::new();
        for (i, text) in texts.iter().enumerate() {
            let unsteered = &texts[i / of_prompt * of_prompt];
            let kl = divergence(&text.first_logits, &unsteered.first_logits);
            let of_text = self.row(i, text, (kl, log_probs[i], names[i]))?;
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
        (kl, log_prob, names_log_prob): (f64, f64, Option<f64>),
    ) -> Result<SweepRow> {
        let (plan, v) = (self.plan, &self.variants[i]);
        let written = self.model.tokenizer.decode(text.new_ids())?;
        let target = plan.probes.target(plan.target)?;
        let named = plan.gazetteer.and_then(|gazetteer| gazetteer.read(&written));
        Ok(SweepRow {
            kind: plan.kind.to_string(),
            prompt: plan.prompts[v.prompt].clone(),
            steer_layer: plan.layer,
            direction: v.direction.to_string(),
            seed: v.seed,
            target: plan.target.to_string(),
            dose: v.dose,
            read_layer: 0,
            reading: 0.0,
            kl,
            log_prob,
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

/// Mean log-probability of each text's new tokens under the unsteered model, in nats a token.
fn mean_log_probs(model: &Model, texts: &[Generation]) -> Result<Vec<f64>> {
    let ids: Vec<Vec<u32>> = texts.iter().map(|text| text.ids.clone()).collect();
    let (forest, last) = Forest::of_texts(&ids)?;
    let mut wanted = Vec::new();
    for (text, last) in texts.iter().zip(&last) {
        let path = forest.path(*last);
        wanted.extend((text.n_prompt..text.ids.len()).map(|i| (path[i - 1], text.ids[i])));
    }
    let all = log_probs_after(&model.transformer, &forest, &wanted, &mut Untouched)?;
    let mut rest = all.as_slice();
    let mean = |text: &Generation| {
        let (own, others) = rest.split_at(text.new_ids().len());
        rest = others;
        if own.is_empty() { 0.0 } else { own.iter().sum::<f64>() / own.len() as f64 }
    };
    Ok(texts.iter().map(mean).collect())
}
