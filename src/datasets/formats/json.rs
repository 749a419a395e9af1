//! JSON objects, one per line or all in one array; their fields are the columns.

use super::cells::{Cells, LeftOut, bad_row, check_columns, check_table};
use crate::error::{Error, Result};
use crate::limits::{CELLS, check_memory, product};
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::path::Path;

/// The fields of a row, without duplicates, and their order.
struct Object(HashMap<String, Value>, Vec<String>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Object, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let (mut fields, mut order) = (HashMap::new(), Vec::new());
                while let Some((field, value)) = map.next_entry::<String, Value>()? {
                    order.push(field.clone());
                    if fields.insert(field.clone(), value).is_some() {
                        let first = order.iter().position(|other| *other == field).unwrap_or_default() + 1;
                        let found =
                            format!("two fields `{field}`, number {first} and number {}", order.len());
                        return Err(A::Error::custom(found));
                    }
                }
                Ok(Object(fields, order))
            }
        }
        from.deserialize_map(Fields)
    }
}

/// Reads a file with one object per line; blank lines are skipped, and a missing field is an empty cell.
pub(super) fn lines(path: &Path, text: &str) -> Result<Cells> {
    check_size(text)?;
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let written = text.split('\n').zip(1..).filter(|(line, _)| !line.trim().is_empty());
    let (mut objects, mut lines) = (Vec::new(), Vec::new());
    for ((line, n), row) in written.zip(1u64..) {
        let problem = |e: serde_json::Error| {
            let place = if n as u64 == row { String::new() } else { format!("line {n}: ") };
            bad_row(path, row, format!("{place}{}; expected one JSON object per line", without_line(&e)))
        };
        objects.push(serde_json::from_str(line).map_err(problem)?);
        lines.push(n);
    }
    Ok(Cells { lines, ..table(path, text.len(), &objects)? })
}

/// Reads a file with an array of objects, or with one object per line.
pub(super) fn whole(path: &Path, text: &str) -> Result<Cells> {
    let expected =
        "an array of objects, `[{\"name\": …, …}, …]` (pandas: orient=\"records\"), or one object per line";
    match text.trim_start().chars().next() {
        Some('[') => {
            check_size(text)?;
            let objects: Vec<Object> =
                serde_json::from_str(text).map_err(|e| Error::bad_file(path, e, expected))?;
            table(path, text.len(), &objects)
        }
        // In pandas' default format and in GeoJSON, the file is one object, whose fields are not columns.
        Some('{') if serde_json::from_str::<IgnoredAny>(text).is_ok() => {
            Err(Error::bad_file(path, "one JSON object", expected))
        }
        Some('{') => lines(path, text),
        _ => Err(Error::bad_file(path, "neither an array nor an object", expected)),
    }
}

/// Compares the memory for the values of a text with the free memory: two bytes of text may become a value of dozens of
/// bytes.
fn check_size(text: &str) -> Result<()> {
    let values = text.bytes().filter(|byte| b",:[{".contains(byte)).count();
    check_memory("the JSON values", product([values, size_of::<Value>()]), "import a smaller file")
}

/// An error in one line, without serde's line number, which is always 1.
fn without_line(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column", " at column")
}

/// The objects' fields as columns; fields with lists or objects are left out. `n_bytes` is the length of their text.
fn table(path: &Path, n_bytes: usize, objects: &[Object]) -> Result<Cells> {
    let (mut columns, mut seen, mut nested) = (Vec::new(), HashSet::new(), BTreeSet::new());
    for (field, value) in objects.iter().flat_map(|one| one.1.iter().map(|field| (field, &one.0[field]))) {
        if value.is_array() || value.is_object() {
            nested.insert(field.clone());
        }
        if seen.insert(field) {
            columns.push(field.clone());
        }
    }
    columns.retain(|column| !nested.contains(column));
    check_columns(path, columns.len())?;
    let n_cells = product([objects.len(), columns.len()]);
    if n_cells > CELLS.most.max(n_bytes as u64) {
        let found = format!("{} rows with {} different fields in all", objects.len(), columns.len());
        let expected = format!(
            "rows with the same fields; with different ones, at most {} cells (rows times fields)",
            CELLS.most
        );
        return Err(Error::bad_file(path, found, expected));
    }
    check_table(objects.len(), usize::try_from(n_cells).unwrap_or(usize::MAX))?;
    let cell = |object: &Object, column: &String| match object.0.get(column) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let rows =
        objects.iter().map(|object| columns.iter().map(|column| cell(object, column)).collect()).collect();
    let left = |column: String| LeftOut { column, holds: "lists or records".into() };
    Ok(Cells { columns, rows, left_out: nested.into_iter().map(left).collect(), ..Cells::default() })
}
