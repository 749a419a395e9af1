//! Text with one word per line: the word, then the numbers of its vector, separated by spaces.
//!
//! GloVe's files have no header; word2vec's and fastText's have one. A word may contain spaces (`. . .` in GloVe's
//! larger files), so the numbers are counted from the end of the line.

use super::super::table::{Entry, WordVectors};
use super::source::{Header, Source};
use crate::error::{Error, Result};
use crate::limits::VECTOR_WIDTH;
use std::collections::HashSet;

/// Reads the needed words; without a header, the first line gives the width of a vector.
pub(super) fn read(
    source: &mut Source,
    header: Option<Header>,
    needed: &HashSet<String>,
    empty: &dyn Fn(usize) -> WordVectors,
) -> Result<WordVectors> {
    let mut table = header.map(|header| empty(header.width));
    let (mut line, mut rank, mut vector) = (Vec::new(), 0, Vec::new());
    while source.next_line(&mut line)?.is_some() {
        if line.is_empty() {
            continue;
        }
        rank += 1;
        let table = table.get_or_insert_with(|| empty(first_width(&line)));
        match table.width as u64 {
            0 => return Err(source.bad_line("no numbers after the first word")),
            width if VECTOR_WIDTH.size(width).is_none() => {
                return Err(source.bad_line(format!("vectors of {width} numbers")));
            }
            _ => {}
        }
        let Some((word, numbers)) = divide(&line, table.width) else {
            return Err(source.bad_line(format!("fewer than a word and {} numbers", table.width)));
        };
        // Some files have words that are not UTF-8; no name contains them.
        let Some(word) = str::from_utf8(word).ok().filter(|word| needed.contains(*word)) else { continue };
        vector.clear();
        for number in numbers.split(|byte| *byte == b' ').filter(|number| !number.is_empty()) {
            let value = str::from_utf8(number).ok().and_then(|number| number.parse::<f32>().ok());
            match value.filter(|value| value.is_finite()) {
                Some(value) => vector.push(value),
                None => {
                    let found = format!("`{}` in the vector of `{word}`", String::from_utf8_lossy(number));
                    return Err(source.bad_line(found));
                }
            }
        }
        table.add(Entry { word, vector: &vector, rank });
    }
    if let Some(header) = header.filter(|header| header.n_words != rank) {
        let found = format!("{rank} words of {}", header.n_words);
        return Err(Error::bad_file(&source.path, found, super::COMPLETE));
    }
    table.ok_or_else(|| Error::bad_file(&source.path, "no lines", super::EXPECTED))
}

/// The number of numbers in a line whose word has no spaces.
fn first_width(line: &[u8]) -> usize {
    line.split(|byte| *byte == b' ').filter(|part| !part.is_empty()).count().saturating_sub(1)
}

/// Divides a line before its last `width` numbers; `None` for a line with fewer.
fn divide(line: &[u8], width: usize) -> Option<(&[u8], &[u8])> {
    let mut rest = line;
    for _ in 0..width {
        let space = rest.iter().rposition(|byte| *byte == b' ')?;
        rest = &line[..space];
        // Several spaces between two numbers count as one.
        while rest.last() == Some(&b' ') {
            rest = &rest[..rest.len() - 1];
        }
    }
    (!rest.is_empty()).then(|| (rest, &line[rest.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_counted_from_the_end() {
        assert_eq!(divide(b". . . 0.5 -1", 2), Some((&b". . ."[..], &b" 0.5 -1"[..])));
        assert_eq!(divide(b"the  0.5   -1", 2), Some((&b"the"[..], &b"  0.5   -1"[..])));
        assert_eq!(divide(b"0.5 -1", 2), None);
        assert_eq!(first_width(b"the 1 2 3"), 3);
    }
}
