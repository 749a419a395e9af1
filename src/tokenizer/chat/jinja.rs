//! Jinja as transformers sets it up for chat templates.

use super::arguments::refused;
use super::date::ChatDate;
use super::{filters, json, sequences, strings};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, State};
use minijinja_contrib::pycompat::unknown_method_callback;

/// The limit of steps: thousands of times the need of a turn, so that only an endless template reaches it.
const MOST_STEPS: u64 = 10_000_000;

/// The environment of templates; `date` is returned to templates that ask for the present date.
pub(super) fn environment(date: ChatDate) -> Environment<'static> {
    let mut environment = Environment::new();
    // These delimiters are Jinja's defaults, so that building cannot fail.
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_fuel(Some(MOST_STEPS));
    environment.set_unknown_method_callback(method);
    filters::add(&mut environment);
    environment.add_filter("tojson", json::tojson);
    environment.add_function("raise_exception", |message: Value| -> Result<Value, Error> {
        Err(refused(format!("the template says: {message}")))
    });
    environment.add_function("strftime_now", move |format: String| date.format(&format).map_err(refused));
    environment
}

/// Calls a method of Python: ours, or minijinja's if we have none.
fn method(state: &mut State, value: &Value, name: &str, given: &[Value]) -> Result<Value, Error> {
    let ours = match value.as_str() {
        Some(text) => strings::method(state, text, name, given),
        None => sequences::method(value, name, given),
    };
    match ours {
        Err(error) if error.kind() == ErrorKind::UnknownMethod => {
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
