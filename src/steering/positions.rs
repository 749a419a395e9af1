//! The tokens that are changed, by their absolute positions in the text.

use crate::error::{Error, Result};
use crate::tokenizer::EncodedPrompt;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// The choice of the tokens that are changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenChoice {
    /// The prompt's tokens.
    Prompt,
    /// The tokens that were generated.
    Generated,
    /// All tokens.
    All,
    /// The prompt's last token.
    Last,
    /// The special tokens before the text, such as BOS, which no other choice includes.
    Bos,
    /// The tokens of the text's subject, such as the entity in a template.
    Entity,
    /// The tokens of a phrase, at each of its occurrences in the prompt.
    Span(String),
    /// The tokens of several choices together.
    Several(Vec<TokenChoice>),
}

impl TokenChoice {
    /// Parses one choice, without a comma outside quotes.
    fn one(text: &str) -> Option<TokenChoice> {
        Some(match text.trim() {
            "prompt" => TokenChoice::Prompt,
            "generated" => TokenChoice::Generated,
            "all" => TokenChoice::All,
            "last" => TokenChoice::Last,
            "bos" => TokenChoice::Bos,
            "entity" => TokenChoice::Entity,
            other => {
                let phrase = other.strip_prefix("span:")?.trim_matches('"').trim();
                (!phrase.is_empty()).then(|| TokenChoice::Span(phrase.to_string()))?
            }
        })
    }
}

impl fmt::Display for TokenChoice {
    /// Writes the choice as the flag `--at` does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenChoice::Prompt => f.write_str("prompt"),
            TokenChoice::Generated => f.write_str("generated"),
            TokenChoice::All => f.write_str("all"),
            TokenChoice::Last => f.write_str("last"),
            TokenChoice::Bos => f.write_str("bos"),
            TokenChoice::Entity => f.write_str("entity"),
            TokenChoice::Span(phrase) => write!(f, "span:\"{phrase}\""),
            TokenChoice::Several(choices) => {
                let words: Vec<String> = choices.iter().map(TokenChoice::to_string).collect();
                f.write_str(&words.join(","))
            }
        }
    }
}

impl FromStr for TokenChoice {
    type Err = Error;

    /// Parses one choice, or several with commas; a phrase with a comma needs double quotes.
    fn from_str(text: &str) -> Result<TokenChoice> {
        let mut is_quoted = false;
        let parts = text.split(|c| {
            is_quoted ^= c == '"';
            c == ',' && !is_quoted
        });
        let choices = parts.map(TokenChoice::one).collect::<Option<Vec<TokenChoice>>>().ok_or_else(|| {
            let expected =
                "prompt, generated, all, last, bos, entity or span:\"a phrase of the prompt\", several with commas";
            Error::invalid("--at", text, expected)
        })?;
        Ok(match <[TokenChoice; 1]>::try_from(choices) {
            Ok([one]) => one,
            Err(several) => TokenChoice::Several(several),
        })
    }
}

/// The absolute positions that are changed; they do not depend on a key–value cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPositions {
    ranges: Vec<Range<usize>>,
}

impl TokenPositions {
    /// The positions of a choice in a prompt and its continuation.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a phrase does not occur in the prompt, or the choice has no tokens.
    pub fn new(at: &TokenChoice, prompt: &EncodedPrompt) -> Result<TokenPositions> {
        let (n_prompt, n_special) = (prompt.encoded.ids.len(), prompt.encoded.n_special());
        let one = |range: Range<usize>| Ok(std::iter::once(range).collect());
        let ranges: Vec<Range<usize>> = match at {
            TokenChoice::Prompt => one(n_special..n_prompt),
            TokenChoice::Generated => one(n_prompt..usize::MAX),
            TokenChoice::All => one(n_special..usize::MAX),
            TokenChoice::Last => one(n_special.max(n_prompt.saturating_sub(1))..n_prompt),
            TokenChoice::Bos => one(0..n_special),
            TokenChoice::Entity => Ok(tokens_of(&prompt.part, prompt).into_iter().collect()),
            TokenChoice::Span(phrase) => spans(phrase, prompt),
            TokenChoice::Several(choices) => {
                let each = choices.iter().map(|choice| Ok(TokenPositions::new(choice, prompt)?.ranges));
                Ok(each.collect::<Result<Vec<_>>>()?.concat())
            }
        }?;
        if ranges.iter().all(|range| range.is_empty()) {
            let found = format!("{at}, which selects no token of `{}`", prompt.text);
            return Err(Error::invalid("positions", found, "a choice that selects at least one token"));
        }
        Ok(TokenPositions { ranges })
    }

