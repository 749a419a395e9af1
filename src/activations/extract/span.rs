//! The span of an entity: its tokens in its text, found by the tokens' offsets in the text, never by counting tokens.

use crate::datasets::PromptedEntity;
use crate::error::Error;
use crate::model::AttentionDirection;
use crate::tokenizer::{EncodedPrompt, Tokenizer, without_spaces};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// An entity's tokens within its tokenised text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The entity's index in its dataset; 0 for an entity that was placed without a dataset.
    pub entity: usize,
    /// The tokens of the whole text, with the special tokens that the tokenizer adds before and after it.
    pub ids: Vec<u32>,
    /// Index of the entity's first token.
    pub first: usize,
    /// Index of the entity's last token.
    pub last: usize,
    /// The tokens from the first to the last that cover a part of the text: without BOS, `[CLS]`, `[SEP]`
    /// and other special tokens.
    pub text: Range<usize>,
}

impl Span {
    /// The entity's own tokens.
    pub fn tokens(&self) -> &[u32] {
        &self.ids[self.first..=self.last]
    }

    /// The tokens on which the activations at the entity's last token depend.
    pub fn context(&self, direction: AttentionDirection) -> &[u32] {
        match direction {
            AttentionDirection::Causal => &self.ids[..=self.last],
            AttentionDirection::Bidirectional => &self.ids,
        }
    }
}

/// One line of `spans.csv`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpanRow {
    /// The entity's row in its dataset, counted from 1.
    pub row: u64,
    /// The entity's name.
    pub name: String,
    /// The entity's token ids, separated by spaces.
    pub token_ids: String,
    /// The entity's tokens as text.
    pub decoded: String,
    /// The number of the entity's tokens.
    pub n_tokens: usize,
    /// Position of the entity's last token in the text, from 0.
    pub position: usize,
    /// The first of the entity's rows in the arrays, from 0.
    pub first_row: usize,
    /// The number of its rows: one, or one per token.
    pub n_rows: usize,
}

/// Finds the entity's tokens in its text, and the number of special tokens, such as BOS, before all text.
///
/// # Errors
/// The problem as a sentence: a token mixes the entity with the text next to it, or a part of the entity
/// is in no token although the tokenizer does not remove it.
pub(super) fn place(tokenizer: &Tokenizer, prompted: &PromptedEntity) -> Result<(Span, usize), String> {
    let EncodedPrompt { text, part, encoded } =
        tokenizer.frame(&prompted.text, prompted.start..prompted.end)?;
    let inside = |&(start, end): &(usize, usize)| start < end && start < part.end && end > part.start;
    let first = encoded.offsets.iter().position(inside).ok_or("no token covers it")?;
    let last = encoded.offsets.iter().rposition(inside).unwrap_or(first);
    let (from, to) = (encoded.offsets[first].0, encoded.offsets[last].1);
    let spell = |ids: &[u32]| tokenizer.spell(ids).map_err(|error| error.to_string());
    // Only spaces before the name may belong to its first token.
    let before = text.get(from..part.start).unwrap_or_default();
    if before.chars().any(|c| c != ' ') {
        let token = spell(&encoded.ids[first..=first])?;
        return Err(format!("its first token {token:?} also holds {before:?}, which stands before it"));
    }
    if let Some(after) = text.get(part.end..to).filter(|after| !after.is_empty()) {
        let token = spell(&encoded.ids[last..=last])?;
        return Err(format!("its last token {token:?} also holds {after:?}, which follows it"));
    }
    let ids = &encoded.ids[first..=last];
    let knows_all = tokenizer.unknown_token().is_none_or(|unknown| !ids.contains(&unknown));
    if tokenizer.decodes_exactly() && knows_all {
        check_spelling(tokenizer, &text[part], &spell(ids)?)?;
    } else if !is_whole(tokenizer, &text, part, &encoded.offsets[first..=last]).map_err(message)? {
        return Err(format!("the tokenizer loses letters: its tokens are `{}`", spell(ids)?));
    }
    let covers_text = |&(start, end): &(usize, usize)| start < end;
    let end = encoded.offsets.iter().rposition(covers_text).map_or(last, |at| at.max(last)) + 1;
    let start = encoded.offsets.iter().position(covers_text).unwrap_or(first);
    let n_special = encoded.n_special();
    Ok((Span { entity: 0, ids: encoded.ids, first, last, text: start..end }, n_special))
}

