//! Generation: the same forward pass on a chain, with a key/value cache.

use super::cache::Cache;
use super::forest::Forest;
use super::hook::{Both, Hook, Untouched};
use super::transformer::Transformer;
use crate::error::Result;
use candle_transformers::generation::{LogitsProcessor, Sampling as CandleSampling};

/// How the next token is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
    /// The most probable token.
    Greedy,
    /// A draw from the distribution at a temperature, from the `top_p` most probable mass.
    Random {
        /// Divides the logits.
        temperature: f64,
        /// Share of probability mass that is kept, most probable first.
        top_p: f64,
        /// Seeds the draws.
        seed: u64,
    },
}

impl Sampling {
    fn processor(self) -> LogitsProcessor {
        match self {
            Sampling::Greedy => LogitsProcessor::from_sampling(0, CandleSampling::ArgMax),
            Sampling::Random { temperature, top_p, seed } => {
                LogitsProcessor::from_sampling(seed, CandleSampling::TopP { p: top_p, temperature })
            }
        }
    }
}

/// What was generated.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// The prompt's tokens and the new ones.
    pub ids: Vec<u32>,
    /// How many of them were the prompt's.
    pub n_prompt: usize,
    /// The logits for the first new token.
    pub first_logits: Vec<f32>,
}

/// Continues a prompt until `n_new` tokens, the token `end`, or the model's context is reached.
///
/// # Errors
/// As [`Transformer::forward`].
pub fn generate(
    model: &Transformer,
    prompt: &[u32],
    (n_new, end): (usize, Option<u32>),
    (sampling, hook): (Sampling, &mut dyn Hook),
) -> Result<Generation> {
    let mut processor = sampling.processor();
    let (mut forest, mut cache) = (Forest::of_text(prompt)?, Cache::default());
    model.check(&forest)?;
    // A hook that only reads may stop a pass early; the logits need every block.
    let mut untouched = Untouched;
    let mut hook = Both(hook, &mut untouched);
    let mut ids = prompt.to_vec();
    let mut first_logits = Vec::new();
    while ids.len() < (prompt.len() + n_new).min(model.spec.n_context) {
        let stream = model.forward(&forest, Some(&mut cache), &mut hook)?;
        let last = stream.narrow(0, stream.dim(0)? - 1, 1)?;
        let logits = model.logits(&last)?.squeeze(0)?; // [1, d_vocab] -> [d_vocab]
        if first_logits.is_empty() {
            first_logits = logits.to_vec1()?;
        }
        let next = processor.sample(&logits)?;
        ids.push(next);
        if Some(next) == end {
            break;
        }
        forest.grow(next);
    }
    Ok(Generation { ids, n_prompt: prompt.len(), first_logits })
}
