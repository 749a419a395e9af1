//! Methods of Python's lists, tuples and maps that chat templates call and minijinja lacks.

use super::arguments::{Arguments, refused};
use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

/// Calls a method by its name.
pub(super) fn method(state: &State, value: &Value, name: &str, given: &[Value]) -> Result<Value, Error> {
    match (value.kind(), name) {
        (ValueKind::Seq, "index") => {
            let arguments = Arguments::new(given, &["value"])?;
            let wanted = arguments.required(0)?;
            let mut at = None;
            for (place, item) in value.try_iter()?.enumerate() {
                state.consume_fuel(1)?;
                if item == *wanted {
                    at = Some(place);
                    break;
                }
            }
            at.map(Value::from).ok_or_else(|| refused(format!("{wanted:?} is not in the list")))
        }
        (ValueKind::Seq | ValueKind::Map, "copy") => Arguments::new(given, &[]).map(|_| value.clone()),
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}
