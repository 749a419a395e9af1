//! Which tokens of a text are the entity's: by character offsets, never by counting.

use crate::datasets::{Entity, PromptedEntity};
use crate::error::{Error, Result};
use crate::model::Tokenizer;
use serde::{Deserialize, Serialize};

/// An entity's tokens within its tokenised text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The text's tokens up to and with the entity's last; what follows cannot change its state.
    pub ids: Vec<u32>,
    /// Index of the entity's first token.
    pub first: usize,
}

impl Span {
    /// The entity's own tokens.
    pub fn tokens(&self) -> &[u32] {
        &self.ids[self.first..]
    }
}

/// One line of `spans.csv`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpanRow {
    /// The entity's row in its dataset, counted from 1.
    pub row: u64,
    /// The entity.
    pub name: String,
    /// The entity's token ids, separated by spaces.
    pub token_ids: String,
    /// Those tokens as text.
    pub decoded: String,
    /// How many they are.
    pub n_tokens: usize,
    /// Position of the last of them in the text, from 0; where the activation was read.
    pub position: usize,
}

/// Finds the entity's tokens in its text.
///
/// # Errors
/// [`Error::EntityNotPlaced`] if no token ends where the entity ends, or a token mixes the entity with
/// what stands beside it.
pub fn place(
    tokenizer: &Tokenizer,
    dataset: &str,
    entity: &Entity,
    prompted: &PromptedEntity,
) -> Result<Span> {
    let failed = |problem: String| Error::EntityNotPlaced {
        dataset: dataset.to_string(),
        row: entity.row,
        name: entity.name.clone(),
        text: prompted.text.clone(),
        problem,
    };
    let encoded = tokenizer.encode(&prompted.text)?;
    let inside = |&(start, end): &(usize, usize)| start < end && start < prompted.end && end > prompted.start;
    let first = encoded.spans.iter().position(inside).ok_or_else(|| failed("no token covers it".into()))?;
    let last = encoded.spans.iter().rposition(inside).unwrap_or(first);
    let covered = (encoded.spans[first].0, encoded.spans[last].1);
    let text = prompted.text.get(covered.0..covered.1).unwrap_or_default();
    // A leading space may belong to the first token; anything else beside the name may not.
    if text.trim() != entity.name.trim() {
        return Err(failed(format!("the tokens that cover it spell `{text}`")));
    }
    Ok(Span { ids: encoded.ids[..=last].to_vec(), first })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::{Prompt, Target};
    use crate::training::train_tokenizer;
    use std::path::Path;

    fn tokenizer(lines: &[&str], d_vocab: usize) -> Tokenizer {
        let lines: Vec<String> = lines.iter().map(|l| l.to_string()).collect();
        Tokenizer::parse(Path::new("tokenizer.json"), &train_tokenizer(&lines, d_vocab).unwrap()).unwrap()
    }

    fn entity(name: &str) -> Entity {
        Entity { row: 4, name: name.into(), target: Target::Year(1.0), groups: vec![], is_test: false }
    }

    #[test]
    fn the_span_is_the_entity_and_nothing_after_it() {
        let tokenizer = tokenizer(&["Where is New Oslo now"; 3], 400);
        for (template, name) in [("", "New Oslo"), ("Where is {} now", "Oslo"), ("Where is {}", "Łódź (old)")]
        {
            let entity = entity(name);
            let prompted = Prompt::new(template).unwrap().fill(&entity);
            let span = place(&tokenizer, "places", &entity, &prompted).unwrap();
            assert_eq!(tokenizer.decode(span.tokens()).unwrap().trim(), name);
            assert!(!tokenizer.decode(&span.ids).unwrap().contains("now"));
        }
    }

    #[test]
    fn a_token_that_mixes_the_entity_with_its_neighbours_is_refused() {
        // Trained on `so.` alone, the full stop is merged into the name's last token... if it can be:
        // byte-level pieces split letters from punctuation, so the mix is made of letters.
        let tokenizer = tokenizer(&["Oslofjord"; 9], 400);
        let entity = entity("Oslo");
        let prompted = Prompt::new("{}fjord").unwrap().fill(&entity);
        let error = place(&tokenizer, "places", &entity, &prompted).unwrap_err().to_string();
        assert!(error.contains("places: row 4") && error.contains("Oslofjord"), "{error}");
    }
}