fn message(error: Error) -> String {
    error.to_string()
}

/// Checks that tokens spell a name: its letters as the tokenizer cleans or composes them, spaces before it, and
/// nothing else. Offsets do not prove it: they may leave out white space, or an accent that joined a letter.
fn check_spelling(tokenizer: &Tokenizer, name: &str, spelled: &str) -> Result<(), String> {
    if spelled.ends_with(char::is_whitespace) {
        return Err(format!("its tokens {spelled:?} also hold white space that follows it"));
    }
    if spelled.trim_start_matches(' ').starts_with(char::is_whitespace) {
        return Err(format!("its tokens {spelled:?} also hold white space that stands before it"));
    }
    if without_spaces(spelled) == without_spaces(name) {
        return Ok(());
    }
    let characters = |text: &str| tokenizer.characters(text).map_err(message);
    if characters(spelled)? == characters(name)? {
        return Ok(());
    }
    Err(format!(
        "its tokens spell {spelled:?}: the tokenizer loses letters, or joins them with neighbouring ones"
    ))
}

/// True if all of the entity is in its tokens: a tokenizer may remove control characters and accents,
/// or join an accent to its letter, but without one of its letters the model would get another name.
fn is_whole(
    tokenizer: &Tokenizer,
    text: &str,
    part: Range<usize>,
    spans: &[(usize, usize)],
) -> Result<bool, Error> {
    let name = &text[part.clone()];
    let is_kept = |&(at, c): &(usize, char)| {
        let at = part.start + at;
        c.is_whitespace() || spans.iter().any(|&(start, end)| start <= at && at < end)
    };
    let kept: String = name.char_indices().filter(is_kept).map(|(_, c)| c).collect();
    let n_characters = |text: &str| tokenizer.characters(text).map(|left| left.chars().count());
    Ok(kept == name || n_characters(name)? == n_characters(&kept)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::{Dataset, Prompt, parse};
    use crate::training::train_tokenizer;
    use std::path::Path;

    fn tokenizer(lines: &[&str], d_vocab: usize) -> Tokenizer {
        let lines: Vec<String> = lines.iter().map(|l| l.to_string()).collect();
        Tokenizer::parse(Path::new("tokenizer.json"), &train_tokenizer(&lines, d_vocab).unwrap()).unwrap()
    }

    fn placed(tokenizer: &Tokenizer, template: &str, name: &str) -> (Result<Span, String>, String) {
        let dataset: Dataset =
            parse(Path::new("places.csv"), format!("name,year\n{name},1\n").as_bytes()).unwrap();
        let prompt = Prompt::new(template).unwrap();
        let prompted = prompt.texts(&dataset).unwrap().of(&dataset.entities[0]).unwrap();
        (place(tokenizer, &prompted).map(|(span, _)| span), prompted.text)
    }

    #[test]
    fn the_span_is_the_entity_alone() {
        let tokenizer = tokenizer(&["Where is New Oslo now"; 3], 400);
        for (template, name) in [("", "New Oslo"), ("Where is {} now", "Oslo"), ("Where is {}", "Łódź (old)")]
        {
            let (span, text) = placed(&tokenizer, template, name);
            let span = span.unwrap();
            assert_eq!(tokenizer.decode(span.tokens()).unwrap().trim(), name);
            let context = tokenizer.decode(span.context(AttentionDirection::Causal)).unwrap();
            assert!(context.trim().ends_with(name), "{context}");
            let whole = tokenizer.decode(span.context(AttentionDirection::Bidirectional)).unwrap();
            assert_eq!(whole.trim(), text);
        }
    }

    #[test]
    fn a_token_that_mixes_the_entity_with_its_neighbours_is_refused() {
        // Byte-level pieces split letters from punctuation, so the mix is made of letters.
        let tokenizer = tokenizer(&["Oslofjord"; 9], 400);
        let problem = placed(&tokenizer, "{}fjord", "Oslo").0.unwrap_err();
        assert_eq!(problem, r#"its last token " Oslofjord" also holds "fjord", which follows it"#);
        let problem = placed(&tokenizer, "Oslo{}", "fjord").0.unwrap_err();
        assert_eq!(problem, r#"its first token " Oslofjord" also holds "Oslo", which stands before it"#);
    }
}
