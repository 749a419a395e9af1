//! Rows whose cells are set apart by commas or tabs.

use super::cells::{Cells, bad_row};
use crate::error::Result;
use std::path::Path;

/// Reads a file with a header; a byte order mark before it is passed over.
pub(super) fn read(path: &Path, bytes: &[u8], delimiter: u8) -> Result<Cells> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(bytes);
    let header = reader.headers().map_err(|e| bad_row(path, 0, e))?.clone();
    let columns: Vec<String> = header.iter().map(|name| name.trim().to_string()).collect();
    let mut rows = Vec::new();
    for (record, row) in reader.records().zip(1..) {
        let record = record.map_err(|e| bad_row(path, row, e))?;
        if record.len() != columns.len() {
            let problem = format!("{} fields where the header has {}", record.len(), columns.len());
            return Err(bad_row(path, row, problem));
        }
        rows.push(record.iter().map(str::to_string).collect());
    }
    Ok(Cells { columns, rows, left_out: vec![] })
}
