//! The cells of a table as texts, for any file format.

use crate::error::{Error, Result};
use crate::limits::{COLUMNS, check_memory, product};
use std::collections::HashMap;
use std::fmt;
use std::path::Path;

/// A file's columns and rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::datasets) struct Cells {
    /// The columns' names, in file order.
    pub columns: Vec<String>,
    /// The rows' cells; a cell without a value is empty.
    pub rows: Vec<Vec<String>>,
    /// The first line of each row in the file; empty for a format without lines.
    pub lines: Vec<usize>,
    /// Columns whose values have no text form, such as lists.
    pub left_out: Vec<LeftOut>,
    /// The meaning of a comma in a number, as far as the format implies it.
    pub commas: Commas,
    /// A remark on the cells for the user.
    pub note: Option<String>,
}

/// A column that is left out, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::datasets) struct LeftOut {
    /// The column's name.
    pub column: String,
    /// Its content, such as `lists or records`, or the error of its reader.
    pub holds: String,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.column, self.holds)
    }
}

/// The meaning of a comma in a number, as far as a file's format implies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::datasets) enum Commas {
    /// The dot is the decimal mark unless cells contradict it.
    #[default]
    DotIsDecimal,
    /// Either may be the decimal mark, since cells are separated by `;`.
    Either,
}

impl Cells {
    /// Refuses two columns with the same name, and a table without rows.
    pub(crate) fn check(&self, path: &Path) -> Result<()> {
        check_names(path, &self.columns)?;
        if self.rows.is_empty() {
            return Err(Error::bad_file(path, "no rows", "a header and one entity per row"));
        }
        Ok(())
    }

    /// Remarks on the file, such as the columns that are left out; one sentence each.
    pub(crate) fn notes(&self) -> Vec<String> {
        let columns: Vec<String> = self.left_out.iter().map(ToString::to_string).collect();
        let left_out = (!columns.is_empty()).then(|| format!("left out: columns {}", columns.join(", ")));
        left_out.into_iter().chain(self.note.clone()).collect()
    }

    /// The position of a column.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] listing the columns of the file.
    pub(crate) fn column(&self, path: &Path, name: &str) -> Result<usize> {
        self.columns.iter().position(|column| column == name).ok_or_else(|| {
            let column = match self.left_out.iter().find(|left| left.column == name) {
                Some(left) => {
                    format!("{name}` with one value per row, but {}; no column `{name}", left.holds)
                }
                None => name.into(),
            };
            Error::MissingColumn { path: path.to_path_buf(), column, found: self.columns.join(", ") }
        })
    }

    /// An error about a row, counted from 1, with its line if that does not follow from the row's number.
    pub(crate) fn bad_row(&self, path: &Path, row: u64, problem: impl ToString) -> Error {
        let place = usize::try_from(row).unwrap_or_default();
        let usual = place + usize::from(self.lines.first().is_none_or(|first| *first > 1));
        match self.lines.get(place.saturating_sub(1)) {
            Some(line) if *line != usual => {
                bad_row(path, row, format!("line {line}: {}", problem.to_string()))
            }
            _ => bad_row(path, row, problem),
        }
    }
}

/// Refuses more columns than a table may have.
pub(super) fn check_columns(path: &Path, n: usize) -> Result<()> {
    match n as u64 > COLUMNS.most {
        true => Err(Error::bad_file(path, format!("{n} columns"), format!("at most {}", COLUMNS.most))),
        false => Ok(()),
    }
}

/// Refuses a table whose cells and entities need more than the free memory.
///
/// # Errors
/// [`Error::Invalid`] with the needed memory.
pub(super) fn check_table(n_rows: usize, n_cells: usize) -> Result<()> {
    /// The bytes of a row's entity and of the lists of its cells.
    const ROW: usize = 300;
    /// The bytes of a short cell: its `String`, its own bytes on the heap, and its copy in the entity.
    const CELL: usize = 80;
    let needed = product([n_rows, ROW]).saturating_add(product([n_cells, CELL]));
    check_memory("the table's cells", needed, "import a smaller file")
}

/// Refuses two columns with the same name, naming their positions; several columns may have no name.
pub(super) fn check_names(path: &Path, columns: &[String]) -> Result<()> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (column, place) in columns.iter().zip(1..).filter(|(column, _)| !column.is_empty()) {
        if let Some(before) = seen.insert(column, place) {
            let found = format!("two columns `{column}`, the {} and the {}", nth(before), nth(place));
            return Err(Error::bad_file(path, found, "another name for each column"));
        }
    }
    Ok(())
}

/// An ordinal number: `1st`, `2nd`.
fn nth(place: usize) -> String {
    let ending = match (place % 10, place % 100) {
        (1, n) if n != 11 => "st",
        (2, n) if n != 12 => "nd",
        (3, n) if n != 13 => "rd",
        _ => "th",
    };
    format!("{place}{ending}")
}

/// An error about a row, counted from 1 without the header.
pub(super) fn bad_row(path: &Path, row: u64, problem: impl ToString) -> Error {
    Error::BadRow { path: path.to_path_buf(), row, problem: problem.to_string() }
}
