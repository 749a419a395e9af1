//! The words of text files, line by line.

use super::super::formats::Source;
use super::super::words::parts;
use crate::error::Result;
use crate::progress::{Observer, Progress, ProgressUnit};
use std::path::{Path, PathBuf};

/// The advice for a file that is not a text.
const TEXT: &str = "a text in UTF-8, also in gzip or zip, with white space between words";

/// The number of bytes that are read at once from a longer line.
const PIECE: u64 = 1 << 20;

/// Text files. The words of a line are near each other; words of different lines are not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Texts<'a> {
    pub paths: &'a [PathBuf],
}

impl Texts<'_> {
    /// Reads all words in their order, in lower case and without punctuation around them; a line ends with `None`.
    ///
    /// # Errors
    /// [`crate::Error::BadFile`] naming the file and the line; those of the receiver.
    pub(super) fn each_word(
        &self,
        stage: &str,
        observer: &mut dyn Observer,
        receive: &mut dyn FnMut(Option<&str>) -> Result<()>,
    ) -> Result<()> {
        let total = self.bytes();
        let (mut done, mut shown) = (0, 0);
        let mut show = |done| {
            let unit = ProgressUnit::Bytes;
            observer.progress(&Progress { stage, done, total, unit, detail: "" });
        };
        show(0);
        for path in self.paths {
            let mut lines = Lines::open(path)?;
            while let Some(is_end) = lines.next_piece()? {
                words_of(lines.text()?, receive)?;
                if is_end {
                    receive(None)?;
                }
                done += lines.piece.len() as u64;
                if done - shown > PIECE {
                    shown = done;
                    show(if total == 0 { done } else { done.min(total - 1) });
                }
            }
        }
        show(if total == 0 { done } else { total });
        Ok(())
    }

    /// The number of bytes of all files; 0, for unknown, if a file is compressed.
    fn bytes(&self) -> u64 {
        let is_packed = |path: &Path| {
            path.extension().is_some_and(|ending| ["gz", "zip"].iter().any(|packed| ending == *packed))
        };
        match self.paths.iter().any(|path| is_packed(path)) {
            true => 0,
            false => self.paths.iter().filter_map(|path| Some(std::fs::metadata(path).ok()?.len())).sum(),
        }
    }
}

/// Hands over the words of a text.
fn words_of(text: &str, receive: &mut dyn FnMut(Option<&str>) -> Result<()>) -> Result<()> {
    for part in parts(text) {
        let lower = part.to_lowercase();
        // `Rome's` and `Rome` are one word, as in the names that are looked up.
        let owner = lower.strip_suffix("'s").or_else(|| lower.strip_suffix("’s"));
        receive(Some(owner.unwrap_or(&lower)))?;
    }
    Ok(())
}

/// The lines of a file; a long one in several pieces, which end between words.
struct Lines {
    source: Source,
    /// The bytes of the piece.
    piece: Vec<u8>,
    /// The begin of the next piece.
    rest: Vec<u8>,
}

impl Lines {
    fn open(path: &Path) -> Result<Lines> {
        Ok(Lines { source: Source::open(path)?.expecting(TEXT), piece: Vec::new(), rest: Vec::new() })
    }

    /// Reads the next piece; returns true if a line ends with it, or `None` at the end of the file.
    fn next_piece(&mut self) -> Result<Option<bool>> {
        self.piece.clear();
        self.piece.append(&mut self.rest);
        let read = self.source.next_bytes(&mut self.piece, PIECE)?;
        if self.piece.is_empty() {
            return Ok(None);
        }
        if self.piece.last() == Some(&b'\n') || read < PIECE {
            return Ok(Some(true));
        }
        let space = self.piece.iter().rposition(u8::is_ascii_whitespace);
        let Some(space) = space else {
            return Err(self.source.bad_line(format!("more than {PIECE} bytes without white space")));
        };
        self.rest = self.piece.split_off(space);
        Ok(Some(false))
    }

    fn text(&self) -> Result<&str> {
        self.source.text(&self.piece)
    }
}
