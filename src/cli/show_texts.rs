//! Shows the model's input texts, with their tokens and the recorded token.

use super::observer::TerminalObserver;
use mappa::Result;
use mappa::activations::{Placed, PromptedDataset, Recording, Span, Unplaced, place_texts};
use mappa::datasets::Dataset;
use mappa::lab::Prompting;
use mappa::model::{AttentionDirection, ModelInfo};
use mappa::tokenizer::Tokenizer;

/// Maximum number of listed entities without tokens of their own.
const MOST_UNPLACED: usize = 20;

/// Prints the first texts of a dataset, and the entities without tokens of their own in their texts.
pub(super) fn show(texts: &Prompting, outline: &ModelInfo, dataset: &Dataset, n: usize) -> Result<()> {
    let prompt = texts.prompt(dataset)?;
    let tokenizer = texts.tokenizer(outline.tokenizer.clone(), &mut TerminalObserver::default())?;
    let direction = outline.spec.attention.direction;
    let Placed { spans, unplaced } = place_texts(
        &tokenizer,
        &outline.spec,
        PromptedDataset { dataset, prompt: &prompt },
        Recording::default(),
    )?;
    let n_tokens: usize = spans.iter().map(|span| span.context(direction).len()).sum();
    say!("{}, prompt {} ({}), model {}", dataset.name, prompt.name, prompt.template(), outline.name);
    say!("BOS: {}; {} texts, {n_tokens} tokens", tokenizer.special_prefix()?, spans.len());
    if let Some(remark) = tokenizer.bos_conflict() {
        say!("note: {remark}");
    }
    for span in spans.iter().take(n) {
        let entity = &dataset.entities[span.entity];
        say!();
        say!("row {}: {}", entity.row, entity.name);
        say!("  text    {:?}", tokenizer.spell(&span.ids)?);
        say!("  tokens  {}", marked(&tokenizer, span));
        say!("  entity  {:?}", tokenizer.spell(span.tokens())?);
        say!("  read at token {} of {}, {}", span.last, span.ids.len(), read_at(&tokenizer, span, direction));
    }
    report(&unplaced, dataset);
    Ok(())
}

/// The tokens as in the vocabulary, the entity's tokens in brackets.
fn marked(tokenizer: &Tokenizer, span: &Span) -> String {
    let token = |(i, id): (usize, &u32)| {
        let open = if i == span.first { "[" } else { "" };
        let close = if i == span.last { "]" } else { "" };
        format!("{open}{}{close}", tokenizer.token(*id).escape_debug())
    };
    span.ids.iter().enumerate().map(token).collect::<Vec<_>>().join(" ")
}

fn read_at(tokenizer: &Tokenizer, span: &Span, direction: AttentionDirection) -> String {
    let token = tokenizer.token(span.ids[span.last]).escape_debug().to_string();
    match direction {
        AttentionDirection::Causal if span.last + 1 < span.ids.len() => {
            format!("{token}; the model does not see the tokens after it")
        }
        _ => token,
    }
}

fn report(unplaced: &[Unplaced], dataset: &Dataset) {
    if unplaced.is_empty() {
        return;
    }
    say!();
    say!("{} of {} entities have no tokens of their own:", unplaced.len(), dataset.entities.len());
    for Unplaced { row, name, text, problem, .. } in unplaced.iter().take(MOST_UNPLACED) {
        say!("  row {row}: {name:?} in {text:?}: {problem}");
    }
    if unplaced.len() > MOST_UNPLACED {
        say!(
            "  … and {} more; --skip-unplaced leaves them out and lists all in unplaced.csv",
            unplaced.len() - MOST_UNPLACED
        );
    }
}
