//! Arguments of a call in a template, positional or by keyword as in Python.

use minijinja::value::{Kwargs, Value};
use minijinja::{Error, ErrorKind};

/// The arguments of one call, in the order of the function's parameters.
pub(super) struct Arguments<'a> {
    names: &'a [&'a str],
    values: Vec<Option<Value>>,
}

/// An error about a template's call.
pub(super) fn refused(sentence: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, sentence.into())
}

impl<'a> Arguments<'a> {
    /// Assigns the given arguments to a function's parameters.
    pub(super) fn new(given: &[Value], names: &'a [&'a str]) -> Result<Arguments<'a>, Error> {
        let (by_place, by_name) = match given.split_last() {
            Some((last, rest)) if last.is_kwargs() => (rest, Some(Kwargs::try_from(last.clone())?)),
            _ => (given, None),
        };
        if by_place.len() > names.len() {
            let found = format!("{} arguments where at most {} are taken", by_place.len(), names.len());
            return Err(Error::new(ErrorKind::TooManyArguments, found));
        }
        let mut values: Vec<Option<Value>> = by_place.iter().cloned().map(Some).collect();
        values.resize(names.len(), None);
        if let Some(by_name) = by_name {
            for (slot, name) in values.iter_mut().zip(names).filter(|(_, name)| by_name.has(name)) {
                *slot = Some(by_name.get(name)?);
            }
            by_name.assert_all_used()?;
        }
        Ok(Arguments { names, values })
    }

    /// An optional argument; None means the default, as in most Python functions.
    pub(super) fn optional(&self, at: usize) -> Option<&Value> {
        self.values[at].as_ref().filter(|value| !value.is_none())
    }

    /// An argument if it was given, even as None.
    pub(super) fn given(&self, at: usize) -> Option<&Value> {
        self.values[at].as_ref()
    }

    /// A required argument.
    pub(super) fn required(&self, at: usize) -> Result<&Value, Error> {
        self.values[at].as_ref().ok_or_else(|| {
            Error::new(ErrorKind::MissingArgument, format!("`{}` is not given", self.names[at]))
        })
    }

    /// A required text.
    pub(super) fn text(&self, at: usize) -> Result<&str, Error> {
        self.required(at)?;
        self.optional_text(at)?.ok_or_else(|| refused(format!("`{}` is none, not a text", self.names[at])))
    }

    /// An optional text.
    pub(super) fn optional_text(&self, at: usize) -> Result<Option<&str>, Error> {
        let wrong =
            |value: &Value| refused(format!("`{}` is a {}, not a text", self.names[at], value.kind()));
        self.optional(at).map(|value| value.as_str().ok_or_else(|| wrong(value))).transpose()
    }

    /// An optional integer.
    pub(super) fn number(&self, at: usize) -> Result<Option<i64>, Error> {
        let wrong =
            |value: &Value| refused(format!("`{}` is a {}, not a number", self.names[at], value.kind()));
        self.optional(at).map(|value| i64::try_from(value.clone()).map_err(|_| wrong(value))).transpose()
    }

    /// True for an argument that was given and is true.
    pub(super) fn flag(&self, at: usize) -> bool {
        self.optional(at).is_some_and(Value::is_true)
    }
}
