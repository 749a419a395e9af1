//! Checks for unpaired quote signs in CSV: because of one, a lenient reader would merge several rows into one cell.

use crate::error::{Error, Result};
use std::path::Path;

const EXPECTED: &str = "cells with quote signs at both ends or at none, and \"\" for a quote sign within a quoted cell; \
                        a file without quoting may have tabs between cells and the ending .tsv";

/// Refuses a quoted cell that never ends, and text after a cell's closing quote sign; `first_line` is the number of
/// the text's first line.
///
/// # Errors
/// [`Error::BadFile`] naming the lines.
pub(super) fn check(path: &Path, text: &str, separator: u8, first_line: usize) -> Result<()> {
    let bytes = text.as_bytes();
    let (mut at, mut line, mut is_start) = (0, first_line, true);
    while at < bytes.len() {
        if bytes[at] != b'"' || !is_start {
            is_start = bytes[at] == separator || b"\r\n".contains(&bytes[at]);
            line += usize::from(is_line_end(bytes, at));
            at += 1;
            continue;
        }
        let began = line;
        let Some(end) = closing(bytes, at + 1, &mut line) else {
            return Err(bad(path, format!("a quoted cell that begins in line {began} and does not end")));
        };
        (at, is_start) = (end + 1, false);
        let is_end = |next: &char| next.is_ascii() && (*next as u8 == separator || "\r\n".contains(*next));
        if let Some(next) = text[at..].chars().next().filter(|next| !is_end(next)) {
            let begin = if began == line { String::new() } else { format!(", which begins in line {began}") };
            let found = format!("`{next}` after the closing quote sign of a cell{begin}, in line {line}");
            return Err(bad(path, found));
        }
    }
    Ok(())
}

fn bad(path: &Path, found: String) -> Error {
    Error::bad_file(path, found, EXPECTED)
}

/// The position of the quote sign that ends a cell; counts lines on the way.
fn closing(bytes: &[u8], mut at: usize, line: &mut usize) -> Option<usize> {
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'"', Some(b'"')) => at += 1,
            (b'"', _) => return Some(at),
            _ => *line += usize::from(is_line_end(bytes, at)),
        }
        at += 1;
    }
    None
}

/// True if a line ends at this byte: at `\n`, or at a `\r` without `\n` after it.
pub(super) fn is_line_end(bytes: &[u8], at: usize) -> bool {
    bytes[at] == b'\n' || (bytes[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n'))
}

/// True if a quoted cell probably contains whole rows, between two stray quote signs: its first line has as many parts
/// as the row has cells from there on, of the same kinds (number or text), and at least one of them is a number.
pub(super) fn swallows(row: &[String], separator: u8) -> bool {
    let is_number = |cell: &str| cell.trim().parse::<f64>().is_ok();
    row.iter().enumerate().any(|(place, cell)| {
        let Some((first, _)) = cell.split_once(['\n', '\r']) else { return false };
        let parts: Vec<&str> = first.split(char::from(separator)).collect();
        let rest = &row[place + 1..];
        parts.len() == row.len() - place
            && parts[1..].iter().any(|part| is_number(part))
            && parts[1..].iter().zip(rest).all(|(part, cell)| is_number(part) == is_number(cell))
    })
}
