//! Notes on what a user may not have meant, each given once.

use super::terminal;
use mappa::tokenizer::Tokenizer;

/// Says that a prompt writes the token which the tokenizer puts before it as well.
pub fn doubled_bos(tokenizer: &Tokenizer, prompt: &str) {
    if let Some(note) = tokenizer.doubled_bos(prompt) {
        terminal::note(&note);
    }
}
