//! Which tokens are changed, by their absolute place in the text.

use crate::error::{Error, Result};
use std::ops::Range;
use std::str::FromStr;

/// Which tokens of a text are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// The prompt's tokens.
    Prompt,
    /// The tokens that were generated.
    Generated,
    /// All tokens.
    All,
    /// The prompt's last token.
    Last,
}

impl FromStr for Where {
    type Err = Error;

    fn from_str(text: &str) -> Result<Where> {
        Ok(match text {
            "prompt" => Where::Prompt,
            "generated" => Where::Generated,
            "all" => Where::All,
            "last" => Where::Last,
            _ => return Err(Error::invalid("--at", text, "prompt, generated, all or last")),
        })
    }
}

/// The absolute positions that are changed; the same whether or not decoding uses a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Positions {
    range: Range<usize>,
}

impl Positions {
    /// The positions of a text with `n_prompt` tokens, of which the first `n_special` stand for no text.
    ///
    /// Special tokens such as BOS are left alone.
    pub fn new(at: Where, n_prompt: usize, n_special: usize) -> Positions {
        let range = match at {
            Where::Prompt => n_special..n_prompt,
            Where::Generated => n_prompt..usize::MAX,
            Where::All => n_special..usize::MAX,
            Where::Last => n_prompt - 1..n_prompt,
        };
        Positions { range }
    }

    /// The positions of a span of tokens.
    pub fn span(range: Range<usize>) -> Positions {
        Positions { range }
    }

    /// Whether a position is changed.
    pub fn contains(&self, position: u32) -> bool {
        self.range.contains(&(position as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_choice_takes_its_tokens_and_leaves_bos_alone() {
        let taken = |at: Where| -> Vec<u32> {
            let positions = Positions::new(at, 4, 1);
            (0..7).filter(|p| positions.contains(*p)).collect()
        };
        assert_eq!(taken(Where::Prompt), [1, 2, 3]);
        assert_eq!(taken(Where::Generated), [4, 5, 6]);
        assert_eq!(taken(Where::All), [1, 2, 3, 4, 5, 6]);
        assert_eq!(taken(Where::Last), [3]);
        assert!("everywhere".parse::<Where>().is_err());
    }
}
