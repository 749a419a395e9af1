//! The format of a file, by the ending of its name in any letter case, and the reader of its cells.

use super::cells::Cells;
use super::{delimited, json, parquet};
use crate::artefact::{self, FileState};
use crate::error::{Error, Result};
use std::path::Path;

/// The endings of readable files, for a message.
pub(in crate::datasets) const ENDINGS: &str = ".csv, .tsv, .jsonl, .ndjson, .json or .parquet";

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::datasets) enum Format {
    Csv,
    Tsv,
    JsonLines,
    Json,
    Parquet,
}

impl Format {
    /// The format for the ending of a name.
    pub(crate) fn of(path: &Path) -> Option<Format> {
        // For `Path`, a file named `.csv` has no ending.
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        match name.rsplit_once('.')?.1 {
            "csv" => Some(Format::Csv),
            "tsv" | "tab" => Some(Format::Tsv),
            "jsonl" | "ndjson" => Some(Format::JsonLines),
            "json" => Some(Format::Json),
            "parquet" | "pq" => Some(Format::Parquet),
            _ => None,
        }
    }

    /// Reads the cells of a text in this format; `None` for Parquet, which is not a text format.
    fn read(self, path: &Path, text: &str) -> Option<Result<Cells>> {
        Some(match self {
            Format::Csv => delimited::csv(path, text),
            Format::Tsv => delimited::tsv(path, text),
            Format::JsonLines => json::lines(path, text),
            Format::Json => json::whole(path, text),
            Format::Parquet => return None,
        })
    }
}

/// Reads a file's cells and its SHA-256. The ending of `path` determines the format; `path` names the file in errors.
///
/// # Errors
/// [`Error::Invalid`] for an unknown ending; [`Error::BadFile`] for two columns with the same name or for no rows;
/// [`Error::BadRow`] naming the row.
pub(in crate::datasets) fn load(path: &Path, file: &Path) -> Result<(Cells, String)> {
    match Format::of(path) {
        Some(Format::Parquet) => {
            let state = FileState::of(&artefact::open_regular(file)?, file)?;
            let cells = parquet::read(path, file)?;
            cells.check(path)?;
            // The reader opens the path again, where the file may have changed.
            Ok((cells, state.hash(file)?))
        }
        Some(format) => parse(path, format, &artefact::load_bytes(file)?),
        None => Err(Error::invalid("file", path.display(), format!("a name that ends in {ENDINGS}"))),
    }
}

/// Reads the cells from the bytes of a text file, and their SHA-256.
///
/// # Errors
/// As [`load`].
pub(in crate::datasets) fn parse(path: &Path, format: Format, bytes: &[u8]) -> Result<(Cells, String)> {
    let cells = format.read(path, artefact::text_of(path, bytes)?);
    let cells = cells.unwrap_or_else(|| Err(Error::bad_file(path, "a binary format", "a text file")))?;
    cells.check(path)?;
    Ok((cells, artefact::hash(bytes)))
}
