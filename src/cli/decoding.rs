//! Decoding: the flags that choose tokens, and texts as they are generated.

use super::terminal;
use clap::Args;
use mappa::Result;
use mappa::model::{Callbacks, Continuation, Forest, Hook, Model, Prompts, Sampling, generate_each};
use mappa::tokenizer::{EncodedPrompt, StreamingDecoder};
use std::io::Write as _;
use std::ops::ControlFlow;
use std::time::Instant;

/// Tokens that steering and `mappa generate` write where nothing is asked for.
const FEW: usize = 24;

/// The choice of tokens: how many, how bold, and what ends a text.
#[derive(Args, Clone)]
pub(super) struct Tokens {
    /// Number of tokens to generate [default: 24, in a conversation 512].
    #[arg(long)]
    tokens: Option<usize>,
    /// Sample at this temperature; 0 takes the most probable token.
    #[arg(long, default_value_t = 0.0)]
    temperature: f64,
    /// Sample from this many most probable tokens.
    #[arg(long)]
    top_k: Option<usize>,
    /// Share of probability mass to sample from.
    #[arg(long, default_value_t = 1.0)]
    top_p: f64,
    /// Make tokens that stood before less probable; 1 is none, 1.2 is much.
    #[arg(long, default_value_t = 1.0)]
    repetition_penalty: f64,
    /// Seeds the sampling.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// End a text before this string; may be given more than once.
    #[arg(long, value_name = "STRING")]
    stop: Vec<String>,
    /// Say how many tokens a second were written, the prompt's pass not counted.
    #[arg(long)]
    time: bool,
}

/// The choice of tokens, and how texts are shown.
#[derive(Args, Clone)]
pub(super) struct How {
    #[command(flatten)]
    pub tokens: Tokens,
    /// Number of texts to write.
    #[arg(long, default_value_t = 1)]
    pub samples: usize,
    /// Put the prompt in the user's turn of the model's chat template.
    #[arg(long)]
    pub chat: bool,
    /// Show tokens as they come, one text after the other, instead of side by side.
    #[arg(long)]
    pub stream: bool,
}

impl How {
    /// A prompt as the model is given it.
    pub(super) fn framed(&self, model: &Model, prompt: &str) -> Result<EncodedPrompt> {
        if let Some(note) = model.tokenizer.doubled_bos(prompt) {
            terminal::note(&note);
        }
        model.tokenizer.encode_prompt(prompt, 0..prompt.len())
    }

    /// The texts that follow a prompt; `shown` sees the pieces of the first as they come.
    ///
    /// Samples share the prompt's nodes, so that it is computed once.
    pub(super) fn texts(
        &self,
        model: &Model,
        prompt: &EncodedPrompt,
        hook: &mut dyn Hook,
        shown: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Vec<String>> {
        let (forest, last) = Forest::of_texts(&vec![prompt.encoded.ids.clone(); self.samples.max(1)])?;
        self.tokens.texts(model, Prompts { forest, last }, hook, shown)
    }
}

impl Tokens {
    /// The same choice with another number of tokens where none is asked for.
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

    /// The texts that follow the nodes of a forest; `shown` sees the pieces of the first as they come.
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
            eprintln!(
                "{n_after} tokens after the first in {seconds:.4} s: {:.2} a second",
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

/// Shows a steered text while it is written.
pub(super) fn stream(how: &How, model: &Model, prompt: &EncodedPrompt, hook: &mut dyn Hook) -> Result<()> {
    print!("{}", prompt.text);
    let mut show = |piece: &str| {
        print!("{piece}");
        _ = std::io::stdout().flush();
    };
    let texts = how.texts(model, prompt, hook, &mut show)?;
    println!();
    texts.iter().skip(1).for_each(|text| println!("{}{text}", prompt.text));
    Ok(())
}
