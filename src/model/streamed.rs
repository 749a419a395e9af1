//! Text as its tokens come: whole characters, and nothing beyond a stop string.

use super::tokenizer::Tokenizer;
use crate::error::Result;

/// What a decoder writes for bytes that are no character yet.
const UNFINISHED: char = '\u{fffd}';

/// Turns tokens into text one by one.
pub struct Streamed<'a> {
    tokenizer: &'a Tokenizer,
    stops: &'a [String],
    ids: Vec<u32>,
    /// Tokens before this one are no longer decoded.
    from: usize,
    /// Tokens before this one are in `text`.
    to: usize,
    text: String,
    n_told: usize,
    is_stopped: bool,
}

impl<'a> Streamed<'a> {
    /// The text after a prompt, up to the first of some strings.
    pub fn new(tokenizer: &'a Tokenizer, prompt: &[u32], stops: &'a [String]) -> Streamed<'a> {
        // One token before the new ones, so that a space at their beginning is kept.
        let ids = prompt[prompt.len().saturating_sub(1)..].to_vec();
        let to = ids.len();
        Streamed { tokenizer, stops, ids, from: 0, to, text: String::new(), n_told: 0, is_stopped: false }
    }

    /// Takes a token and gives what may be shown now that it is there.
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
        Ok(self.tell(self.text.len() - if self.is_stopped { 0 } else { self.held_back() }))
    }

    /// Whether a stop string came.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// What was held back, now that nothing more comes.
    ///
    /// # Errors
    /// As [`Streamed::push`].
    pub fn finish(&mut self) -> Result<String> {
        if !self.is_stopped {
            let known = self.tokenizer.decode(&self.ids[self.from..self.to])?;
            let longer = self.tokenizer.decode(&self.ids[self.from..])?;
            self.text += longer.get(known.len()..).unwrap_or_default();
            self.to = self.ids.len();
        }
        Ok(self.tell(self.text.len()))
    }

    /// All text so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn tell(&mut self, end: usize) -> String {
        let told = self.text.get(self.n_told..end).unwrap_or_default().to_string();
        self.n_told = self.n_told.max(end);
        told
    }

    /// How many bytes at the end may be the beginning of a stop string.
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
    use super::super::load::Model;
    use super::super::precision::Precision;
    use super::*;

    #[test]
    fn pieces_are_the_whole_and_characters_are_never_cut() {
        let tokenizer = Model::bundled(Precision::F32).unwrap().tokenizer;
        for text in ["Kraków north of 東京.", " naïve  two spaces", "a", "é"] {
            let ids = tokenizer.encode(text).unwrap().ids;
            let whole = tokenizer.decode(&ids).unwrap();
            let (prompt, new) = ids.split_at(1); // BOS
            let mut streamed = Streamed::new(&tokenizer, prompt, &[]);
            let mut pieces = String::new();
            for id in new {
                let piece = streamed.push(*id).unwrap();
                assert!(!piece.contains(UNFINISHED), "{text}: {piece}");
                pieces += &piece;
            }
            pieces += &streamed.finish().unwrap();
            assert_eq!((pieces.as_str(), streamed.text()), (whole.as_str(), whole.as_str()));
            assert_eq!(whole.trim_start(), text.trim_start());
        }
    }

    #[test]
    fn nothing_of_a_stop_string_is_shown() {
        let tokenizer = Model::bundled(Precision::F32).unwrap().tokenizer;
        let ids = tokenizer.encode("Oslo north of Rome. Paris").unwrap().ids;
        let stops = ["Rome. P".to_string(), "Lima".to_string()];
        let mut streamed = Streamed::new(&tokenizer, &ids[..1], &stops);
        let mut shown = String::new();
        for id in &ids[1..] {
            shown += &streamed.push(*id).unwrap();
            // The tokenizer puts a space before a text.
            assert!(" Oslo north of ".starts_with(&shown), "{shown}");
        }
        assert!(streamed.is_stopped());
        assert_eq!((shown + &streamed.finish().unwrap()).as_str(), " Oslo north of ");
        // What only looked like a stop string is shown at the end.
        let mut streamed = Streamed::new(&tokenizer, &ids[..1], &stops);
        let cut = &tokenizer.encode("to Rome").unwrap().ids[1..];
        let mut shown: String = cut.iter().map(|id| streamed.push(*id).unwrap()).collect();
        assert_eq!(shown, " to ");
        shown += &streamed.finish().unwrap();
        assert_eq!(shown, " to Rome");
    }
}
