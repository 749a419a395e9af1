//! Generation: the forward pass on a growing forest, with a key/value cache.

use super::hook::{Chain, Hook, NoHook};
use super::kv_cache::KvCache;
use super::sampling::{Sampler, Sampling};
use super::transformer::Transformer;
use crate::error::{Error, Result};
use crate::limits::{check_memory, product};
use crate::model::forest::Forest;
use crate::model::kernels::on_awake_threads;
use candle_core::Tensor;
use std::ops::ControlFlow;

/// The settings of a generation.
#[derive(Debug, Clone, PartialEq)]
pub struct Continuation {
    /// Maximum number of new tokens.
    pub n_new: usize,
    /// Tokens that end a text.
    pub ends: Vec<u32>,
    /// The choice of each token.
    pub sampling: Sampling,
}

impl Continuation {
    /// Up to `n_new` tokens, always the most probable one.
    pub fn greedy(n_new: usize) -> Continuation {
        Continuation { n_new, ends: vec![], sampling: Sampling::GREEDY }
    }

    /// These settings, with the tokens that end a text.
    pub fn until_end(self, end_tokens: Vec<u32>) -> Continuation {
        Continuation { ends: end_tokens, ..self }
    }
}

/// A continued text.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// The prompt's tokens and the new ones.
    pub ids: Vec<u32>,
    /// The number of the prompt's tokens.
    pub n_prompt: usize,
    /// The logits for the first new token; empty if there is none.
    pub first_logits: Vec<f32>,
    /// True if the last token is one that ends a text.
    pub is_ended: bool,
}

impl Generation {
    /// The new tokens.
    pub fn new_ids(&self) -> &[u32] {
        &self.ids[self.n_prompt..]
    }

    /// The new tokens without the one that ended the text.
    pub fn written_ids(&self) -> &[u32] {
        &self.ids[self.n_prompt..self.ids.len() - usize::from(self.is_ended)]
    }
}

/// Called with the number of a text and its new token, unless the token ends the text; may stop the text.
pub type OnToken<'a> = dyn FnMut(usize, u32) -> ControlFlow<()> + Send + 'a;

/// Texts to continue: a forest, and the last node of each text. Texts may share nodes, as samples of one prompt do.
#[derive(Debug, Clone)]
pub struct Prompts {
    /// The tokens of all texts.
    pub forest: Forest,
    /// The last node of each text.
    pub last: Vec<u32>,
}

/// The callbacks of a generation, all called on one of rayon's threads.
pub struct Callbacks<'a, 'b> {
    /// Reads or changes the stream.
    pub hook: &'a mut dyn Hook,
    /// Receives the new tokens, and may stop a text; `None` stops none.
    pub on_token: Option<&'a mut OnToken<'b>>,
}

/// Continues a prompt until the maximum number of tokens, an end token, or the model's context is reached.
///
/// # Errors
/// Those of [`generate_each`]; [`Error::Invalid`] for a prompt without tokens.
pub fn generate(
    model: &Transformer,
    prompt: &[u32],
    plan: &Continuation,
    hook: &mut dyn Hook,
) -> Result<Generation> {
    let (forest, last) = Forest::of_texts(&[prompt.to_vec()])?;
    let callbacks = Callbacks { hook, on_token: None };
    let mut all = generate_each(model, Prompts { forest, last }, plan, callbacks)?;
    Ok(all.remove(0))
}

/// Continues several texts at once. A text does not depend on the others, except for the rounding of products with more
/// rows.
///
/// # Errors
/// Those of [`Transformer::forward`]; [`Error::Invalid`] for invalid sampling settings, or a model without a
/// language-model head or with bidirectional attention.
pub fn generate_each(
    model: &Transformer,
    prompts: Prompts,
    plan: &Continuation,
    callbacks: Callbacks,
) -> Result<Vec<Generation>> {
    on_awake_threads(|| Decoding::new(model, prompts, plan)?.run(callbacks))
}

