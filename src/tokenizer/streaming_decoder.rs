//! Incremental decoding: text while its tokens are generated, in whole characters, up to a stop string.

use super::hf_tokenizer::Tokenizer;
use crate::error::Result;

/// The decoder's output for bytes that do not complete a character yet.
const UNFINISHED: char = '\u{fffd}';

/// Decodes tokens one by one.
pub struct StreamingDecoder<'a> {
    tokenizer: &'a Tokenizer,
    stops: &'a [String],
    ids: Vec<u32>,
    /// The index of the first token that is decoded again with each new one.
    from: usize,
    /// The index of the first token whose text is not in `text` yet.
    to: usize,
    text: String,
    n_shown: usize,
    is_stopped: bool,
}

impl<'a> StreamingDecoder<'a> {
    /// A decoder for the text after a prompt, up to the first stop string.
    pub fn new(tokenizer: &'a Tokenizer, prompt: &[u32], stops: &'a [String]) -> StreamingDecoder<'a> {
        // Decoding starts one token before the new ones, so that a space at their beginning is kept.
        let ids = prompt[prompt.len().saturating_sub(1)..].to_vec();
        let to = ids.len();
        StreamingDecoder {
            tokenizer,
            stops,
            ids,
            from: 0,
            to,
            text: String::new(),
            n_shown: 0,
            is_stopped: false,
        }
    }

    /// Takes a token and returns the text that can be shown now.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] if the tokenizer does not know it.
    pub fn push(&mut self, id: u32) -> Result<String> {
        if self.is_stopped {
            return Ok(String::new());
        }
        self.ids.push(id);
        let known = self.tokenizer.decode(&self.ids[self.from..self.to])?;
        let longer = self.tokenizer.decode(&self.ids[self.from..])?;
        if longer.len() > known.len() && !longer.ends_with(UNFINISHED) {
            self.text += longer.get(known.len()..).unwrap_or_default();
            (self.from, self.to) = (self.to, self.ids.len());
        }
        let found = self
            .stops
            .iter()
            .filter(|stop| !stop.is_empty())
            .filter_map(|stop| self.text.find(stop.as_str()));
        if let Some(at) = found.min() {
            self.text.truncate(at);
            self.is_stopped = true;
        }
        Ok(self.show_to(self.text.len() - if self.is_stopped { 0 } else { self.held_back() }))
    }

    /// True after a stop string.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Ends the text and returns the rest that was held back.
    ///
    /// # Errors
    /// As [`StreamingDecoder::push`].
    pub fn finish(&mut self) -> Result<String> {
        if !self.is_stopped {
            let known = self.tokenizer.decode(&self.ids[self.from..self.to])?;
            let longer = self.tokenizer.decode(&self.ids[self.from..])?;
            self.text += longer.get(known.len()..).unwrap_or_default();
            self.to = self.ids.len();
        }
        Ok(self.show_to(self.text.len()))
    }

    /// The whole text so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text up to byte `end` that was not shown yet.
    fn show_to(&mut self, end: usize) -> String {
        let new = self.text.get(self.n_shown..end).unwrap_or_default().to_string();
        self.n_shown = self.n_shown.max(end);
        new
    }

    /// The number of bytes at the end that may begin a stop string.
    fn held_back(&self) -> usize {
        let begun = |stop: &String| {
            let parts = stop.char_indices().map(|(at, c)| at + c.len_utf8());
            parts.filter(|end| self.text.ends_with(&stop[..*end])).max().unwrap_or(0)
        };
        self.stops.iter().map(begun).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Model, Precision};

    #[test]
    fn pieces_join_to_the_whole_text_and_no_character_is_cut() {
        let tokenizer = Model::bundled(Precision::F32).unwrap().tokenizer;
        for text in ["Kraków north of 東京.", " naïve  two spaces", "a", "é"] {
            let ids = tokenizer.encode(text).unwrap().ids;
            let whole = tokenizer.decode(&ids).unwrap();
            let (prompt, new) = ids.split_at(1); // BOS
            let mut decoder = StreamingDecoder::new(&tokenizer, prompt, &[]);
            let mut pieces = String::new();
            for id in new {
                let piece = decoder.push(*id).unwrap();
                assert!(!piece.contains(UNFINISHED), "{text}: {piece}");
                pieces += &piece;
            }
            pieces += &decoder.finish().unwrap();
            assert_eq!((pieces.as_str(), decoder.text()), (whole.as_str(), whole.as_str()));
            assert_eq!(whole.trim_start(), text.trim_start());
        }
    }

    #[test]
    fn no_part_of_a_stop_string_is_shown() {
        let tokenizer = Model::bundled(Precision::F32).unwrap().tokenizer;
        let ids = tokenizer.encode("Oslo north of Rome. Paris").unwrap().ids;
        let stops = ["Rome. P".to_string(), "Lima".to_string()];
        let mut decoder = StreamingDecoder::new(&tokenizer, &ids[..1], &stops);
        let mut shown = String::new();
        for id in &ids[1..] {
            shown += &decoder.push(*id).unwrap();
            // The tokenizer puts a space before a text.
            assert!(" Oslo north of ".starts_with(&shown), "{shown}");
        }
        assert!(decoder.is_stopped());
        assert_eq!((shown + &decoder.finish().unwrap()).as_str(), " Oslo north of ");
        // The beginning of a stop string that is not completed is shown at the end.
        let mut decoder = StreamingDecoder::new(&tokenizer, &ids[..1], &stops);
        let cut = &tokenizer.encode("to Rome").unwrap().ids[1..];
        let mut shown: String = cut.iter().map(|id| decoder.push(*id).unwrap()).collect();
        assert_eq!(shown, " to ");
        shown += &decoder.finish().unwrap();
        assert_eq!(shown, " to Rome");
    }
}
