//! `blocks.csv`: a fast hash of each block of rows, compared whenever the rows are read.
//!
//! SHA-256 tells that a file has changed, but takes too long for every reading of it, and cannot tell where.

use super::array_file::{ArrayReader, Shape};
use super::files::Files;
use super::layout::{BLOCKS, point_of};
use crate::artefact;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::ops::Range;
use twox_hash::XxHash3_64;

/// The least bytes of a block, unless the file is shorter: few lines for a large file, and little more to read for a
/// few rows.
const BYTES: usize = 1 << 20;

/// A line of `blocks.csv`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Block {
    file: String,
    first_row: usize,
    n_rows: usize,
    xxh3: String,
}

impl Block {
    fn rows(&self) -> Range<usize> {
        self.first_row..self.first_row.saturating_add(self.n_rows)
    }
}

/// The blocks of a store's arrays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Blocks {
    lines: Vec<Block>,
}

/// The blocks of one file, which cover all of its rows.
pub(super) struct FileBlocks {
    blocks: Vec<Block>,
}

impl Blocks {
    /// Reads the blocks; an empty list without the file, as in stores of earlier versions.
    pub(super) fn load(files: &Files) -> Result<Blocks> {
        if files.size(BLOCKS)?.is_none() {
            return Ok(Blocks::default());
        }
        let bytes = files.load(BLOCKS)?;
        let text = artefact::text_of(&files.path(BLOCKS), &bytes)?;
        let rows = csv::Reader::from_reader(text.as_bytes()).into_deserialize();
        let lines = rows.collect::<Result<Vec<Block>, csv::Error>>();
        Ok(Blocks { lines: lines.map_err(|e| damaged(files, e))? })
    }

    /// Replaces the blocks of a file.
    pub(super) fn replace(&mut self, name: &str, of: FileBlocks) {
        self.lines.retain(|block| block.file != name);
        self.lines.extend(of.blocks);
    }

    /// Writes the blocks: hook points in the order of the pass.
    pub(super) fn save(&mut self, files: &Files) -> Result<()> {
        self.lines.sort_by_key(|block| (point_of(&block.file).map(|p| (p.layer(), p)), block.first_row));
        let mut writer = csv::Writer::from_writer(Vec::new());
        for line in &self.lines {
            writer.serialize(line).map_err(|e| Error::Internal(e.to_string()))?;
        }
        files.save(BLOCKS, &writer.into_inner().map_err(|e| Error::Internal(e.to_string()))?)
    }

    /// The blocks of a file; `None` unless they cover all rows.
    pub(super) fn of(&self, name: &str, n_rows: usize) -> Option<FileBlocks> {
        let blocks: Vec<Block> = self.lines.iter().filter(|block| block.file == name).cloned().collect();
        let mut next = 0;
        for block in &blocks {
            if block.first_row != next || block.n_rows == 0 {
                return None;
            }
            next = block.rows().end;
        }
        (next == n_rows && n_rows > 0).then_some(FileBlocks { blocks })
    }
}

impl FileBlocks {
    /// Reads a whole file once; returns its blocks, and its SHA-256.
    pub(super) fn digest(files: &Files, name: &str) -> Result<(FileBlocks, String)> {
        let file = ArrayReader::open(files, name)?;
        let (shape, each) = (file.shape(), rows_of_block(file.shape()));
        let mut sha256 = Sha256::new_with_prefix(file.header()?);
        let mut blocks = Vec::new();
        for first_row in (0..shape.n_rows).step_by(each) {
            let rows = first_row..shape.n_rows.min(first_row + each);
            let bytes = file.read_rows(&rows)?;
            sha256.update(&bytes);
            blocks.push(Block { file: name.into(), first_row, n_rows: rows.len(), xxh3: xxh3(&bytes) });
        }
        Ok((FileBlocks { blocks }, super::files::hex(sha256)))
    }

    /// The blocks that have some of these rows.
    fn with(&self, rows: &Range<usize>) -> impl Iterator<Item = (usize, &Block)> {
        let meets = |block: &Block| block.first_row < rows.end && rows.start < block.rows().end;
        self.blocks.iter().enumerate().filter(move |(_, block)| meets(block))
    }

    /// Reads the blocks with these rows one by one, compares each with its hash, and gives the rows' bytes to `keep`.
    pub(super) fn read(
        &self,
        file: &ArrayReader,
        rows: &Range<usize>,
        keep: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        let row_bytes = file.shape().row_bytes();
        for (at, block) in self.with(rows) {
            let bytes = file.read_rows(&block.rows())?;
            if xxh3(&bytes) != block.xxh3 {
                return Err(self.changed(file, at));
            }
            let first = rows.start.max(block.first_row) - block.first_row;
            let end = rows.end.min(block.rows().end) - block.first_row;
            keep(&bytes[first * row_bytes..end * row_bytes]);
        }
        Ok(())
    }

    /// The error of a block whose rows differ from its hash.
    fn changed(&self, file: &ArrayReader, at: usize) -> Error {
        let Block { first_row, n_rows, .. } = self.blocks[at];
        let (block, of) = (at + 1, self.blocks.len());
        let last = first_row + n_rows - 1;
        let found = format!("rows {first_row} to {last} (block {block} of {of}) that were changed");
        Error::bad_file(
            file.path(),
            found,
            "the rows that were written; move the file away, and the same command extracts it again",
        )
    }
}

fn rows_of_block(shape: Shape) -> usize {
    BYTES.div_ceil(shape.row_bytes().max(1)).max(1)
}

fn xxh3(bytes: &[u8]) -> String {
    format!("{:016x}", XxHash3_64::oneshot(bytes))
}

/// The error of a damaged `blocks.csv`.
pub(super) fn damaged(files: &Files, found: impl ToString) -> Error {
    let expected = "hashes as mappa extract writes them; move this file away, and the rows are compared with \
                    checksums.csv instead";
    Error::bad_file(files.path(BLOCKS), found, expected)
}
