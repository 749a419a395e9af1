//! Dose and response: what steering does to later readings, the next token and the text.

use super::direction::Direction;
use super::op::{Along, Norm, Op};
use super::positions::{Positions, Where};
use super::steer::Steer;
use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::model::{Both, Capture, Forest, Model, Sampling, Untouched, generate};
use crate::probes::ProbeSet;
use crate::results::SweepRow;
use candle_core::Tensor;

/// What a sweep varies: one target of a probe, over doses and prompts.
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
    /// Along the probe's weights or its pattern.
    pub along: Along,
    /// How far, in the target's unit.
    pub doses: &'a [f64],
    /// The texts that are continued.
    pub prompts: &'a [String],
    /// How many random directions stand beside the probe's.
    pub n_random: u64,
    /// How many tokens are generated.
    pub n_tokens: usize,
}

/// How far a sweep is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepProgress {
    /// Prompts, doses and directions done.
    pub n_done: usize,
    /// Prompts, doses and directions in all.
    pub n: usize,
}

impl Sweep<'_> {
    /// The number of texts it generates.
    pub fn len(&self) -> usize {
        self.prompts.len() * self.doses.len() * (1 + self.n_random as usize)
    }

    /// Whether it generates none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Runs the sweep: one row for each prompt, direction, dose and layer from the steered one on.
///
/// Random directions move the stream by a vector of the same length as the probe's at the same dose.
///
/// # Errors
/// [`crate::Error::Invalid`] if a layer has no probe or a prompt cannot be encoded.
pub fn sweep(model: &Model, plan: &Sweep, progress: &mut dyn FnMut(SweepProgress)) -> Result<Vec<SweepRow>> {
    let target = plan.probes.target(plan.target)?;
    let stored = plan.probes.get(HookPoint::ResidPost(plan.layer))?;
    let probe = &stored.probe;
    let mut rows = Vec::new();
    let mut n_done = 0;
    for prompt in plan.prompts {
        let text = Prepared::of(model, prompt)?;
        for seed in 0..=plan.n_random {
            for &dose in plan.doses {
                let mut deltas = vec![0.0; probe.n_targets()];
                deltas[target] = dose;
                let mut op = Op::shift_along(plan.along, stored, &deltas)?;
                if seed > 0 {
                    let length = op.length().unwrap_or(0.0) * dose.signum();
                    op = Op::Add(Direction::random(probe.d_model(), seed)?.times(length));
                }
                rows.extend(respond(model, plan, &text, (op, seed, dose))?);
                n_done += 1;
                progress(SweepProgress { n_done, n: plan.len() });
            }
        }
    }
    Ok(rows)
}

/// A prompt with what the unsteered model makes of it.
struct Prepared<'a> {
    prompt: &'a str,
    ids: Vec<u32>,
    n_special: usize,
    log_probs: Vec<f64>,
}

