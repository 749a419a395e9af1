//! Jinja as transformers sets it up for chat templates.

use super::arguments::refused;
use super::arithmetic::{self, check_widths};
use super::date::ChatDate;
use super::{filters, json, sequences, strings};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, State};
use minijinja_contrib::pycompat::unknown_method_callback;
use std::fmt::Write;

/// The limit of steps: hundreds of times the steps that one turn needs, so that only an endless template reaches it.
/// Filters, methods and operators also count steps for the bytes of the texts that they make.
const MOST_STEPS: u64 = 1_000_000;
/// The steps that each turn adds to the limit in a long conversation.
const STEPS_PER_TURN: u64 = 10_000;
/// The most bytes of the text of a list or map that a template prints.
const LONGEST: usize = 1 << 20;

/// The environment of templates; `date` is returned to templates that ask for the present date.
pub(super) fn environment(date: ChatDate) -> Environment<'static> {
    let mut environment = Environment::new();
    // These delimiters are Jinja's defaults, so that building cannot fail.
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_fuel(Some(MOST_STEPS));
    environment.set_formatter(|out, state, value| {
        // A list may contain the same list many times, and its text may then be endless.
        if value.as_object().is_some() {
            let mut bounded = Bounded(LONGEST);
            write!(bounded, "{value}")
                .map_err(|_| refused(format!("a text of more than {LONGEST} bytes")))?;
        }
        minijinja::escape_formatter(out, state, value)
    });
    environment.set_unknown_method_callback(method);
    filters::add(&mut environment);
    environment.add_filter("tojson", json::tojson);
    environment.add_filter("format", arithmetic::format);
    environment.add_function("raise_exception", |message: Value| -> Result<Value, Error> {
        Err(refused(format!("the template says: {message}")))
    });
    environment.add_function("strftime_now", move |format: String| date.format(&format).map_err(refused));
    environment
}

/// The limit of steps for a long conversation.
pub(super) fn steps(n_turns: usize) -> u64 {
    MOST_STEPS + STEPS_PER_TURN * n_turns as u64
}

/// A writer that only counts bytes; it contains the number that may still be written.
struct Bounded(usize);

impl std::fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0 = self.0.checked_sub(text.len()).ok_or(std::fmt::Error)?;
        Ok(())
    }
}

/// Calls a method of Python: ours, or minijinja's if we have none.
fn method(state: &mut State, value: &Value, name: &str, given: &[Value]) -> Result<Value, Error> {
    let ours = match value.as_str() {
        Some(text) => strings::method(state, text, name, given),
        None => sequences::method(state, value, name, given),
    };
    match ours {
        Err(error) if error.kind() == ErrorKind::UnknownMethod => {
            if let Some(text) = value.as_str().filter(|_| name == "format") {
                check_widths(text)?;
            }
            unknown_method_callback(state, value, name, given)
        }
        ours => ours,
    }
}

/// An error as a sentence, with the line of the template.
pub(super) fn sentence(error: &Error) -> String {
    let line = error.line().map_or(String::new(), |line| format!("line {line}: "));
    match error.detail() {
        // The detail of these errors is a whole sentence.
        Some(detail) if error.kind() == ErrorKind::InvalidOperation => format!("{line}{detail}"),
        Some(detail) => format!("{line}{}: {detail}", error.kind()),
        None => format!("{line}{}", error.kind()),
    }
}
