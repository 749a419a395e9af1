//! A text with and without a change, in one call.

use super::super::folders::Lab;
use super::super::saved_probes::ProbeFinder;
use super::change::Change;
use crate::error::Result;
use crate::model::{Continuation, Hook, Model, NoHook, generate};
use crate::progress::Silent;
use std::fmt;

/// Number of generated tokens.
const N_TOKENS: usize = 24;

/// A prompt with its two continuations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SteeredText {
    /// The prompt.
    pub prompt: String,
    /// The continuation without the change.
    pub unsteered: String,
    /// The continuation with the change.
    pub steered: String,
}

impl fmt::Display for SteeredText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SteeredText { prompt, unsteered, steered } = self;
        write!(f, "unsteered: {prompt}{unsteered}\nsteered:   {prompt}{steered}")
    }
}

impl SteeredText {
    /// Continues a prompt by greedy decoding, without and with a change.
    ///
    /// # Errors
    /// Those of the change; [`crate::Error::Invalid`] if the model cannot generate text.
    pub fn new(lab: &Lab, model: &Model, prompt: &str, change: &Change) -> Result<SteeredText> {
        let observer = &mut Silent;
        let encoded = model.tokenizer.encode_prompt(prompt, 0..prompt.len())?;
        let finder = ProbeFinder::new(lab, model, &change.probes);
        let change = change.settled(&finder, observer)?;
        let mut hook = change.steers(&finder, &encoded, observer)?;
        let plan = Continuation::greedy(N_TOKENS).until_end(model.tokenizer.end_tokens());
        let text = |hook: &mut dyn Hook| {
            let written = generate(&model.transformer, &encoded.encoded.ids, &plan, hook)?;
            model.tokenizer.spell(written.written_ids())
        };
        let (unsteered, steered) = (text(&mut NoHook)?, text(&mut hook)?);
        Ok(SteeredText { prompt: prompt.into(), unsteered, steered })
    }
}
