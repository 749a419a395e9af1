//! The sign between the cells of a CSV file.

use crate::error::{Error, Result};
use std::path::Path;

/// Possible signs between cells, the usual one first.
const SIGNS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// The number of rows to examine.
const ROWS: usize = 50;

/// Excel's first line `sep=;`: the sign, and the text after the line.
pub(super) fn declared(text: &str) -> Option<(u8, &str)> {
    let line_end = text.find(['\r', '\n']).unwrap_or(text.len());
    let line = text[..line_end].trim_matches('"');
    let sign = line.get(..4).filter(|word| word.eq_ignore_ascii_case("sep=")).and(line.get(4..))?;
    let [sign] = sign.as_bytes() else { return None };
    let rest = &text[line_end..];
    let rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix(['\r', '\n'])).unwrap_or(rest);
    Some((*sign, rest))
        .filter(|(sign, _)| SIGNS.contains(sign) || (sign.is_ascii_punctuation() && *sign != b'"'))
}

/// The sign that splits the header and the first rows into equally many cells; of several such signs, the one with the
/// most cells; if there is none, the most frequent sign in the header.
///
/// # Errors
/// [`Error::BadFile`] if two signs give the same number of cells.
pub(super) fn find(path: &Path, text: &str) -> Result<u8> {
    let splits: Vec<(u8, usize)> =
        SIGNS.into_iter().filter_map(|sign| Some((sign, cells(text, sign)?))).collect();
    let Some(most) = splits.iter().map(|(_, n)| *n).max() else {
        return Ok(most_in_header(text));
    };
    let best: Vec<u8> = splits.iter().filter(|(_, n)| *n == most).map(|(sign, _)| *sign).collect();
    match best[..] {
        [sign] => Ok(sign),
        _ => {
            let signs = best.iter().map(|sign| format!("`{}`", char::from(*sign).escape_debug()));
            let found =
                format!("{}, which may each separate the cells", signs.collect::<Vec<_>>().join(" and "));
            Err(Error::bad_file(path, found, "a first line such as `sep=;` that names the separator"))
        }
    }
}

/// The number of cells in each of the first rows, if it is the same for all and above one.
fn cells(text: &str, sign: u8) -> Option<usize> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(sign)
        .flexible(true)
        .has_headers(false)
        .from_reader(text.as_bytes());
    let mut n = None;
    for record in reader.byte_records().take(ROWS) {
        let record = record.ok()?;
        if *n.get_or_insert(record.len()) != record.len() {
            return None;
        }
    }
    n.filter(|n| *n > 1)
}

/// The most frequent sign in the header.
fn most_in_header(text: &str) -> u8 {
    let header = text.split(['\r', '\n']).find(|line| !line.is_empty()).unwrap_or_default();
    let count = |sign: u8| header.bytes().filter(|byte| *byte == sign).count();
    // `max_by_key` takes the last of equal maxima, so the usual sign must come last.
    SIGNS.into_iter().rev().max_by_key(|sign| count(*sign)).unwrap_or(b',')
}
