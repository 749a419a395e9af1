//! Which tokens of a text are the entity's: by the tokens' places in the text, never by counting.

use crate::datasets::{Entity, PromptedEntity};
use crate::error::{Error, Result};
use crate::model::{Direction, Tokenizer};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// An entity's tokens within its tokenised text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The entity's index in its dataset; 0 for one that was placed alone.
    pub entity: usize,
    /// The whole text's tokens, with what the tokenizer puts before and after it.
    pub ids: Vec<u32>,
    /// Index of the entity's first token.
    pub first: usize,
    /// Index of the entity's last token.
    pub last: usize,
    /// The tokens from the first to the last that stand for some of the text: without BOS, `[CLS]`, `[SEP]`
    /// and their like.
    pub text: Range<usize>,
}

impl Span {
    /// The entity's own tokens.
    pub fn tokens(&self) -> &[u32] {
        &self.ids[self.first..=self.last]
    }

    /// The tokens that have a part in the state of the entity's last one.
    pub fn seen(&self, direction: Direction) -> &[u32] {
        match direction {
            Direction::Causal => &self.ids[..=self.last],
            Direction::Bidirectional => &self.ids,
        }
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
    /// Position of the last of them in the text, from 0.
    pub position: usize,
    /// The first of the entity's rows in the arrays, from 0.
    pub first_row: usize,
    /// How many rows it has: one, or one a token.
    pub n_rows: usize,
}

/// Finds the entity's tokens in its text.
///
/// # Errors
/// [`Error::EntityNotPlaced`] if a token mixes the entity with what stands beside it, or some of the
/// entity is in no token although the tokenizer does not clean it away.
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
    let (from, to) = (encoded.spans[first].0, encoded.spans[last].1);
    // A leading space may belong to the first token; anything else beside the name may not.
    let is_blank = |from: usize, to: usize| {
        from >= to || prompted.text.get(from..to).is_some_and(|beside| beside.trim().is_empty())
    };
    if !is_blank(from, prompted.start) || !is_blank(prompted.end, to) {
        let text = prompted.text.get(from..to).unwrap_or_default();
        return Err(failed(format!("the tokens that cover it spell `{text}`")));
    }
    if !is_whole(tokenizer, prompted, &encoded.spans[first..=last])? {
        let spelled = tokenizer.spell(&encoded.ids[first..=last])?;
        return Err(failed(format!("the tokenizer loses letters: its tokens are `{spelled}`")));
    }
    let stands_for_text = |&(start, end): &(usize, usize)| start < end;
    let end = encoded.spans.iter().rposition(stands_for_text).map_or(last, |at| at.max(last)) + 1;
    let start = encoded.spans.iter().position(stands_for_text).unwrap_or(first);
    Ok(Span { entity: 0, ids: encoded.ids, first, last, text: start..end })
}

/// Whether all of the entity is in its tokens: a tokenizer may clean away control characters and accents,
/// or join an accent to its letter, but without one of its letters it would be read as another name.
fn is_whole(tokenizer: &Tokenizer, prompted: &PromptedEntity, spans: &[(usize, usize)]) -> Result<bool> {
    let name = &prompted.text[prompted.start..prompted.end];
    let is_kept = |&(at, c): &(usize, char)| {
        let at = prompted.start + at;
        c.is_whitespace() || spans.iter().any(|&(start, end)| start <= at && at < end)
    };
    let kept: String = name.char_indices().filter(is_kept).map(|(_, c)| c).collect();
    Ok(kept == name || tokenizer.n_characters(name)? == tokenizer.n_characters(&kept)?)
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
            let seen = tokenizer.decode(span.seen(Direction::Causal)).unwrap();
            assert!(seen.trim().ends_with(name), "{seen}");
            let whole = tokenizer.decode(span.seen(Direction::Bidirectional)).unwrap();
            assert_eq!(whole.trim(), prompted.text);
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
