//! A file's metadata, read key by key; a key that could change numbers and is not read is refused.

use super::header::{List, Value};
use crate::error::{Error, Result};
use crate::limits::{LAYERS, Limit};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::Path;

/// Keys of an architecture that change no number of the forward pass.
const HARMLESS: &[&str] = &[
    "classifier.output_labels", // a classifier behind the last block
    "classifier.pooling_type",
    "expert_used_count", // used only with experts, which are refused
    "pooling_type",      // the pooling of the stream to a text's embedding
    "rope.scaling.finetuned",
    "tensor_data_layout",
    "vocab_size",
];

/// Maximum number of a list's values in an error.
const SHOWN: usize = 8;

/// The metadata of one file, and the keys that were read so far.
pub(super) struct Metadata<'a> {
    path: &'a Path,
    values: &'a HashMap<String, Value>,
    read: RefCell<BTreeSet<String>>,
}

impl<'a> Metadata<'a> {
    pub(super) fn new(path: &'a Path, values: &'a HashMap<String, Value>) -> Metadata<'a> {
        Metadata { path, values, read: RefCell::default() }
    }

    /// The path of the file.
    pub(super) fn path(&self) -> &'a Path {
        self.path
    }

    fn value(&self, key: &str) -> Option<&'a Value> {
        self.read.borrow_mut().insert(key.to_string());
        self.values.get(key)
    }

    fn typed<T>(
        &self,
        key: &str,
        of: impl Fn(&'a Value) -> Option<T>,
        expected: impl fmt::Display,
    ) -> Result<Option<T>> {
        let Some(value) = self.value(key) else { return Ok(None) };
        of(value).map(Some).ok_or_else(|| self.unsupported(key, value, format!("{expected} is supported")))
    }

    /// The value of a key that must exist.
    pub(super) fn required<T>(&self, key: &str, found: Result<Option<T>>) -> Result<T> {
        found?.ok_or_else(|| {
            let expected = "the key, as llama.cpp's converter writes it; convert or fetch the model again";
            Error::bad_file(self.path, format!("no metadata key `{key}`"), expected)
        })
    }

    /// A whole number in a range, if the key exists.
    pub(super) fn count(&self, limit: Limit, key: &str) -> Result<Option<usize>> {
        self.typed(key, |value| whole(value, limit), limit)
    }

    /// A whole number in a range, if the key exists: one for all layers, or a list with the same number for each.
    pub(super) fn count_of_layers(&self, limit: Limit, key: &str, layers: &str) -> Result<Option<usize>> {
        let Some(Value::List(values)) = self.value(key) else { return self.count(limit, key) };
        let n_layers = self.required(layers, self.count(LAYERS, layers))?;
        let first = values.iter().next().filter(|first| values.iter().all(|value| value == *first));
        match first.and_then(|first| whole(&first, limit)).filter(|_| values.len() == n_layers) {
            Some(n) => Ok(Some(n)),
            None => {
                let shown: Vec<String> = values.iter().take(SHOWN).map(|value| value.to_string()).collect();
                let more = if values.len() > SHOWN { ", …" } else { "" };
                Err(Error::UnsupportedConfig {
                    path: self.path.to_path_buf(),
                    field: key.to_string(),
                    value: format!("[{}{more}]", shown.join(", ")),
                    expected: format!(
                        "{limit}, or a list with the same number for each of the {n_layers} layers, is supported"
                    ),
                })
            }
        }
    }

    /// A number, if the key exists.
    pub(super) fn number(&self, key: &str) -> Result<Option<f64>> {
        self.typed(key, number, "a number")
    }

    /// True or false, if the key exists.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>> {
        let of = |value: &Value| if let Value::Flag(flag) = value { Some(*flag) } else { None };
        self.typed(key, of, "true or false")
    }

    /// A text, if the key exists.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.typed(key, text, "a text")
    }

    /// Texts, if the key exists.
    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<&'a str>>> {
        let of = |value: &'a Value| match value {
            Value::Texts(texts) => Some(texts.iter().map(String::as_str).collect()),
            // A list without values may be of any type.
            Value::List(values) if values.len() == 0 => Some(vec![]),
            _ => None,
        };
        self.typed(key, of, "a list of texts")
    }

    /// Numbers, if the key exists.
    pub(super) fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>> {
        self.typed(
            key,
            |value| list(value)?.iter().map(|value| number(&value)).collect(),
            "a list of numbers",
        )
    }

    /// Flags, if the key exists and is a list of them.
    pub(super) fn flags(&self, key: &str) -> Option<Vec<bool>> {
        let of = |value: Value| if let Value::Flag(flag) = value { Some(flag) } else { None };
        list(self.value(key)?)?.iter().map(of).collect()
    }

    /// The error for an unsupported value.
    pub(super) fn unsupported(&self, key: &str, value: &Value, expected: impl ToString) -> Error {
        Error::UnsupportedConfig {
            path: self.path.to_path_buf(),
            field: key.to_string(),
            value: value.to_string(),
            expected: expected.to_string(),
        }
    }

    /// Refuses every key below `prefix` that was not read and is not known to be harmless.
    ///
    /// # Errors
    /// [`Error::UnsupportedConfig`] with the first such key.
    pub(super) fn finish(&self, prefix: &str) -> Result<()> {
        let read = self.read.borrow();
        let unread = |key: &&String| {
            let Some(name) = key.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.')) else {
                return false;
            };
            !read.contains(key.as_str()) && !HARMLESS.contains(&name)
        };
        match self.values.keys().filter(unread).min() {
            Some(key) => {
                let expected = "the key is unknown, so it may change numbers";
                Err(self.unsupported(key, &self.values[key], expected))
            }
            None => Ok(()),
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(x) => Some(*x),
        Value::Integer(n) => Some(*n as f64),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    if let Value::Text(text) = value { Some(text) } else { None }
}

fn list(value: &Value) -> Option<&List> {
    if let Value::List(values) = value { Some(values) } else { None }
}

/// A whole number in a range.
fn whole(value: &Value, limit: Limit) -> Option<usize> {
    if let Value::Integer(n) = value { limit.size(u64::try_from(*n).ok()?) } else { None }
}
