//! The names of enum values: one table per enum, for parsing and printing.

use crate::error::{Error, Result};

/// The value of a word in a table.
///
/// # Errors
/// [`Error::Invalid`] listing the words of the table.
pub(super) fn parse<T: Copy>(choice: &str, word: &str, table: &[(&str, T)]) -> Result<T> {
    let found = table.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let words: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
        Error::invalid(choice, word, words.join(", "))
    })
}

/// The word of a value; empty if the table lacks it.
pub(super) fn name_of<T: PartialEq>(value: &T, table: &[(&'static str, T)]) -> &'static str {
    table.iter().find(|(_, known)| known == value).map_or("", |(name, _)| name)
}
