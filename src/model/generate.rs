//! Generation: the same forward pass on a growing forest, with a key/value cache.

use super::awake::on_awake_threads;
use super::cache::Cache;
use super::forest::Forest;
use super::hook::{Both, Hook, Untouched};
use super::sampling::{Sampler, Sampling};
use super::transformer::Transformer;
use crate::error::{Error, Result};
use crate::tokenizer::Tokenizer;
use candle_core::Tensor;

/// How texts are continued.
#[derive(Debug, Clone, PartialEq)]
pub struct Continuation {
    /// How many tokens at most.
    pub n_new: usize,
    /// Tokens after which a text is at its end.
    pub ends: Vec<u32>,
    /// How each token is chosen.
    pub sampling: Sampling,
}

impl Continuation {
    /// The most probable tokens, up to a number.
    pub fn greedy(n_new: usize) -> Continuation {
        Continuation { n_new, ends: vec![], sampling: Sampling::GREEDY }
    }

    /// The same, up to one of the tokens that end a text of this tokenizer.
    pub fn until_end(self, tokenizer: &Tokenizer) -> Continuation {
        Continuation { ends: tokenizer.end_tokens(), ..self }
    }
}

/// What was generated.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// The prompt's tokens and the new ones.
    pub ids: Vec<u32>,
    /// How many of them were the prompt's.
    pub n_prompt: usize,
    /// The logits for the first new token; empty if there is none.
    pub first_logits: Vec<f32>,
    /// Whether the last token is one that ends a text.
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

/// Whether a text goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// With another token.
    More,
    /// No further.
    Stop,
}

/// Sees every new token but one that ends a text, with the number of its text, and says whether the text goes on.
pub type Each<'a> = dyn FnMut(usize, u32) -> Next + Send + 'a;

/// Continues a prompt until the plan's number of tokens, one of its ends, or the model's context is reached.
///
/// # Errors
/// As [`Transformer::forward`].
pub fn generate(
    model: &Transformer,
    prompt: &[u32],
    plan: &Continuation,
    hook: &mut dyn Hook,
) -> Result<Generation> {
    let texts = Forest::of_texts(&[prompt.to_vec()])?;
    let mut all = generate_each(model, texts, plan, (hook, &mut |_, _| Next::More))?;
    Ok(all.remove(0))
}

/// Continues several texts at once, each from its node; texts may share nodes, as samples of one prompt do.
///
/// `each` sees every new token with the number of its text but the one that ends it, and says whether the text goes
/// on. What a text becomes does not depend on the others, but for the rounding of products over more rows. Hook and `each` are called on
/// one of rayon's threads.
///
/// # Errors
/// As [`Transformer::forward`]; [`crate::Error::Invalid`] for a sampling that means nothing.
pub fn generate_each(
    model: &Transformer,
    texts: (Forest, Vec<u32>),
    plan: &Continuation,
    watched: (&mut dyn Hook, &mut Each),
) -> Result<Vec<Generation>> {
    on_awake_threads(|| each_step(model, texts, plan, watched))
}

fn each_step(
    model: &Transformer,
    (mut forest, mut nodes): (Forest, Vec<u32>),
    plan: &Continuation,
    (hook, each): (&mut dyn Hook, &mut Each),
) -> Result<Vec<Generation>> {
    plan.sampling.check()?;
    if !model.generates() {
        let found = "an encoder, or a checkpoint without a language-model head";
        return Err(Error::invalid("model to generate with", found, "a causal language model with its head"));
    }
    model.check(&forest)?;
    let mut texts: Vec<Generation> = nodes
        .iter()
        .map(|&node| {
            let ids = forest.tokens_to(node);
            Generation { n_prompt: ids.len(), ids, first_logits: vec![], is_ended: false }
        })
        .collect();
    let mut samplers: Vec<Sampler> =
        (0..texts.len()).map(|i| Sampler::new(plan.sampling, i as u64)).collect();
    let has_room =
        |text: &Generation| text.ids.len() < (text.n_prompt + plan.n_new).min(model.spec.n_context);
    // The texts that go on; `nodes` are theirs.
    let mut going: Vec<usize> = (0..texts.len()).filter(|i| has_room(&texts[*i])).collect();
    nodes = going.iter().map(|i| nodes[*i]).collect();
    // A hook that only reads may stop a pass early; the logits need every block.
    let mut untouched = Untouched;
    let mut hook = Both(hook, &mut untouched);
    let mut cache = Cache::default();
    while !going.is_empty() {
        let stream = model.forward(&forest, Some(&mut cache), &mut hook)?;
        let logits = last_logits(model, &stream, (&forest, &nodes))?;
        let mut grown = Vec::new();
        let mut still = Vec::new();
        for ((&i, &node), logits) in going.iter().zip(&nodes).zip(logits) {
            let text = &mut texts[i];
            let next = samplers[i].pick(&logits, &text.ids)?;
            if text.first_logits.is_empty() {
                text.first_logits = logits;
            }
            text.ids.push(next);
            text.is_ended = plan.ends.contains(&next);
            if !text.is_ended && each(i, next) == Next::More && has_room(text) {
                grown.push((node, next));
                still.push(i);
            }
        }
        nodes = forest.grow_each(&grown);
        going = still;
    }
    Ok(texts)
}

/// The logits after some new nodes of a pass.
fn last_logits(
    model: &Transformer,
    stream: &Tensor,
    (forest, nodes): (&Forest, &[u32]),
) -> Result<Vec<Vec<f32>>> {
    let rows: Vec<u32> = nodes.iter().map(|node| node - forest.n_past() as u32).collect();
    let rows = Tensor::from_slice(&rows, rows.len(), stream.device())?;
    Ok(model.logits(&stream.index_select(&rows, 0)?)?.to_vec2()?) // [n_texts, d_vocab]
}
