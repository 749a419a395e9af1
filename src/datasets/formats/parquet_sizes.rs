//! Checks of the sizes that a Parquet file states for its metadata, pages and rows.

use super::thrift::walk;
use crate::limits::check_memory;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

/// The file's last bytes: the length of the metadata before them, and `PAR1`.
const END: u64 = 8;
/// The most rows per byte of a file; a file that states more is damaged, since different names need more bytes.
const MOST_ROWS_PER_BYTE: u64 = 1024;
/// The advice for a file that needs too much memory.
const SMALLER: &str = "import a smaller file";
/// The most unpacked bytes per packed byte of a page.
const MOST_GROWTH: i64 = 1 << 16;
/// The bytes in which the header of a page is searched for: first few, then many, since a header may contain
/// statistics of long values.
const HEADERS: [u64; 2] = [1 << 12, 1 << 24];

/// Checks the lengths in the metadata at the end of a file. A file that does not end in `PAR1` is left
/// to the `parquet` crate.
///
/// # Errors
/// A sentence for a length that exceeds the metadata, or for structures that are nested too deeply.
pub(super) fn check_metadata(file: &mut File, length: u64) -> Result<(), String> {
    let Some(at) = length.checked_sub(END) else { return Ok(()) };
    let end = bytes(file, at, END)?;
    let n = end.first_chunk::<4>().map_or(0, |n| u64::from(u32::from_le_bytes(*n)));
    match at.checked_sub(n) {
        Some(from) if end.ends_with(b"PAR1") => walk(&bytes(file, from, n)?, &mut |_, _| {}).map(drop),
        _ => Ok(()),
    }
}

/// Checks the sizes of all pages.
///
/// # Errors
/// A sentence that names the column.
pub(super) fn check_pages(file: &mut File, metadata: &ParquetMetaData, length: u64) -> Result<(), String> {
    for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        check_column(file, column, length)
            .map_err(|e| format!("column `{}`: {e}", column.column_path().string()))?;
    }
    Ok(())
}

fn check_column(file: &mut File, column: &ColumnChunkMetaData, length: u64) -> Result<(), String> {
    let first = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let outside = || format!("pages outside of the file's {length} bytes");
    let mut at = u64::try_from(first).map_err(|_| outside())?;
    let size = u64::try_from(column.compressed_size()).map_err(|_| outside())?;
    let end = at.checked_add(size).filter(|end| *end <= length).ok_or_else(outside)?;
    let mut values = 0_i64;
    while at < end && values < column.num_values() {
        let page = HEADERS.iter().find_map(|longest| Page::read(file, at, (end - at).min(*longest)).ok());
        let page = page.ok_or("a page without a header")?;
        page.check()?;
        check_memory("a page", page.unpacked.unsigned_abs(), SMALLER).map_err(|e| e.to_string())?;
        values = values.saturating_add(page.values);
        at += page.header as u64 + page.packed as u64;
    }
    Ok(())
}

/// The sizes in the header of a page.
#[derive(Debug, Default)]
struct Page {
    /// The length of the header itself.
    header: usize,
    unpacked: i64,
    packed: i64,
    values: i64,
    in_dictionary: i64,
}

impl Page {
    fn read(file: &mut File, at: u64, n: u64) -> Result<Page, String> {
        let (header, mut page) = (bytes(file, at, n)?, Page::default());
        page.header = walk(&header, &mut |path, value| page.take(path, value))?;
        Ok(page)
    }

    /// Stores a field of the header; the paths are those of `PageHeader` in the format's parquet.thrift.
    fn take(&mut self, path: &[i64], value: i64) {
        match path {
            [2] => self.unpacked = value,
            [3] => self.packed = value,
            [5 | 8, 1] => self.values = value,
            [7, 1] => self.in_dictionary = value,
            _ => {}
        }
    }

    fn check(&self) -> Result<(), String> {
        let Page { unpacked, packed, values, in_dictionary, .. } = *self;
        let is_negative = [unpacked, packed, values, in_dictionary].iter().any(|n| *n < 0);
        // Each value in a dictionary has at least one byte.
        if is_negative
            || unpacked > packed.saturating_add(1).saturating_mul(MOST_GROWTH)
            || in_dictionary > unpacked
        {
            return Err(format!(
                "a page of {packed} bytes that states {unpacked} bytes, {values} values and {in_dictionary} in a \
                 dictionary"
            ));
        }
        Ok(())
    }
}

/// The number of rows, which the file states in several places.
///
/// # Errors
/// A sentence if the stated numbers differ, or are too large for the length of the file.
pub(super) fn n_rows(metadata: &ParquetMetaData, length: u64) -> Result<usize, String> {
    let stated = metadata.file_metadata().num_rows();
    let groups = metadata.row_groups();
    let sum = groups.iter().try_fold(0_i64, |sum, group| sum.checked_add(group.num_rows()));
    if groups.iter().any(|group| group.num_rows() < 0) || sum != Some(stated) {
        return Err(format!("{stated} rows, and another number in its row groups"));
    }
    match usize::try_from(stated) {
        Ok(n) if n as u64 <= length.saturating_mul(MOST_ROWS_PER_BYTE) => Ok(n),
        _ => Err(format!("{stated} rows in {length} bytes")),
    }
}

fn bytes(file: &mut File, from: u64, n: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from)).map_err(|e| e.to_string())?;
    file.take(n).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    Ok(bytes)
}
