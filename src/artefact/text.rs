//! Text files: one function removes the byte order mark and refuses encodings other than UTF-8.

use super::files::load_bytes;
use crate::error::{Error, Result};
use std::path::Path;

/// The number of first bytes that are examined for UTF-16 without a byte order mark.
const LOOKED_AT: usize = 1024;

/// Reads a text file in UTF-8, without its byte order mark and with `\n` for each line end (`\r\n`, or `\r` alone).
///
/// # Errors
/// Those of [`load_bytes`](super::load_bytes) and of [`text_of`].
pub fn load_text(path: &Path) -> Result<String> {
    let bytes = load_bytes(path)?;
    let text = text_of(path, &bytes)?;
    Ok(match text.contains('\r') {
        true => text.replace("\r\n", "\n").replace('\r', "\n"),
        false => text.to_string(),
    })
}

/// The text in a file's bytes, without a byte order mark; `path` names the file in errors.
///
/// # Errors
/// [`Error::BadFile`] for UTF-16, UTF-32, Latin-1 and any other encoding, for NUL bytes, and for compressed files; each
/// gives advice, and the line if it is known.
pub fn text_of<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str> {
    if let Some((found, expected)) = other_kind(bytes) {
        return Err(Error::bad_file(path, found, expected));
    }
    let without_mark = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(without_mark).map_err(|e| not_utf8(path, without_mark, e))?;
    match text.find('\0') {
        None => Ok(text),
        Some(at) => {
            let found = format!("a NUL byte in line {}", line_at(without_mark, at));
            Err(Error::bad_file(path, found, "a text file; this one may be cut off, damaged or binary"))
        }
    }
}

/// The kind of a file by its first bytes, and advice; `None` for a file that may be UTF-8.
fn other_kind(bytes: &[u8]) -> Option<(String, String)> {
    let save_as = |name: &str, label: &str| {
        let expected = format!("UTF-8: convert it, for example with `iconv -f {name} -t UTF-8 FILE > NEW`");
        Some((format!("a text in {label}"), expected))
    };
    match bytes {
        // Before UTF-16, since the mark of UTF-32 begins with the mark of UTF-16.
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => save_as("UTF-32", "UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => save_as("UTF-16", "UTF-16"),
        [0x1f, 0x8b, ..] => {
            Some(("a gzip file".into(), "a text; unpack it, for example with `gunzip FILE`".into()))
        }
        [b'P', b'K', 3, 4, ..] => Some((
            "a zip archive, such as an Excel workbook".into(),
            "a text; unpack it, or save the sheet as \"CSV UTF-8\"".into(),
        )),
        _ => {
            let begin = &bytes[..bytes.len().min(LOOKED_AT)];
            let zeros = |odd: usize| begin.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
            let most = begin.len() / 2 * 4 / 5;
            let is_any = begin.len() >= 4;
            match (zeros(0), zeros(1)) {
                (even, 0) if is_any && even > most => save_as("UTF-16BE", "UTF-16 without a byte order mark"),
                (0, odd) if is_any && odd > most => save_as("UTF-16LE", "UTF-16 without a byte order mark"),
                _ => None,
            }
        }
    }
}

/// The error for bytes that are not UTF-8, with their line and the text before them.
fn not_utf8(path: &Path, bytes: &[u8], error: std::str::Utf8Error) -> Error {
    let at = error.valid_up_to();
    let line = line_at(bytes, at);
    if error.error_len().is_none() {
        let found = format!("a character that is cut off at the file's end, in line {line}");
        return Error::bad_file(path, found, "a complete text in UTF-8; download or copy the file again");
    }
    let begin = bytes[..at].iter().rposition(|byte| b"\r\n".contains(byte)).map_or(0, |end| end + 1);
    let before = String::from_utf8_lossy(&bytes[begin..at]);
    let n_before = before.chars().count();
    let before: String =
        before.chars().skip(n_before.saturating_sub(20)).filter(|c| !c.is_control()).collect();
    let found = format!("a byte that is not UTF-8 (0x{:02x}, after `{before}`) in line {line}", bytes[at]);
    let expected = "UTF-8: convert it; if it is Latin-1 or Windows-1252, with \
                    `iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW`";
    Error::bad_file(path, found, expected)
}

/// The line, counted from 1, of a byte position; `\n`, `\r\n` and `\r` end lines.
fn line_at(bytes: &[u8], at: usize) -> usize {
    let ends = |i: &usize| bytes[*i] == b'\n' || (bytes[*i] == b'\r' && bytes.get(i + 1) != Some(&b'\n'));
    (0..at).filter(ends).count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        load_text(file.path())
    }

    #[test]
    fn a_byte_order_mark_is_removed_once_and_every_line_end_is_a_line_feed() {
        assert_eq!(read("\u{feff}a\r\nb\rc\n".as_bytes()).unwrap(), "a\nb\nc\n");
        assert_eq!(read("\u{feff}".as_bytes()).unwrap(), "");
        assert_eq!(read("a\u{feff}b".as_bytes()).unwrap(), "a\u{feff}b", "within a text it is a character");
        assert_eq!(text_of(Path::new("x"), "\u{feff}é\r\n".as_bytes()).unwrap(), "é\r\n");
    }

    #[test]
    fn other_encodings_are_reported_by_line_with_the_way_out() {
        let utf16 = |text: &str, big: bool| -> Vec<u8> {
            text.encode_utf16()
                .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
                .collect()
        };
        for (bytes, parts) in [
            (utf16("\u{feff}name,year", false), ["in UTF-16", "iconv -f UTF-16 -t UTF-8"]),
            (utf16("\u{feff}name,year", true), ["in UTF-16", "iconv -f UTF-16 -t UTF-8"]),
            (utf16("name,year\nZoë,1", true), ["UTF-16 without", "iconv -f UTF-16BE"]),
            (utf16("name,year\nZoë,1", false), ["UTF-16 without", "iconv -f UTF-16LE"]),
            (b"\xff\xfe\0\0a\0\0\0".to_vec(), ["in UTF-32", "iconv -f UTF-32"]),
            (b"a\r\nb\rM\xe1laga,1\n".to_vec(), ["0xe1, after `M`) in line 3", "iconv -f WINDOWS-1252"]),
            (b"a\nZo\xc3".to_vec(), ["cut off at the file's end, in line 2", "again"]),
            (b"a\nb\0c".to_vec(), ["NUL byte in line 2", "damaged"]),
            (b"\x1f\x8b\x08".to_vec(), ["gzip", "gunzip"]),
            (b"PK\x03\x04".to_vec(), ["zip archive", "CSV UTF-8"]),
        ] {
            let error = read(&bytes).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{parts:?} are not in: {error}");
        }
    }
}
