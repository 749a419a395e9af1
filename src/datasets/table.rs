//! The cells of a dataset's file, by row and column; prompts may name any column.

use csv::StringRecord;

/// The cells of a dataset's file, without its header.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    columns: Vec<String>,
    records: Vec<StringRecord>,
}

impl Table {
    /// A table with these columns and no rows.
    pub(super) fn new(columns: Vec<String>) -> Table {
        Table { columns, records: Vec::new() }
    }

    /// Adds the next row.
    pub(super) fn push(&mut self, record: StringRecord) {
        self.records.push(record);
    }

    /// The columns' names, in file order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The position of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// A cell of a row, counted from 1, without the white space around it.
    pub fn cell(&self, row: u64, column: usize) -> Option<&str> {
        let record = self.records.get(usize::try_from(row).ok()?.checked_sub(1)?)?;
        record.get(column).map(str::trim)
    }
}
