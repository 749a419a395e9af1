//! One array in a safetensors file, written and read by rows.

use super::files::{Files, write_error};
use super::recording::Stored;
use crate::error::{Error, Result};
use safetensors::tensor::Metadata;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Name of the one tensor in each file.
const TENSOR: &str = "activations";

/// What an array is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Rows.
    pub n_rows: usize,
    /// Values of a row.
    pub width: usize,
    /// The numbers.
    pub stored: Stored,
}

/// An array that is being written.
pub(super) struct Table {
    path: PathBuf,
    file: File,
    layout: Layout,
}

/// A finished array.
pub(super) struct Finished<'a> {
    files: &'a Files,
    name: String,
    layout: Layout,
}

/// An array and where in its file it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    shape: Shape,
    start: u64,
}

impl Shape {
    /// Bytes of a row.
    pub fn row_bytes(self) -> usize {
        self.width * self.stored.size()
    }

    fn n_bytes(self) -> u64 {
        self.n_rows as u64 * self.row_bytes() as u64
    }

    /// What stands in the file before the values: a length and a description, padded to eight bytes.
    fn header(self) -> Vec<u8> {
        let dtype = self.stored.to_string().to_uppercase();
        let mut text = format!(
            r#"{{"__metadata__":{{"made_by":"mappa"}},"{TENSOR}":{{"dtype":"{dtype}","shape":[{},{}],"data_offsets":[0,{}]}}}}"#,
            self.n_rows,
            self.width,
            self.n_bytes()
        );
        while !text.len().is_multiple_of(8) {
            text.push(' ');
        }
        [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
    }

    /// The length of the whole file.
    pub fn file_bytes(self) -> u64 {
        self.header().len() as u64 + self.n_bytes()
    }
}

impl Layout {
    fn of(shape: Shape) -> Layout {
        Layout { shape, start: shape.header().len() as u64 }
    }

    /// Where some rows lie in the file.
    fn range(self, rows: &Range<usize>) -> (u64, usize) {
        let row = self.shape.row_bytes();
        (self.start + (rows.start * row) as u64, rows.len() * row)
    }
}

impl Table {
    /// Makes the file in its full length, so that a full disk is known before anything is computed.
    pub fn create(path: &Path, shape: Shape) -> Result<Table> {
        let length = shape.file_bytes();
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
        let mut file = opened.map_err(write_error("open", path, length))?;
        match fs4::FileExt::allocate(&file, length) {
            // A file system that cannot reserve room still tells of a full disk at the first write.
            Err(e) if matches!(e.kind(), ErrorKind::Unsupported) => Ok(()),
            allocated => allocated.map_err(write_error("reserve room for", path, length)),
        }?;
        file.set_len(length).map_err(write_error("reserve room for", path, length))?;
        file.write_all(&shape.header()).map_err(write_error("write", path, length))?;
        file.sync_all().map_err(write_error("sync", path, length))?;
        Ok(Table { path: path.to_path_buf(), file, layout: Layout::of(shape) })
    }

    /// The file as an earlier run left it; `None` if there is none of this shape.
    pub fn open(path: &Path, shape: Shape) -> Result<Option<Table>> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(Error::io("open", path))?,
        };
        let length = file.metadata().map_err(Error::io("read", path))?.len();
        let mut table = Table { path: path.to_path_buf(), file, layout: Layout::of(shape) };
        let header = shape.header();
        let is_ours = length == shape.file_bytes() && table.read(0, header.len())? == header;
        Ok(is_ours.then_some(table))
    }

    /// Writes some rows from a row on.
    pub fn write_rows(&mut self, first: usize, bytes: &[u8]) -> Result<()> {
        let (start, _) = self.layout.range(&(first..first));
        let failed = |e| write_error("write", &self.path, bytes.len() as u64)(e);
        self.file.seek(SeekFrom::Start(start)).map_err(Error::io("write", &self.path))?;
        self.file.write_all(bytes).map_err(failed)
    }

    /// Some rows as they were written.
    pub fn read_rows(&mut self, rows: &Range<usize>) -> Result<Vec<u8>> {
        let (start, length) = self.layout.range(rows);
        self.read(start, length)
    }

    fn read(&mut self, start: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut read = || {
            self.file.seek(SeekFrom::Start(start))?;
            self.file.read_exact(&mut bytes)
        };
        read().map_err(Error::io("read", &self.path))?;
        Ok(bytes)
    }

    /// Returns when all that was written is on the disk.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(write_error("sync", &self.path, self.layout.shape.file_bytes()))
    }
}

