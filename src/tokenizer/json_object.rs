//! Reads a JSON file that contains one object.

use crate::artefact;
use crate::error::{Error, Result};
use crate::limits::{CONFIG_BYTES, TOKENIZER_BYTES};
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
    const EXPECTED: &str = "a JSON object; fetch the file again";
    let is_config = path.file_name().is_some_and(|name| name == "config.json");
    let limit = if is_config { CONFIG_BYTES } else { TOKENIZER_BYTES };
    match artefact::json_of(path, &artefact::load_bytes(path)?, limit, EXPECTED)? {
        Value::Object(fields) => Ok(fields),
        _ => Err(Error::bad_file(path, "JSON that is not an object", EXPECTED)),
    }
}
