//! How the next token is chosen from logits.

use crate::error::{Error, Result};
use candle_core::{Device, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling as Choice};
use std::collections::BTreeSet;

/// How the next token is chosen: what changes the logits, in this order, and then a draw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the most probable token.
    pub temperature: f64,
    /// How many of the most probable tokens are kept; `None` is all.
    pub top_k: Option<usize>,
    /// Share of probability mass that is kept, most probable first.
    pub top_p: f64,
    /// Divides the positive logits of tokens that stood before, and multiplies the negative ones; 1 is none.
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

    /// Whether each setting is one that means something.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the one that does not.
    pub fn check(&self) -> Result<()> {
        let Sampling { temperature, top_k, top_p, repetition_penalty, .. } = *self;
        if !(temperature.is_finite() && temperature >= 0.0) {
            return Err(Error::invalid("temperature", temperature, "0 (greedy) or a positive number"));
        }
        if top_k == Some(0) {
            return Err(Error::invalid("top-k", 0, "at least 1 token"));
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(Error::invalid("top-p", top_p, "a share above 0 and at most 1"));
        }
        if !(repetition_penalty.is_finite() && repetition_penalty > 0.0) {
            let expected = "a positive number; 1 is no penalty";
            return Err(Error::invalid("repetition penalty", repetition_penalty, expected));
        }
        Ok(())
    }

    fn penalised(&self, logits: &[f32], before: &[u32]) -> Result<Vec<f32>> {
        if let Some(id) = logits.iter().position(|x| x.is_nan()) {
            return Err(Error::NonFinite {
                place: format!("the logit of token {id}"),
                found: f64::NAN,
                advice: "steer with a smaller dose, or look at the weights".into(),
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
        Ok(logits)
    }
}

/// Draws one text's tokens, one after the other.
pub(super) struct Sampler {
    sampling: Sampling,
    draws: LogitsProcessor,
}

impl Sampler {
    /// The sampler of one of several texts: its draws do not depend on the others.
    pub fn new(sampling: Sampling, text: u64) -> Sampler {
        let Sampling { temperature, top_k, top_p, seed, .. } = sampling;
        let choice = match (top_k, top_p < 1.0) {
            (None, false) => Choice::All { temperature },
            (Some(k), false) => Choice::TopK { k, temperature },
            (None, true) => Choice::TopP { p: top_p, temperature },
            (Some(k), true) => Choice::TopKThenTopP { k, p: top_p, temperature },
        };
        // An odd factor keeps the seeds of neighbouring texts apart.
        let own = seed.wrapping_add(text.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Sampler { sampling, draws: LogitsProcessor::from_sampling(own, choice) }
    }

    /// The next token.
    pub fn pick(&mut self, logits: &[f32], before: &[u32]) -> Result<u32> {
        let logits = self.sampling.penalised(logits, before)?;
        if self.sampling.temperature == 0.0 {
            let first_best = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
            return Ok((0..logits.len()).fold(0, first_best) as u32);
        }
        let n = logits.len();
        Ok(self.draws.sample(&Tensor::from_vec(logits, n, &Device::Cpu)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 5] = [1.0, -2.0, 3.0, 2.5, -0.5];

    /// The tokens that may come next and their probabilities, most probable first, as transformers' logits
    /// processors make them.
    fn probabilities(sampling: Sampling, logits: &[f32], before: &[u32]) -> Result<Vec<(u32, f64)>> {
        let logits = sampling.penalised(logits, before)?;
        let temperature = if sampling.temperature > 0.0 { sampling.temperature } else { 1.0 };
        let mut all: Vec<(u32, f64)> =
            (0..).zip(logits.iter().map(|x| f64::from(*x) / temperature)).collect();
        let n =
            if sampling.temperature > 0.0 { sampling.top_k.unwrap_or(all.len()).min(all.len()) } else { 1 };
        let falling = |a: &(u32, f64), b: &(u32, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if n < all.len() {
            all.select_nth_unstable_by(n - 1, falling);
            all.truncate(n);
        }
        all.sort_unstable_by(falling);
        let most = all[0].1;
        all.iter_mut().for_each(|(_, x)| *x = (*x - most).exp());
        let total: f64 = all.iter().map(|(_, p)| p).sum();
        let mut above = 0.0;
        all.retain(|(_, p)| {
            let is_kept = above < sampling.top_p * total;
            above += p;
            is_kept
        });
        let kept: f64 = all.iter().map(|(_, p)| p).sum();
        all.iter_mut().for_each(|(_, p)| *p /= kept);
        Ok(all)
    }

    fn kept(sampling: Sampling) -> Vec<u32> {
        probabilities(sampling, &LOGITS, &[2]).unwrap().into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn each_setting_cuts_as_it_says() {
        let whole = Sampling::at(1.0, 0);
        assert_eq!(kept(whole), [2, 3, 0, 4, 1]);
        assert_eq!(kept(Sampling { top_k: Some(2), ..whole }), [2, 3]);
        // The two likeliest hold 0.55 and 0.34 of the mass: the second is needed to reach 0.6, the third is not.
        assert_eq!(kept(Sampling { top_p: 0.6, ..whole }), [2, 3]);
        assert_eq!(kept(Sampling { top_p: 1e-9, ..whole }), [2]);
        assert_eq!(kept(Sampling { repetition_penalty: 4.0, ..whole }), [3, 0, 2, 4, 1]);
        assert_eq!(kept(Sampling::GREEDY), [2]);
        let colder = probabilities(Sampling::at(0.5, 0), &LOGITS, &[]).unwrap();
        let warm = probabilities(whole, &LOGITS, &[]).unwrap();
        assert!(colder[0].1 > warm[0].1);
        let odds = (warm[0].1 / warm[1].1).powi(2);
        assert!((colder[0].1 / colder[1].1 / odds - 1.0).abs() < 1e-6);
    }

    #[test]
    fn draws_follow_the_probabilities_and_the_seed() {
        let sampling = Sampling { top_k: Some(3), ..Sampling::at(1.3, 7) };
        let draw = |text| {
            let mut sampler = Sampler::new(sampling, text);
            (0..20_000).map(|_| sampler.pick(&LOGITS, &[]).unwrap()).collect::<Vec<_>>()
        };
        let (drawn, expected) = (draw(0), probabilities(sampling, &LOGITS, &[]).unwrap());
        assert_eq!(drawn, draw(0));
        assert_ne!(drawn, draw(1));
        for (id, p) in expected {
            let share = drawn.iter().filter(|d| **d == id).count() as f64 / drawn.len() as f64;
            assert!(
                (share - p).abs() < 4.0 * (p * (1.0 - p) / drawn.len() as f64).sqrt(),
                "{id}: {share} {p}"
            );
        }
    }

    #[test]
    fn settings_without_a_meaning_and_logits_that_are_none_are_refused() {
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