impl<'a> Finished<'a> {
    /// An array in a finished file.
    ///
    /// # Errors
    /// [`Error::Io`] if there is none; [`Error::BadFile`] if it is not whole.
    pub fn open(files: &'a Files, name: &str) -> Result<Finished<'a>> {
        let wrong = |found: String| {
            let expected = "activations as mappa extract writes them; move the file away and extract again";
            Error::bad_file(files.path(name), found, expected)
        };
        let length = files.size(name)?;
        let head = files.load_part(name, (0, 8))?;
        let n = head.as_chunks::<8>().0.first().map(|n| u64::from_le_bytes(*n));
        let header = n.filter(|n| *n < 1 << 20).ok_or_else(|| wrong("no header".into()))?;
        let text = files.load_part(name, (8, header as usize))?;
        let metadata: Metadata = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
        let info = metadata.info(TENSOR).ok_or_else(|| wrong(format!("no tensor `{TENSOR}`")))?;
        let (Some(stored), &[n_rows, width]) = (Stored::of(info.dtype), info.shape.as_slice()) else {
            return Err(wrong(format!("{:?} of shape {:?}", info.dtype, info.shape)));
        };
        let layout = Layout { shape: Shape { n_rows, width, stored }, start: 8 + header };
        let whole = layout.start + layout.shape.n_bytes();
        if length != Some(whole) {
            return Err(wrong(format!("{} bytes, where its header tells of {whole}", length.unwrap_or(0))));
        }
        Ok(Finished { files, name: name.to_string(), layout })
    }

    /// What the array is.
    pub fn shape(&self) -> Shape {
        self.layout.shape
    }

    /// What stands in the file before the rows.
    pub fn header(&self) -> Result<Vec<u8>> {
        self.files.load_part(&self.name, (0, self.layout.start as usize))
    }

    /// Some rows as they were written.
    pub fn read_rows(&self, rows: &Range<usize>) -> Result<Vec<u8>> {
        let bytes = self.files.load_part(&self.name, self.layout.range(rows))?;
        if bytes.len() < rows.len() * self.shape().row_bytes() {
            let found = format!("an end before row {}", rows.end);
            return Err(Error::bad_file(self.files.path(&self.name), found, "a file that nobody shortens"));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::TensorView;
    use std::collections::HashMap;

    #[test]
    fn a_file_is_the_one_that_safetensors_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        for (stored, n_rows, width) in
            [(Stored::F32, 5, 3), (Stored::F16, 0, 7), (Stored::Bf16, 1, 1), (Stored::F32, 123_456, 1)]
        {
            let shape = Shape { n_rows, width, stored };
            let bytes: Vec<u8> = (0..n_rows * shape.row_bytes()).map(|i| (i % 251) as u8).collect();
            let mut table = Table::create(&path, shape).unwrap();
            for row in (0..n_rows).rev() {
                table
                    .write_rows(row, &bytes[row * shape.row_bytes()..(row + 1) * shape.row_bytes()])
                    .unwrap();
            }
            let view = TensorView::new(stored.dtype(), vec![n_rows, width], &bytes).unwrap();
            let metadata = HashMap::from([("made_by".to_string(), "mappa".to_string())]);
            let theirs = safetensors::serialize([(TENSOR, view)], Some(metadata)).unwrap();
            assert!(std::fs::read(&path).unwrap() == theirs, "{shape:?}");
            assert!(Table::open(&path, shape).unwrap().is_some());
            assert!(Table::open(&path, Shape { width: width + 1, ..shape }).unwrap().is_none());
            let files = Files::new(folder.path());
            let finished = Finished::open(&files, "x.safetensors").unwrap();
            assert_eq!(finished.shape(), shape);
            assert!(finished.read_rows(&(0..n_rows)).unwrap() == bytes);
        }
    }

    #[test]
    fn a_file_that_is_none_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        Table::create(&path, Shape { n_rows: 4, width: 2, stored: Stored::F32 }).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let files = Files::new(folder.path());
        for spoilt in [
            &whole[..0],
            &whole[..7],
            &whole[..60],
            &whole[..whole.len() - 1],
            &[whole.as_slice(), &[0]].concat(),
        ] {
            std::fs::write(&path, spoilt).unwrap();
            let message =
                Finished::open(&files, "x.safetensors").map(|_| "it opened").unwrap_err().to_string();
            assert!(message.contains("x.safetensors") && message.contains("extract again"), "{message}");
        }
        let other = TensorView::new(safetensors::Dtype::F64, vec![1, 1], &[0; 8]).unwrap();
        std::fs::write(&path, safetensors::serialize([(TENSOR, other)], None).unwrap()).unwrap();
        let message = Finished::open(&files, "x.safetensors").map(|_| "it opened").unwrap_err().to_string();
        assert!(message.contains("F64"), "{message}");
    }
}