impl<'a> Prepared<'a> {
    fn of(model: &Model, prompt: &'a str) -> Result<Prepared<'a>> {
        let encoded = model.tokenizer.encode(prompt)?;
        let n_special = encoded.n_special();
        let stream = model.transformer.forward(&Forest::of_text(&encoded.ids)?, None, &mut Untouched)?;
        let log_probs = log_softmax(&last_logits(model, &stream)?);
        Ok(Prepared { prompt, ids: encoded.ids, n_special, log_probs })
    }
}

fn respond(
    model: &Model,
    plan: &Sweep,
    text: &Prepared,
    (op, seed, dose): (Op, u64, f64),
) -> Result<Vec<SweepRow>> {
    let point = HookPoint::ResidPost(plan.layer);
    let n_layers = model.spec().n_layers;
    let positions = Positions::new(Where::All, text.ids.len(), text.n_special);
    let mut steer = Steer::new(point, op, Norm::Free, positions);
    let later: Vec<HookPoint> = (plan.layer..n_layers).map(HookPoint::ResidPost).collect();
    let mut capture = Capture::nodes(&later, &[text.ids.len() as u32 - 1])?;
    let forest = Forest::of_text(&text.ids)?;
    let stream = model.transformer.forward(&forest, None, &mut Both(&mut steer, &mut capture))?;
    let kl = divergence(&log_softmax(&last_logits(model, &stream)?), &text.log_probs);
    let end = text.ids.first().copied().filter(|_| text.n_special > 0);
    let generation =
        generate(&model.transformer, &text.ids, (plan.n_tokens, end), (Sampling::Greedy, &mut steer))?;
    let new = &generation.ids[generation.n_prompt..];
    let log_prob = mean_log_prob(model, &generation.ids, generation.n_prompt)?;
    let target = plan.probes.target(plan.target)?;
    later
        .iter()
        .map(|&read| {
            let activation = capture.get(read)?.squeeze(0)?.to_vec1::<f32>()?;
            Ok(SweepRow {
                kind: plan.kind.to_string(),
                prompt: text.prompt.to_string(),
                steer_layer: plan.layer,
                direction: if seed == 0 { "probe" } else { "random" }.to_string(),
                seed,
                target: plan.target.to_string(),
                dose,
                read_layer: read.layer(),
                reading: plan.probes.get(read)?.probe.read_row(&activation)[target],
                kl,
                log_prob,
                repetition: repetition(new),
                text: model.tokenizer.decode(new)?,
            })
        })
        .collect()
}

fn last_logits(model: &Model, stream: &Tensor) -> Result<Vec<f32>> {
    let last = stream.narrow(0, stream.dim(0)? - 1, 1)?;
    Ok(model.transformer.logits(&last)?.squeeze(0)?.to_vec1()?)
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|x| f64::from(x - max).exp()).sum();
    logits.iter().map(|x| f64::from(x - max) - sum.ln()).collect()
}

/// Kullback–Leibler divergence of `p` from `q`, both as log-probabilities, in nats.
fn divergence(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).map(|(p, q)| p.exp() * (p - q)).sum::<f64>().max(0.0)
}

/// Mean log-probability of the generated tokens under the unsteered model, in nats a token.
fn mean_log_prob(model: &Model, ids: &[u32], n_prompt: usize) -> Result<f64> {
    if ids.len() == n_prompt {
        return Ok(0.0);
    }
    let stream = model.transformer.forward(&Forest::of_text(&ids[..ids.len() - 1])?, None, &mut Untouched)?;
    let rows = stream.narrow(0, n_prompt - 1, ids.len() - n_prompt)?;
    let logits = model.transformer.logits(&rows)?.to_vec2::<f32>()?; // [n_new, d_vocab]
    let sum: f64 = logits.iter().zip(&ids[n_prompt..]).map(|(l, id)| log_softmax(l)[*id as usize]).sum();
    Ok(sum / (ids.len() - n_prompt) as f64)
}

/// Share of token pairs that stood before in the same text.
fn repetition(ids: &[u32]) -> f64 {
    let pairs: Vec<&[u32]> = ids.windows(2).collect();
    let distinct: std::collections::HashSet<&&[u32]> = pairs.iter().collect();
    if pairs.is_empty() { 0.0 } else { 1.0 - distinct.len() as f64 / pairs.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divergence_is_zero_of_itself_and_positive_else() {
        let (p, q) = (log_softmax(&[1.0, 2.0, 3.0]), log_softmax(&[3.0, 1.0, 0.5]));
        assert!(divergence(&p, &p) < 1e-12);
        assert!(divergence(&p, &q) > 0.1);
        assert!((p.iter().map(|x| x.exp()).sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn repetition_counts_pairs_that_return() {
        assert_eq!(repetition(&[1, 2, 3, 4]), 0.0);
        assert!((repetition(&[1, 2, 1, 2, 1]) - 0.5).abs() < 1e-12);
        assert_eq!(repetition(&[1]), 0.0);
    }
}
