//! TOML files: an error in one line, with the file, the line and the column.

use crate::artefact;
use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use std::ops::Range;
use std::path::Path;

/// The maximum length of a text, in bytes; the parser needs about fifty times as much memory.
const MOST_BYTES: usize = 4 << 20;

/// Reads a TOML text; `path` names it in errors, and `expected` describes the content they ask for.
///
/// # Errors
/// [`Error::BadFile`] naming the line, the column, and the key where the parser knows it.
pub(super) fn parse<T: DeserializeOwned>(path: &Path, text: &str, expected: &str) -> Result<T> {
    if text.len() > MOST_BYTES {
        let found = format!("{} bytes of TOML", text.len());
        return Err(Error::bad_file(
            path,
            found,
            format!("at most {MOST_BYTES}; divide it into several files"),
        ));
    }
    let fails = |problem: String| Error::bad_file(path, problem, expected);
    artefact::caught(|| toml::from_str(text)).map_err(fails)?.map_err(|e: toml::de::Error| {
        // The parser's own display of an error has five lines and quotes the text.
        let message = e.message().trim().replace('\n', ", ");
        // In a flattened struct, the parser gives the start of the whole table, which is the start of a line; a value
        // never starts a line.
        let is_vague = |span: &Range<usize>| {
            text.get(..span.start).is_none_or(|before| before.is_empty() || before.ends_with('\n'))
        };
        let found = match (e.span(), wrong_key::<T>(text, e.message())) {
            (Some(span), _) if !is_vague(&span) => format!("{message} ({})", place(text, span.start)),
            (_, Some(key)) => format!("{message} (`{key}`)"),
            (Some(span), None) => format!("{message} ({})", place(text, span.start)),
            (None, None) => message,
        };
        Error::bad_file(path, found, expected)
    })
}

/// The key that causes an error: without it, the error disappears. The parser does not report the key in a flattened
/// struct.
fn wrong_key<T: DeserializeOwned>(text: &str, message: &str) -> Option<String> {
    let table: toml::Table = artefact::caught(|| toml::from_str(text)).ok()?.ok()?;
    let is_wrong = |key: &&String| {
        let mut others = table.clone();
        others.remove(*key);
        // Without a required key, the error is another one, which names this key.
        match T::deserialize(toml::Value::Table(others)) {
            Ok(_) => true,
            Err(other) => other.message() != message && !other.message().contains(&format!("`{key}`")),
        }
    };
    table.keys().find(is_wrong).cloned()
}

/// The line and the column of a byte, both counted from 1.
fn place(text: &str, at: usize) -> String {
    let before = &text.as_bytes()[..at.min(text.len())];
    let begin = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = String::from_utf8_lossy(&before[begin..]).chars().count() + 1;
    format!("line {line}, column {column}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[test]
    fn a_text_that_would_take_gigabytes_is_refused() {
        let long = "a = 1 ".repeat(1 << 20);
        let error = parse::<Inner>(Path::new("x.toml"), &long, "settings").unwrap_err().to_string();
        assert!(error.contains("x.toml") && error.contains("6291456 bytes"), "{error}");
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[serde(default)]
        _chat: bool,
    }

    #[derive(Debug, Deserialize)]
    struct Outer {
        _model: String,
        #[serde(flatten)]
        _inner: Inner,
    }

    #[test]
    fn the_key_of_an_error_in_a_part_is_named() {
        let text = "_model = 'm'\n_chat = 'yes'\n";
        let error = parse::<Outer>(Path::new("x.toml"), text, "an experiment").unwrap_err().to_string();
        assert!(error.contains("expected a boolean (`_chat`)"), "{error}");
        assert!(parse::<Outer>(Path::new("x.toml"), "_model = 'm'\n_chat = true\n", "one").is_ok());
    }

    #[test]
    fn an_error_is_one_line_with_its_place() {
        let error =
            |text: &str| parse::<toml::Table>(Path::new("x.toml"), text, "a table").unwrap_err().to_string();
        for (text, place) in [
            ("a = 1\nb = = 2\n", "line 2, column 5"),
            ("é = 1\n", "line 1, column 1"),
            ("a = 1\na = 2\n", "line 2, column 1"),
            ("a = \"\u{1b}[31m\"\n", "line 1, column 6"),
            ("a = [\n1,\n", "line 2, column 3"),
        ] {
            let error = error(text);
            assert!(error.starts_with("x.toml: found") && error.contains(place), "{text:?}: {error}");
            assert!(!error.contains(char::is_control), "{error:?}");
        }
    }
}
