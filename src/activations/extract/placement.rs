//! The spans of all entities of a dataset, and the entities without a span.

use super::recording::Recording;
use super::span::{Span, place};
use super::text_model::{PromptedDataset, TextModel};
use crate::artefact;
use crate::datasets::{Dataset, Entity};
use crate::error::{Error, Result};
use crate::model::Spec;
use crate::tokenizer::{Tokenizer, draw_tokens};
use rayon::prelude::*;
use std::path::Path;

/// The spans of a dataset's entities in the tokens of their texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The spans found, in dataset order.
    pub spans: Vec<Span>,
    /// The entities without a span, in dataset order.
    pub unplaced: Vec<Unplaced>,
}

/// An entity without a span, or with a text that the model cannot process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unplaced {
    /// Its index among the dataset's entities.
    pub entity: usize,
    /// Its row in the dataset, counted from 1.
    pub row: u64,
    /// The entity's name.
    pub name: String,
    /// The whole text; the template, if a value for it is missing.
    pub text: String,
    /// The problem as a sentence.
    pub problem: String,
}

/// Finds every entity of a dataset in its text.
///
/// # Errors
/// [`Error::Invalid`] for a prompt that does not suit the dataset. An entity without a span is not an error here.
pub fn place_all(model: TextModel, texts: PromptedDataset, recording: Recording) -> Result<Placed> {
    place_texts(model.tokenizer, &model.transformer.spec, texts, recording)
}

/// Finds every entity of a dataset in its text, without the model's weights.
///
/// # Errors
/// As [`place_all`].
pub fn place_texts(
    tokenizer: &Tokenizer,
    spec: &Spec,
    texts: PromptedDataset,
    recording: Recording,
) -> Result<Placed> {
    let PromptedDataset { dataset, prompt } = texts;
    let texts = prompt.texts(dataset)?;
    let random = prompt.random_tokens().map(|random| (random, tokenizer.ordinary_tokens()));
    let place_one = |entity: &Entity| -> Result<Span, (String, String)> {
        let prompted = texts.of(entity).map_err(|problem| (prompt.written(), problem))?;
        let span = place(tokenizer, &prompted).map(|(span, begin)| match &random {
            Some((random, ids)) => {
                after_tokens(span, begin, &draw_tokens(ids, random.n, random.seed, entity.row))
            }
            None => span,
        });
        let readable =
            |span: Span| fits(spec, recording.context(&span, spec.attention.direction)).map(|()| span);
        span.and_then(readable).map_err(|problem| (prompted.text, problem))
    };
    let found: Vec<_> = dataset.entities.par_iter().map(place_one).collect();
    let mut placed = Placed { spans: Vec::with_capacity(found.len()), unplaced: Vec::new() };
    for (entity, (found, Entity { row, name, .. })) in found.into_iter().zip(&dataset.entities).enumerate() {
        match found {
            Ok(span) => placed.spans.push(Span { entity, ..span }),
            Err((text, problem)) => {
                placed.unplaced.push(Unplaced { entity, row: *row, name: name.clone(), text, problem });
            }
        }
    }
    Ok(placed)
}

/// Inserts `tokens` before a text's own tokens, after the special tokens (such as BOS) that end at `begin`.
fn after_tokens(mut span: Span, begin: usize, tokens: &[u32]) -> Span {
    span.ids.splice(begin..begin, tokens.iter().copied());
    span.first += tokens.len();
    span.last += tokens.len();
    span.text = span.text.start + tokens.len()..span.text.end + tokens.len();
    span
}

impl Placed {
    /// The spans, one per entity.
    ///
    /// # Errors
    /// [`Error::EntityNotPlaced`] naming the first entity without a span, and the rows of the others.
    pub fn require_all(self, dataset: &Dataset) -> Result<Vec<Span>> {
        let Some((first, others)) = self.unplaced.split_first() else { return Ok(self.spans) };
        let also = if others.is_empty() { String::new() } else { format!("; {}", also(others)) };
        Err(Error::EntityNotPlaced {
            dataset: dataset.name.to_string(),
            row: first.row,
            name: first.name.clone(),
            text: first.text.clone(),
            problem: format!("{}{also}; --skip-unplaced leaves such entities out", first.problem),
        })
    }
}

/// A phrase with the number of further entities without a span, and the first of their rows.
fn also(others: &[Unplaced]) -> String {
    const SHOWN: usize = 10;
    let list: Vec<String> = others.iter().take(SHOWN).map(|other| other.row.to_string()).collect();
    let more = if others.len() > SHOWN { " …" } else { "" };
    format!("{} more cannot be placed, rows {}{more}", others.len(), list.join(", "))
}

/// True if a span holds the token for unknown text, such as `[UNK]`.
pub(super) fn holds_unknown(tokenizer: &Tokenizer, span: &Span) -> bool {
    tokenizer.unknown_token().is_some_and(|unknown| span.tokens().contains(&unknown))
}

/// Checks that the model can process the tokens of a text; done before the first pass, so that a long run does not fail
/// at one entity.
fn fits(spec: &Spec, context: &[u32]) -> Result<(), String> {
    let Spec { n_context, d_vocab, .. } = *spec;
    if context.len() > n_context {
        let n = context.len();
        return Err(format!("found {n} tokens; expected at most {n_context}, the model's context"));
    }
    match context.iter().find(|id| **id as usize >= d_vocab) {
        Some(id) => {
            let advice = "the tokenizer may belong to another model";
            Err(format!("found token id {id}; expected below {d_vocab}; {advice}"))
        }
        None => Ok(()),
    }
}

/// Writes the entities without a span: row, name, text, problem.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn save_unplaced(path: &Path, unplaced: &[Unplaced]) -> Result<()> {
    let fault = |e: String| Error::Internal(e);
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["row", "name", "text", "problem"]).map_err(|e| fault(e.to_string()))?;
    for Unplaced { row, name, text, problem, .. } in unplaced {
        writer.write_record([&row.to_string(), name, text, problem]).map_err(|e| fault(e.to_string()))?;
    }
    artefact::save_bytes(path, &writer.into_inner().map_err(|e| fault(e.to_string()))?)
}
