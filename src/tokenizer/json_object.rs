//! Reads a JSON file that contains one object.

use crate::artefact;
use crate::error::{Error, Result};
use serde_json::{Map, Value};
use std::path::Path;

/// The object in a JSON file; empty if the file does not exist.
///
/// # Errors
/// [`Error::BadFile`] for a file that is not JSON, or not an object.
pub(super) fn read(path: &Path) -> Result<Map<String, Value>> {
    if !path.is_file() {
        return Ok(Map::new());
    }
    let expected = "a JSON object; fetch the file again";
    match serde_json::from_str(&artefact::load_text(path)?) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Error::bad_file(path, "JSON that is not an object", expected)),
        Err(e) => Err(Error::bad_file(path, e, expected)),
    }
}
