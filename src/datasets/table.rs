//! The cells of a dataset's file, by row and column: what prompts may name.

use csv::StringRecord;

/// A dataset's file as it was read, without its header.
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

    /// The place of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// What stands in a row, counted from 1, without the white space around it.
    pub fn cell(&self, row: u64, column: usize) -> Option<&str> {
        let record = self.records.get(usize::try_from(row).ok()?.checked_sub(1)?)?;
        record.get(column).map(str::trim)
    }
}