    /// The positions of a span of tokens.
    pub fn span(range: Range<usize>) -> TokenPositions {
        TokenPositions { ranges: std::iter::once(range).collect() }
    }

    /// True if a position is changed.
    pub fn contains(&self, position: u32) -> bool {
        self.ranges.iter().any(|range| range.contains(&(position as usize)))
    }
}

/// The tokens that cover a part of the text.
fn tokens_of(part: &Range<usize>, prompt: &EncodedPrompt) -> Option<Range<usize>> {
    let is_within = |span: &(usize, usize)| span.0 < part.end && part.start < span.1;
    let first = prompt.encoded.offsets.iter().position(is_within)?;
    let last = prompt.encoded.offsets.iter().rposition(is_within)?;
    Some(first..last + 1)
}

/// The tokens of each occurrence of a phrase.
fn spans(phrase: &str, prompt: &EncodedPrompt) -> Result<Vec<Range<usize>>> {
    let places = prompt.text.match_indices(phrase).map(|(at, _)| at..at + phrase.len());
    let ranges: Vec<Range<usize>> = places.filter_map(|part| tokens_of(&part, prompt)).collect();
    if ranges.is_empty() {
        let expected = format!("a phrase of the prompt `{}`", prompt.text);
        return Err(Error::invalid("span", phrase, expected));
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::Encoded;

    fn prompt() -> EncodedPrompt {
        let text = "Oslo is far from Oslo".to_string();
        let offsets = vec![(0, 0), (0, 2), (2, 4), (4, 7), (7, 11), (11, 16), (16, 21)];
        EncodedPrompt { part: 0..text.len(), text, encoded: Encoded { ids: (0..7).collect(), offsets } }
    }

    fn taken(at: &str) -> Vec<u32> {
        let positions = TokenPositions::new(&at.parse().unwrap(), &prompt()).unwrap();
        (0..10).filter(|p| positions.contains(*p)).collect()
    }

    #[test]
    fn a_choice_is_written_as_its_flag() {
        for text in
            ["prompt", "generated", "all", "last", "bos", "entity", "span:\"a, b\"", "last,span:\"x\""]
        {
            assert_eq!(text.parse::<TokenChoice>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn each_choice_has_its_tokens_and_not_bos() {
        assert_eq!(taken("prompt"), [1, 2, 3, 4, 5, 6]);
        assert_eq!(taken("generated"), [7, 8, 9]);
        assert_eq!(taken("all"), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(taken("last"), [6]);
        assert_eq!(taken("bos"), [0]);
        assert_eq!(taken("span:\"Oslo\""), [1, 2, 6]);
        assert_eq!(taken("span:far from"), [4, 5]);
        let far = EncodedPrompt { part: 8..16, ..prompt() };
        let entity = TokenPositions::new(&TokenChoice::Entity, &far).unwrap();
        assert_eq!((0..10).filter(|p| entity.contains(*p)).collect::<Vec<u32>>(), [4, 5]);
        assert_eq!(taken("entity"), [1, 2, 3, 4, 5, 6], "the whole text without a part");
        assert_eq!(taken("last, span:\"far from\",bos"), [0, 4, 5, 6]);
        assert_eq!(taken("bos,all"), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let with_comma =
            TokenChoice::Several(vec![TokenChoice::Span("Oslo, Norway".into()), TokenChoice::Last]);
        assert_eq!("span:\"Oslo, Norway\",last".parse::<TokenChoice>().unwrap(), with_comma);
        for wrong in ["everywhere", "span:", "span:\"\"", "last,", "last,everywhere", "span:Oslo, Norway", ""]
        {
            assert!(wrong.parse::<TokenChoice>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_missing_phrase_and_an_empty_choice_are_refused() {
        let error =
            TokenPositions::new(&TokenChoice::Span("Rome".into()), &prompt()).unwrap_err().to_string();
        assert!(error.contains("Rome") && error.contains("Oslo is far"), "{error}");
        assert!(TokenPositions::new(&"last,span:Rome".parse().unwrap(), &prompt()).is_err());
        let encoded = Encoded { ids: vec![0], offsets: vec![(0, 0)] };
        let empty = EncodedPrompt { text: String::new(), part: 0..0, encoded };
        assert!(TokenPositions::new(&TokenChoice::Last, &empty).is_err());
    }
}