/// Texts that are being continued.
struct Decoding<'a> {
    model: &'a Transformer,
    plan: &'a Continuation,
    forest: Forest,
    texts: Vec<Generation>,
    samplers: Vec<Sampler>,
    /// The texts that are not finished, each with its last node.
    active: Vec<(usize, u32)>,
}

impl<'a> Decoding<'a> {
    fn new(model: &'a Transformer, prompts: Prompts, plan: &'a Continuation) -> Result<Decoding<'a>> {
        let Prompts { forest, last } = prompts;
        plan.sampling.check()?;
        if !model.generates() {
            let found = "an encoder, or a checkpoint without a language-model head";
            let expected = "a causal language model with its head";
            return Err(Error::invalid("model to generate with", found, expected));
        }
        model.check(&forest)?;
        let spec = &model.spec;
        let n_new = plan.n_new.min(spec.n_context);
        // Keys and values of each new token, and the logits, which are copied once.
        let of_text = product([n_new, spec.n_layers, 2 * spec.d_keys(), size_of::<f32>()])
            .saturating_add(product([2 * spec.d_vocab, size_of::<f32>()]));
        let needed = of_text.saturating_mul(last.len() as u64);
        check_memory("the texts", needed, "generate fewer texts at once, or fewer tokens")?;
        let text = |&node: &u32| {
            let ids = forest.tokens_to(node);
            Generation { n_prompt: ids.len(), ids, first_logits: vec![], is_ended: false }
        };
        let texts: Vec<Generation> = last.iter().map(text).collect();
        let samplers = (0..texts.len()).map(|i| Sampler::new(plan.sampling, i as u64)).collect();
        let mut decoding = Decoding { model, plan, forest, texts, samplers, active: vec![] };
        let active = last.into_iter().enumerate().filter(|(i, _)| decoding.has_room(*i)).collect();
        decoding.active = active;
        Ok(decoding)
    }

    /// True if a text may have another token.
    fn has_room(&self, i: usize) -> bool {
        let text = &self.texts[i];
        text.ids.len() < text.n_prompt.saturating_add(self.plan.n_new).min(self.model.spec.n_context)
    }

    fn run(mut self, callbacks: Callbacks) -> Result<Vec<Generation>> {
        let Callbacks { hook, on_token } = callbacks;
        let mut always = |_: usize, _: u32| ControlFlow::Continue(());
        let on_token = on_token.unwrap_or(&mut always);
        // A hook that only reads may stop a pass early; the logits need every block.
        let mut no_hook = NoHook;
        let mut hook = Chain(hook, &mut no_hook);
        let mut cache = KvCache::default();
        while !self.active.is_empty() {
            let stream = self.model.forward(&self.forest, Some(&mut cache), &mut hook)?;
            self.step(self.last_logits(&stream)?, on_token)?;
        }
        Ok(self.texts)
    }

    /// Appends a token to each active text.
    fn step(&mut self, logits: Vec<Vec<f32>>, on_token: &mut OnToken) -> Result<()> {
        let (mut grown, mut still_active) = (Vec::new(), Vec::new());
        for ((i, node), logits) in std::mem::take(&mut self.active).into_iter().zip(logits) {
            let text = &mut self.texts[i];
            let next = self.samplers[i].pick(&logits, &text.ids)?;
            if text.first_logits.is_empty() {
                text.first_logits = logits;
            }
            text.ids.push(next);
            text.is_ended = self.plan.ends.contains(&next);
            if !text.is_ended && on_token(i, next).is_continue() && self.has_room(i) {
                grown.push((node, next));
                still_active.push(i);
            }
        }
        self.active = still_active.into_iter().zip(self.forest.grow_each(&grown)).collect();
        Ok(())
    }

    /// The logits after the last node of each active text.
    fn last_logits(&self, stream: &Tensor) -> Result<Vec<Vec<f32>>> {
        let n_past = self.forest.n_past() as u32;
        let rows: Vec<u32> = self.active.iter().map(|(_, node)| node - n_past).collect();
        let rows = Tensor::from_slice(&rows, rows.len(), stream.device())?;
        Ok(self.model.logits(&stream.index_select(&rows, 0)?)?.to_vec2()?) // [n_texts, d_vocab]
    }
}
