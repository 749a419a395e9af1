//! Sampling: the choice of the next token from its logits.

use crate::error::{Error, Result};
use crate::limits::{SMALLEST_DIVISOR, number_words};
use candle_core::{Device, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling as Choice};
use std::collections::BTreeSet;

/// The settings of sampling: changes of the logits, and the seed of the draws.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the most probable token.
    pub temperature: f64,
    /// The number of most probable tokens that are kept; `None` is all.
    pub top_k: Option<usize>,
    /// The share of probability that is kept, most probable tokens first.
    pub top_p: f64,
    /// Divides the positive logits of tokens that occurred before, and multiplies the negative ones; 1 is no penalty.
    pub repetition_penalty: f64,
    /// Seeds the draws.
    pub seed: u64,
}

impl Sampling {
    /// The most probable token.
    pub const GREEDY: Sampling =
        Sampling { temperature: 0.0, top_k: None, top_p: 1.0, repetition_penalty: 1.0, seed: 0 };

    /// A draw from the whole distribution at a temperature.
    pub fn at(temperature: f64, seed: u64) -> Sampling {
        Sampling { temperature, seed, ..Sampling::GREEDY }
    }

    /// Refuses settings outside their range.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the setting.
    pub fn check(&self) -> Result<()> {
        let Sampling { temperature, top_k, top_p, repetition_penalty, .. } = *self;
        let is_divisor = |x: f64| x.is_finite() && x >= SMALLEST_DIVISOR;
        if temperature != 0.0 && !is_divisor(temperature) {
            let expected = format!("0 (greedy) or a positive number of at least {SMALLEST_DIVISOR:e}");
            return Err(Error::invalid("temperature", number_words(temperature), expected));
        }
        if top_k == Some(0) {
            return Err(Error::invalid("top-k", 0, "at least 1 token"));
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(Error::invalid("top-p", number_words(top_p), "a share above 0 and at most 1"));
        }
        if !(is_divisor(repetition_penalty) && repetition_penalty <= SMALLEST_DIVISOR.recip()) {
            let expected = "a positive number from 1e-20 to 1e20; 1 is no penalty";
            return Err(Error::invalid("repetition penalty", number_words(repetition_penalty), expected));
        }
        Ok(())
    }

    /// The logits after penalty, temperature, top-k and top-p, in this order, equal to those of transformers'
    /// processors; excluded tokens have −∞. At temperature 0, only the penalty is applied.
    ///
    /// # Source
    /// transformers 5.23.0, `generation/logits_process.py`: tokens as probable as the last of the top k are kept, and
    /// top-p is a share of the probability after top-k.
    fn processed(&self, logits: &[f32], before: &[u32]) -> Result<Vec<f32>> {
        if let Some(id) = logits.iter().position(|x| x.is_nan()) {
            return Err(Error::NonFinite {
                place: format!("the logit of token {id}"),
                found: f64::NAN,
                advice: "steer with a smaller dose, or check the weights".into(),
            });
        }
        let mut logits = logits.to_vec();
        let penalty = self.repetition_penalty as f32;
        if penalty != 1.0 {
            for id in before.iter().collect::<BTreeSet<_>>() {
                let logit = &mut logits[*id as usize];
                *logit = if *logit < 0.0 { *logit * penalty } else { *logit / penalty };
            }
        }
        if self.temperature == 0.0 {
            return Ok(logits);
        }
        logits.iter_mut().for_each(|logit| *logit /= self.temperature as f32);
        if let Some(k) = self.top_k {
            keep_top_k(&mut logits, k);
        }
        if self.top_p < 1.0 {
            keep_top_p(&mut logits, self.top_p);
        }
        Ok(logits)
    }
}

/// Draws the tokens of one text.
pub(super) struct Sampler {
    sampling: Sampling,
    draws: LogitsProcessor,
}

