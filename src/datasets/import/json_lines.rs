//! A JSON object a line; its fields are the columns.

use super::cells::{Cells, bad_row};
use crate::error::{Error, Result};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashSet};
use std::path::Path;

/// Reads a file of objects; blank lines are no rows, a field that an object lacks is empty there.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Cells> {
    let text = std::str::from_utf8(bytes).map_err(|e| Error::bad_file(path, e, "text in UTF-8"))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let mut objects: Vec<Map<String, Value>> = Vec::new();
    for (line, row) in lines.zip(1..) {
        let problem = |e: serde_json::Error| bad_row(path, row, format!("{e}; expected a JSON object"));
        objects.push(serde_json::from_str(line).map_err(problem)?);
    }
    let (mut columns, mut seen, mut nested) = (Vec::new(), HashSet::new(), BTreeSet::new());
    for (field, value) in objects.iter().flatten() {
        if value.is_array() || value.is_object() {
            nested.insert(field.clone());
        }
        if seen.insert(field) {
            columns.push(field.clone());
        }
    }
    columns.retain(|column| !nested.contains(column));
    let cell = |object: &Map<String, Value>, column: &String| match object.get(column) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let rows = objects.iter().map(|object| columns.iter().map(|column| cell(object, column)).collect());
    let rows = rows.collect();
    Ok(Cells { columns, rows, left_out: nested.into_iter().collect() })
}
