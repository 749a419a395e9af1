//! word2vec's binary format: a header line, then for each word its bytes, a space, and its vector as little-endian f32.

use super::super::table::{Entry, WordVectors};
use super::source::{Header, Source};
use crate::error::{Error, Result};
use std::collections::HashSet;

/// Returns true if the first word after the header is not followed by numbers as text.
pub(super) fn is_binary(source: &mut Source, width: usize) -> Result<bool> {
    let ahead = source.ahead()?;
    let Some(space) = ahead.iter().position(|byte| *byte == b' ') else { return Ok(false) };
    let some = &ahead[space + 1..ahead.len().min(space + 1 + 4 * width)];
    Ok(!some.iter().all(|byte| byte.is_ascii_digit() || b"+-.eE \r\nnaif".contains(byte)) || some.is_empty())
}

/// Reads the needed words.
pub(super) fn read(
    source: &mut Source,
    header: Header,
    needed: &HashSet<String>,
    mut table: WordVectors,
) -> Result<WordVectors> {
    let (mut word, mut bytes, mut vector) = (Vec::new(), vec![0; 4 * header.width], Vec::new());
    for rank in 1..=header.n_words {
        source.until(b' ', &mut word)?;
        if !source.fill(&mut bytes)? {
            let found = format!("{} words of {}", rank - 1, header.n_words);
            return Err(Error::bad_file(&source.path, found, super::COMPLETE));
        }
        // Some programs write a line feed after each vector.
        let word = str::from_utf8(&word).map(|word| word.trim_start_matches('\n'));
        let Some(word) = word.ok().filter(|word| needed.contains(*word)) else { continue };
        vector.clear();
        vector.extend(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        if let Some(bad) = vector.iter().find(|value| !value.is_finite()) {
            let found = format!("{bad} in the vector of `{word}`, word {rank}");
            return Err(Error::bad_file(&source.path, found, "finite numbers"));
        }
        table.add(Entry { word, vector: &vector, rank });
    }
    if !source.ahead()?.iter().all(|byte| *byte == b'\n') {
        let found = format!("more than {} words", header.n_words);
        return Err(Error::bad_file(&source.path, found, super::COMPLETE));
    }
    Ok(table)
}
