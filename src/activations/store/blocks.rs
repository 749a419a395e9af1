//! `blocks.csv`: a fast hash of each block of rows, compared whenever the rows are read.
//!
//! SHA-256 also detects a changed file, but is too slow to compute at every read, and does not show which rows changed.

use super::array_file::{ArrayReader, Shape};
use super::files::Files;
use super::layout::{BLOCKS, CARD, point_of};
use super::object_store::BLOCK;
use crate::artefact;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::ops::Range;
use twox_hash::XxHash3_64;

/// The minimum number of bytes per block; only the last block of a file may be shorter.
///
/// It is so large that a large file has few lines, and so small that a reader of a few rows reads little more.
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
    /// True if the store's card has another hash of `blocks.csv`: a run was killed after it wrote the file, or the file
    /// belongs to another store.
    is_foreign: bool,
}

/// The blocks of one file, which cover all of its rows.
pub(super) struct FileBlocks {
    blocks: Vec<Block>,
}

impl Blocks {
    /// Reads the blocks; the list is empty if the file is missing, as in stores of earlier versions.
    pub(super) fn load(files: &Files) -> Result<Blocks> {
        if files.size(BLOCKS)?.is_none() {
            return Ok(Blocks::default());
        }
        let bytes = files.load(BLOCKS)?;
        let text = artefact::text_of(&files.path(BLOCKS), &bytes)?;
        let rows = csv::Reader::from_reader(text.as_bytes()).into_deserialize();
        let lines = rows.collect::<Result<Vec<Block>, csv::Error>>();
        let recorded = files.card(CARD)?.and_then(|card| card.files.get(BLOCKS).cloned());
        let is_foreign = recorded.is_some_and(|recorded| recorded != artefact::hash(&bytes));
        Ok(Blocks { lines: lines.map_err(|e| damaged(files, e))?, is_foreign })
    }

    /// True if the hashes belong to the store's card; otherwise files are also compared with their checksums.
    pub(super) fn is_bound(&self) -> bool {
        !self.is_foreign
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
    /// Reads a whole file once; returns its blocks and its SHA-256.
    pub(super) fn digest(files: &Files, name: &str) -> Result<(FileBlocks, String)> {
        let file = ArrayReader::open(files, name)?;
        let (shape, each) = (file.shape(), rows_of_block(file.shape()));
        let mut sha256 = Sha256::new_with_prefix(file.header()?);
        let row_bytes = shape.row_bytes().max(1);
        let mut blocks = Vec::new();
        for first in (0..shape.n_rows).step_by(each * at_once(each * row_bytes)) {
            let rows = first..shape.n_rows.min(first + each * at_once(each * row_bytes));
            let bytes = file.read_rows(&rows)?;
            sha256.update(&bytes);
            for (part, first_row) in bytes.chunks(each * row_bytes).zip((first..).step_by(each)) {
                let n_rows = part.len() / row_bytes;
                blocks.push(Block { file: name.into(), first_row, n_rows, xxh3: xxh3(part) });
            }
        }
        Ok((FileBlocks { blocks }, super::files::hex(sha256)))
    }

    /// The blocks that contain at least one of these rows, with their indices.
    fn with(&self, rows: &Range<usize>) -> impl Iterator<Item = (usize, &Block)> {
        let meets = |block: &Block| block.first_row < rows.end && rows.start < block.rows().end;
        self.blocks.iter().enumerate().filter(move |(_, block)| meets(block))
    }

    /// Reads the blocks that contain these rows, compares each with its hash, and passes the rows' bytes to `keep`.
    pub(super) fn read(
        &self,
        file: &ArrayReader,
        rows: &Range<usize>,
        keep: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        let row_bytes = file.shape().row_bytes();
        let blocks: Vec<(usize, &Block)> = self.with(rows).collect();
        let Some((_, first)) = blocks.first() else { return Ok(()) };
        for some in blocks.chunks(at_once(first.n_rows * row_bytes)) {
            let (begin, end) = (some[0].1.first_row, some[some.len() - 1].1.rows().end);
            let bytes = file.read_rows(&(begin..end))?;
            for (at, block) in some {
                let place = |row: usize| (row - begin) * row_bytes;
                let own = &bytes[place(block.first_row)..place(block.rows().end)];
                if xxh3(own) != block.xxh3 {
                    return Err(self.changed(file, *at));
                }
                let kept = rows.start.max(block.first_row)..rows.end.min(block.rows().end);
                keep(&bytes[place(kept.start)..place(kept.end)]);
            }
        }
        Ok(())
    }

    /// Compares each block of the file with its hash.
    pub(super) fn compare(&self, file: &ArrayReader) -> Result<()> {
        self.read(file, &(0..file.shape().n_rows), &mut |_| ())
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

/// The number of blocks per request: each request to an object store is slow.
fn at_once(block_bytes: usize) -> usize {
    (BLOCK / block_bytes.max(1)).max(1)
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

#[cfg(test)]
mod tests {
    use super::super::array_file::ArrayWriter;
    use super::super::layout::file_name;
    use super::*;
    use crate::activations::extract::StoredDtype;
    use crate::hook_point::HookPoint;

    #[test]
    fn a_flipped_bit_is_found_by_its_block_and_other_blocks_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let (files, name) = (Files::new(folder.path()), file_name(HookPoint::ResidPost(0)));
        let path = folder.path().join(&name);
        // 4,096 bytes per row, 256 rows per block.
        let shape = Shape { n_rows: 1000, width: 1024, dtype: StoredDtype::F32 };
        let values: Vec<u8> =
            (0..1000 * 4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        ArrayWriter::create(&path, shape).unwrap().write_rows(0, &values).unwrap();
        let (of_file, sha256) = FileBlocks::digest(&files, &name).unwrap();
        assert_eq!(sha256, files.sha256(&name).unwrap());
        let mut all = Blocks::default();
        all.replace(&name, of_file);
        all.save(&files).unwrap();
        assert_eq!(Blocks::load(&files).unwrap(), all);
        let read = |rows: Range<usize>| {
            let (mut bytes, file) = (Vec::<u8>::new(), ArrayReader::open(&files, &name).unwrap());
            let blocks = Blocks::load(&files).unwrap().of(&name, 1000).unwrap();
            blocks.read(&file, &rows, &mut |part| bytes.extend(part)).map(|()| bytes)
        };
        for rows in [0..1000, 0..1, 255..257, 256..512, 999..1000, 3..3] {
            assert!(read(rows.clone()).unwrap() == values[rows.start * 4096..rows.end * 4096], "{rows:?}");
        }
        let whole = std::fs::read(&path).unwrap();
        let start = whole.len() - values.len();
        for (row, block, last) in [(0, 1, 255), (255, 1, 255), (256, 2, 511), (700, 3, 767), (999, 4, 999)] {
            let mut changed = whole.clone();
            changed[start + row * 4096 + 17] ^= 4;
            std::fs::write(&path, changed).unwrap();
            let error = read(0..1000).unwrap_err().to_string();
            let said = format!("to {last} (block {block} of 4)");
            assert!(error.contains(&said) && error.contains("hook_resid_post"), "{error}");
            let other = if block == 1 { 512..600 } else { 0..256 };
            assert!(read(other.clone()).unwrap() == values[other.start * 4096..other.end * 4096]);
        }
    }
}
