//! Decoding: the flags that choose tokens, and the display of generated texts.

use super::terminal::{self, print_text};
use super::within::within;
use clap::Args;
use mappa::Result;
use mappa::limits::{ANY, SAMPLES};
use mappa::model::{Callbacks, Continuation, Forest, Hook, Model, Prompts, Sampling, generate_each};
use mappa::tokenizer::{EncodedPrompt, StreamingDecoder};
use std::ops::ControlFlow;
use std::time::Instant;

/// Default number of tokens for steering and `mappa generate`.
const FEW: usize = 24;

/// Flags of the decoding: number of tokens, sampling, and stop strings.
#[derive(Args, Clone)]
pub(super) struct Tokens {
    /// Number of tokens to generate [default: 24, in a conversation 512].
    #[arg(long, value_parser = within(ANY))]
    tokens: Option<usize>,
    /// Sample at this temperature; 0 takes the most probable token.
    #[arg(long, default_value_t = 0.0)]
    temperature: f64,
    /// Sample only from this number of most probable tokens.
    #[arg(long)]
    top_k: Option<usize>,
    /// Sample only from the most probable tokens that together have this probability mass.
    #[arg(long, default_value_t = 1.0)]
    top_p: f64,
    /// Lower the probability of tokens that have already occurred; 1 has no effect, 1.2 is strong.
    #[arg(long, default_value_t = 1.0)]
    repetition_penalty: f64,
    /// Seed of the sampling.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// End a text before this string; repeat for several.
    #[arg(long, value_name = "STRING")]
    stop: Vec<String>,
    /// Print the number of generated tokens per second, without the time for the prompt.
    #[arg(long)]
    time: bool,
}

/// Flags of the decoding and of the display of texts.
#[derive(Args, Clone)]
pub(super) struct How {
    #[command(flatten)]
    pub tokens: Tokens,
    /// Number of texts to generate.
    #[arg(long, default_value_t = 1, value_parser = within(SAMPLES))]
    pub samples: usize,
    /// Put the prompt in the user's turn of the model's chat template.
    #[arg(long)]
    pub chat: bool,
    /// Print the first text while it is generated, then the others. `mappa steer` then prints steered texts only.
    #[arg(long)]
    pub stream: bool,
}

impl How {
    /// The encoded prompt, inside the chat template if requested.
    pub(super) fn framed(&self, model: &Model, prompt: &str) -> Result<EncodedPrompt> {
        if let Some(note) = model.tokenizer.doubled_bos(prompt) {
            terminal::note(&note);
        }
        model.tokenizer.encode_prompt(prompt, 0..prompt.len())
    }

    /// Generates the continuations of a prompt; `shown` receives the pieces of the first text as they are generated.
    ///
    /// Samples share the prompt's nodes, so that the prompt is computed once.
    pub(super) fn texts(
        &self,
        model: &Model,
        prompt: &EncodedPrompt,
        hook: &mut dyn Hook,
        shown: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Vec<String>> {
        let (forest, last) = Forest::of_texts(std::slice::from_ref(&prompt.encoded.ids))?;
        let last = last.repeat(self.samples.max(1));
        self.tokens.texts(model, Prompts { forest, last }, hook, shown)
    }
}

impl Tokens {
    /// Sets the number of tokens if the flag does not.
    pub(super) fn usually(self, n: usize) -> Tokens {
        Tokens { tokens: Some(self.tokens.unwrap_or(n)), ..self }
    }

    fn continuation(&self, model: &Model) -> Continuation {
        let sampling = Sampling {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            repetition_penalty: self.repetition_penalty,
            seed: self.seed,
        };
        Continuation { sampling, ..Continuation::greedy(self.tokens.unwrap_or(FEW)) }
            .until_end(model.tokenizer.end_tokens())
    }

    /// Generates texts that follow the nodes of a forest; `shown` receives the pieces of the first text as they are
    /// generated.
    pub(super) fn texts(
        &self,
        model: &Model,
        prompts: Prompts,
        hook: &mut dyn Hook,
        shown: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Vec<String>> {
        let Prompts { forest, last } = &prompts;
        let begun: Vec<Vec<u32>> = last.iter().map(|node| forest.tokens_to(*node)).collect();
        let mut streamed: Vec<StreamingDecoder> =
            begun.iter().map(|ids| StreamingDecoder::new(&model.tokenizer, ids, &self.stop)).collect();
        let mut failed = Ok(());
        let (mut first, mut latest, mut n_after) = (None, None, 0);
        let mut each = |i: usize, id: u32| {
            let now = Instant::now();
            n_after += i32::from(first.is_some());
            (first, latest) = (first.or(Some(now)), Some(now));
            match streamed[i].push(id) {
                Ok(piece) => {
                    if i == 0 {
                        shown(&piece);
                    }
                    if streamed[i].is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                }
                Err(error) => {
                    failed = Err(error);
                    ControlFlow::Break(())
                }
            }
        };
        let callbacks = Callbacks { hook, on_token: Some(&mut each) };
        generate_each(&model.transformer, prompts, &self.continuation(model), callbacks)?;
        failed?;
        if let (Some(first), Some(latest), true) = (first, latest, self.time) {
            let seconds = latest.duration_since(first).as_secs_f64();
            tell!(
                "{n_after} tokens after the first in {seconds:.4} s: {:.2} per second",
                f64::from(n_after) / seconds
            );
        }
        for (i, one) in streamed.iter_mut().enumerate() {
            let rest = one.finish()?;
            if i == 0 {
                shown(&rest);
            }
        }
        Ok(streamed.iter().map(|one| one.text().to_string()).collect())
    }
}

/// Prints the first text while it is generated, then the other samples.
pub(super) fn stream(how: &How, model: &Model, prompt: &EncodedPrompt, hook: &mut dyn Hook) -> Result<()> {
    print_text(&prompt.text);
    let texts = how.texts(model, prompt, hook, &mut print_text)?;
    print_text("\n");
    texts.iter().skip(1).for_each(|text| print_text(&format!("{}{text}\n", prompt.text)));
    Ok(())
}
