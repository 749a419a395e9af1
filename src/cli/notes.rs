//! Notes on what a user may not have meant, each given once.

use mappa::model::Tokenizer;
use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex, PoisonError};

static GIVEN: LazyLock<Mutex<BTreeSet<String>>> = LazyLock::new(Mutex::default);

/// Says that a prompt writes the token which the tokenizer puts before it as well.
pub fn doubled_bos(tokenizer: &Tokenizer, prompt: &str) {
    let Some(note) = tokenizer.doubled_bos(prompt) else { return };
    if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(note.clone()) {
        eprintln!("note: {note}");
    }
}
