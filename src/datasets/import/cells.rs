//! A file's cells as texts, whatever its format.

use super::{delimited, json_lines, parquet};
use crate::artefact;
use crate::error::{Error, Result};
use std::collections::HashSet;
use std::path::Path;

/// A file's columns and rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Cells {
    /// The columns' names, in file order.
    pub columns: Vec<String>,
    /// The rows' cells; a cell without a value is empty.
    pub rows: Vec<Vec<String>>,
    /// Columns that cannot be told as texts, such as lists.
    pub left_out: Vec<String>,
}

/// The formats by the endings of their files' names.
const ENDINGS: &str = ".csv, .tsv, .jsonl, .ndjson or .parquet";

impl Cells {
    /// Reads a file, its format told by the ending of `path`, which also stands in errors; gives the file's
    /// SHA-256 as well.
    ///
    /// # Errors
    /// Another ending, two columns of one name, no rows; what is wrong with a row, by its number.
    pub fn load(path: &Path, file: &Path) -> Result<(Cells, String)> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        let bytes = || artefact::load_bytes(file);
        let cells = match ending.as_deref() {
            Some("csv") => delimited::read(path, &bytes()?, b',')?,
            Some("tsv" | "tab") => delimited::read(path, &bytes()?, b'\t')?,
            Some("jsonl" | "ndjson") => json_lines::read(path, &bytes()?)?,
            Some("parquet" | "pq") => parquet::read(path, file)?,
            _ => {
                return Err(Error::invalid("file", path.display(), format!("a name that ends in {ENDINGS}")));
            }
        };
        cells.check(path)?;
        Ok((cells, artefact::hash(&bytes()?)))
    }

    fn check(&self, path: &Path) -> Result<()> {
        let mut seen = HashSet::new();
        if let Some(twice) = self.columns.iter().find(|column| !seen.insert(column.as_str())) {
            let found = format!("two columns `{twice}`");
            return Err(Error::bad_file(path, found, "another name for each column"));
        }
        if self.rows.is_empty() {
            return Err(Error::bad_file(path, "no rows", "one entity a row"));
        }
        Ok(())
    }

    /// The place of a column.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] listing those that are there.
    pub fn column(&self, path: &Path, name: &str) -> Result<usize> {
        self.columns.iter().position(|column| column == name).ok_or_else(|| {
            let column = match self.left_out.iter().any(|column| column == name) {
                true => format!("{name}` with one value a row, but lists or records; no column `{name}"),
                false => name.into(),
            };
            Error::MissingColumn { path: path.to_path_buf(), column, found: self.columns.join(", ") }
        })
    }
}

/// An error about a row, counted from 1 without the header.
pub(super) fn bad_row(path: &Path, row: u64, problem: impl ToString) -> Error {
    Error::BadRow { path: path.to_path_buf(), row, problem: problem.to_string() }
}
