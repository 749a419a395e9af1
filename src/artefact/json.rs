//! JSON files that are parsed as a whole, after a check of their length.

use super::text::text_of;
use crate::error::{Error, Result};
use crate::limits::{Limit, check_memory, product};
use serde::de::DeserializeOwned;
use std::path::Path;

/// Maximum number of bytes of memory per byte of JSON. A list of single digits needs the most: a value per two bytes
/// and, while the list grows, its old and its new memory at once.
const MEMORY_PER_BYTE: usize = 48;

/// The value in a JSON file's bytes; `expected` describes the file in the error for other content.
///
/// # Errors
/// [`Error::BadFile`] for a file that is too long, or has other content; [`Error::Invalid`] if its value may not fit
/// into the free memory.
pub(crate) fn json_of<T: DeserializeOwned>(
    path: &Path,
    bytes: &[u8],
    limit: Limit,
    expected: &str,
) -> Result<T> {
    if limit.size(bytes.len() as u64).is_none() {
        let found = format!("{} bytes of JSON", bytes.len());
        return Err(Error::bad_file(path, found, format!("{expected} of at most {} bytes", limit.most)));
    }
    let what = format!("the JSON file {}", path.display());
    check_memory(&what, product([bytes.len(), MEMORY_PER_BYTE]), "use a smaller file")?;
    serde_json::from_str(text_of(path, bytes)?).map_err(|e| Error::bad_file(path, e, expected))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_file_above_the_limit_is_refused_with_both_lengths() {
        let read = |text: &str| {
            json_of::<Value>(Path::new("config.json"), text.as_bytes(), Limit::new(0, 8), "a config")
        };
        assert!(read("[1,2]").unwrap().is_array());
        let refusal = read("[1,2,3,4]").unwrap_err().to_string();
        assert_eq!(refusal, "config.json: found 9 bytes of JSON; expected a config of at most 8 bytes");
        assert!(read("[1,").unwrap_err().to_string().contains("a config"));
    }
}
