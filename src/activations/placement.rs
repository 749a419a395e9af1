//! All of a dataset's entities in their tokenised texts, and those that have no place there.

use super::extract::Reader;
use super::recording::Recording;
use super::span::{Span, place};
use crate::datasets::{Dataset, Prompt};
use crate::error::{Error, Result};
use crate::model::{Spec, Tokenizer};

/// Where a dataset's entities stand in the tokens of their texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The spans that were found, in dataset order.
    pub spans: Vec<Span>,
    /// The entities that have none, in dataset order.
    pub unplaced: Vec<Unplaced>,
}

/// An entity that cannot be placed, or whose text the model cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unplaced {
    /// Its index among the dataset's entities.
    pub entity: usize,
    /// Its row in the dataset, counted from 1.
    pub row: u64,
    /// The entity.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// What stood in the way.
    pub problem: String,
}

/// Finds every entity of a dataset in its text.
///
/// # Errors
/// [`Error::Invalid`] if the tokenizer refuses a text; an entity without a place is no error here.
pub fn place_all(
    reader: Reader,
    (dataset, prompt): (&Dataset, &Prompt),
    recording: Recording,
) -> Result<Placed> {
    let spec = &reader.transformer.spec;
    let mut placed = Placed { spans: Vec::with_capacity(dataset.entities.len()), unplaced: Vec::new() };
    for (i, entity) in dataset.entities.iter().enumerate() {
        let prompted = prompt.fill(entity);
        let found = place(reader.tokenizer, &dataset.name, entity, &prompted);
        let problem = match found {
            Ok(span) => match fits(spec, recording.seen(&span, spec.attention.direction)) {
                Ok(()) => {
                    placed.spans.push(Span { entity: i, ..span });
                    continue;
                }
                Err(problem) => problem,
            },
            Err(Error::EntityNotPlaced { problem, .. }) => problem,
            Err(error) => return Err(error),
        };
        let (row, name) = (entity.row, entity.name.clone());
        placed.unplaced.push(Unplaced { entity: i, row, name, text: prompted.text, problem });
    }
    Ok(placed)
}

impl Placed {
    /// The spans, one for each entity.
    ///
    /// # Errors
    /// [`Error::EntityNotPlaced`] for the first entity without one, with the rows of the others.
    pub fn all_of(self, dataset: &Dataset) -> Result<Vec<Span>> {
        let Some((first, others)) = self.unplaced.split_first() else { return Ok(self.spans) };
        let also = if others.is_empty() { String::new() } else { format!("; {}", also(others)) };
        Err(Error::EntityNotPlaced {
            dataset: dataset.name.clone(),
            row: first.row,
            name: first.name.clone(),
            text: first.text.clone(),
            problem: format!("{}{also}", first.problem),
        })
    }
}

/// How many more rows have no place, and which, at least the first of them.
fn also(others: &[Unplaced]) -> String {
    const SHOWN: usize = 10;
    let list: Vec<String> = others.iter().take(SHOWN).map(|other| other.row.to_string()).collect();
    let more = if others.len() > SHOWN { " …" } else { "" };
    format!("nor can {} more be placed, rows {}{more}", others.len(), list.join(", "))
}

/// Whether a span holds the token that stands for what has none.
pub(super) fn holds_unknown(tokenizer: &Tokenizer, span: &Span) -> bool {
    tokenizer.unknown().is_some_and(|unknown| span.tokens().contains(&unknown))
}

/// Whether the model can read the tokens of a text; asked before the first pass, so that a long run does not end at
/// one entity.
fn fits(spec: &Spec, seen: &[u32]) -> Result<(), String> {
    let Spec { n_context, d_vocab, .. } = *spec;
    if seen.len() > n_context {
        let n = seen.len();
        return Err(format!("found {n} tokens; expected at most {n_context}, the model's context"));
    }
    match seen.iter().find(|id| **id as usize >= d_vocab) {
        Some(id) => {
            let advice = "the tokenizer may belong to another model";
            Err(format!("found token id {id}; expected below {d_vocab}; {advice}"))
        }
        None => Ok(()),
    }
}
