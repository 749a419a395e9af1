//! Methods of Python's lists, tuples and maps that chat templates call and minijinja lacks.

use super::arguments::{Arguments, refused};
use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};

/// Calls a method by its name.
pub(super) fn method(value: &Value, name: &str, given: &[Value]) -> Result<Value, Error> {
    match (value.kind(), name) {
        (ValueKind::Seq, "index") => {
            let arguments = Arguments::new(given, &["value"])?;
            let wanted = arguments.required(0)?;
            let at = value.try_iter()?.position(|item| item == *wanted);
            at.map(Value::from).ok_or_else(|| refused(format!("{wanted:?} is not in the list")))
        }
        (ValueKind::Seq | ValueKind::Map, "copy") => Arguments::new(given, &[]).map(|_| value.clone()),
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}