impl Sampler {
    /// The sampler of one of several texts: its draws do not depend on the others.
    pub(super) fn new(sampling: Sampling, text: u64) -> Sampler {
        // An odd factor keeps the seeds of neighbouring texts apart.
        let own = sampling.seed.wrapping_add(text.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        // candle's top-k and top-p break ties differently from transformers and measure top-p by the probability before
        // top-k; so candle gets the processed logits, and draws from all of them.
        Sampler { sampling, draws: LogitsProcessor::from_sampling(own, Choice::All { temperature: 1.0 }) }
    }

    /// The next token.
    pub(super) fn pick(&mut self, logits: &[f32], before: &[u32]) -> Result<u32> {
        let logits = self.sampling.processed(logits, before)?;
        if self.sampling.temperature == 0.0 {
            let first_best = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
            return Ok((0..logits.len()).fold(0, first_best) as u32);
        }
        let n = logits.len();
        Ok(self.draws.sample(&Tensor::from_vec(logits, n, &Device::Cpu)?)?)
    }
}

/// Keeps the `k` largest logits, and those equal to the smallest of them.
fn keep_top_k(logits: &mut [f32], k: usize) {
    if k >= logits.len() {
        return;
    }
    let mut sorted = logits.to_vec();
    let (_, least, _) = sorted.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    let least = *least;
    logits.iter_mut().filter(|x| **x < least).for_each(|x| *x = f32::NEG_INFINITY);
}

/// Excludes the least probable tokens while their total probability is at most `1 − p`; of equally probable tokens,
/// those with smaller ids first. The most probable token is always kept.
fn keep_top_p(logits: &mut [f32], p: f64) {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mass: Vec<f32> = logits.iter().map(|x| (x - most).exp()).collect();
    let total: f32 = mass.iter().sum();
    let mut ascending: Vec<usize> = (0..logits.len()).collect();
    ascending.sort_by(|a, b| logits[*a].total_cmp(&logits[*b])); // stable
    _ = ascending.pop();
    // In f32 as in transformers, so that exact equality with the bound is decided in the same way.
    let bound = (1.0 - p) as f32;
    let mut below = 0.0;
    for id in ascending {
        below += f64::from(mass[id] / total);
        if below as f32 > bound {
            break;
        }
        logits[id] = f32::NEG_INFINITY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const LOGITS: [f32; 5] = [1.0, -2.0, 3.0, 2.5, -0.5];

    /// The probabilities that a token is drawn from.
    fn probabilities(sampling: Sampling, logits: &[f32], before: &[u32]) -> Vec<f32> {
        let logits = sampling.processed(logits, before).unwrap();
        let logits = Tensor::from_slice(&logits, logits.len(), &Device::Cpu).unwrap();
        let mut drawn_from = vec![];
        let mut sampler = Sampler::new(sampling, 0);
        sampler.draws.sample_f(&logits, |all| drawn_from = all.to_vec()).unwrap();
        drawn_from
    }

    /// The possible next tokens, most probable first.
    fn kept(sampling: Sampling) -> Vec<u32> {
        let all = probabilities(sampling, &LOGITS, &[2]);
        let mut ids: Vec<u32> = (0..5).filter(|id| all[*id as usize] > 0.0).collect();
        ids.sort_by(|a, b| all[*b as usize].total_cmp(&all[*a as usize]));
        ids
    }

    #[test]
    fn each_setting_excludes_the_expected_tokens() {
        let whole = Sampling::at(1.0, 0);
        assert_eq!(kept(whole), [2, 3, 0, 4, 1]);
        assert_eq!(kept(Sampling { top_k: Some(2), ..whole }), [2, 3]);
        // The two most probable have 0.55 and 0.34: the second is needed to reach 0.6, the third is not.
        assert_eq!(kept(Sampling { top_p: 0.6, ..whole }), [2, 3]);
        assert_eq!(kept(Sampling { top_p: 1e-9, ..whole }), [2]);
        assert_eq!(kept(Sampling { repetition_penalty: 4.0, ..whole }), [3, 0, 2, 4, 1]);
        let (colder, warm) =
            (probabilities(Sampling::at(0.5, 0), &LOGITS, &[]), probabilities(whole, &LOGITS, &[]));
        assert!(colder[2] > warm[2]);
        let odds = (warm[2] / warm[3]).powi(2);
        assert!((colder[2] / colder[3] / odds - 1.0).abs() < 1e-5);
    }

    /// A case of tests/fixtures/sampling: the settings, the logits, and the tokens that occurred before.
    fn case(expected: &Value, case: &Value) -> (Sampling, Vec<f32>, Vec<u32>) {
        let number = |name: &str, usual: f64| case.get(name).map_or(usual, |x| x.as_f64().unwrap());
        let sampling = Sampling {
            temperature: number("temperature", 0.0),
            top_k: case.get("top_k").and_then(Value::as_u64).map(|k| k as usize),
            top_p: number("top_p", 1.0),
            repetition_penalty: number("repetition_penalty", 1.0),
            seed: 0,
        };
        let row = expected["rows"][case["row"].as_str().unwrap()].as_array().unwrap();
        let before = expected["before"][case["before"].as_u64().unwrap() as usize].as_array().unwrap();
        let before = before.iter().map(|id| id.as_u64().unwrap() as u32).collect();
        (sampling, row.iter().map(|x| x.as_f64().unwrap() as f32).collect(), before)
    }

    #[test]
    fn token_probabilities_equal_those_of_transformers() {
        let expected: Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/sampling/expected.json")).unwrap();
        let (mut n_drawn, mut n_greedy) = (0, 0);
        for one in expected["cases"].as_array().unwrap() {
            let (sampling, logits, before) = case(&expected, one);
            if let Some(token) = one.get("greedy") {
                let picked = Sampler::new(sampling, 0).pick(&logits, &before).unwrap();
                assert_eq!(u64::from(picked), token.as_u64().unwrap(), "{one}");
                n_greedy += 1;
                continue;
            }
            let found = probabilities(sampling, &logits, &before);
            let theirs = one["probabilities"].as_array().unwrap();
            assert_eq!(found.len(), theirs.len());
            for (id, (ours, theirs)) in found.iter().zip(theirs).enumerate() {
                let theirs = theirs.as_f64().unwrap();
                assert!(
                    (f64::from(*ours) - theirs).abs() < 1e-6,
                    "token {id}: {ours}, not {theirs}, in {one}"
                );
                assert_eq!(*ours == 0.0, theirs == 0.0, "token {id} in {one}");
            }
            n_drawn += 1;
        }
        assert!(n_drawn > 100 && n_greedy > 30, "only {n_drawn} and {n_greedy} cases were compared");
    }

    #[test]
    fn draws_follow_the_probabilities_and_the_seed() {
        let sampling = Sampling { top_k: Some(3), ..Sampling::at(1.3, 7) };
        let draw = |text| {
            let mut sampler = Sampler::new(sampling, text);
            (0..20_000).map(|_| sampler.pick(&LOGITS, &[]).unwrap()).collect::<Vec<_>>()
        };
        let (drawn, expected) = (draw(0), probabilities(sampling, &LOGITS, &[]));
        assert_eq!(drawn, draw(0));
        assert_ne!(drawn, draw(1));
        for (id, p) in (0..).zip(expected) {
            let share = drawn.iter().filter(|d| **d == id).count() as f32 / drawn.len() as f32;
            assert!(
                (share - p).abs() <= 4.0 * (p * (1.0 - p) / drawn.len() as f32).sqrt(),
                "{id}: {share} {p}"
            );
        }
    }

    #[test]
    fn invalid_settings_and_logits_that_are_nan_are_refused() {
        for (bad, part) in [
            (Sampling { temperature: -1.0, ..Sampling::GREEDY }, "temperature"),
            (Sampling { top_k: Some(0), ..Sampling::GREEDY }, "top-k"),
            (Sampling { top_p: 0.0, ..Sampling::GREEDY }, "top-p"),
            (Sampling { repetition_penalty: f64::NAN, ..Sampling::GREEDY }, "repetition"),
        ] {
            assert!(bad.check().unwrap_err().to_string().contains(part));
        }
        assert!(Sampler::new(Sampling::GREEDY, 0).pick(&[0.0, f32::NAN], &[]).is_err());
    }
}
