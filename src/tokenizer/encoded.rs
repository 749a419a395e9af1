//! A tokenised text, and a prompt with its tokens.

use std::ops::Range;

/// A tokenised text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The token ids, with the special tokens that the tokenizer adds before and after a text.
    pub ids: Vec<u32>,
    /// Each token's byte range in the text, start and end; empty for special tokens.
    pub offsets: Vec<(usize, usize)>,
}

/// A prompt as the model receives it, with its tokens and the byte range of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedPrompt {
    /// The whole text; in a chat, with everything that the template adds around the user's words.
    pub text: String,
    /// The part's byte range in the text.
    pub part: Range<usize>,
    /// The text's tokens.
    pub encoded: Encoded,
}

impl Encoded {
    /// The number of special tokens before the text, such as BOS.
    pub fn n_special(&self) -> usize {
        self.offsets.iter().take_while(|(start, end)| start == end).count()
    }
}
