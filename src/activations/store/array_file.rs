//! The file of one array: safetensors, written and read by rows.

use super::files::Files;
use crate::activations::extract::StoredDtype;
use crate::artefact::write_error;
use crate::error::{Error, Result};
use crate::limits::product;
use safetensors::tensor::Metadata;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Name of the one tensor in each file.
const TENSOR: &str = "activations";

/// The largest file, in bytes, that is read as a whole to compare its rows with the journal.
const AT_ONCE: u64 = 1 << 25;

/// The shape and number format of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// The number of rows.
    pub n_rows: usize,
    /// The number of values per row.
    pub width: usize,
    /// The number format.
    pub dtype: StoredDtype,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows of {} values in {}", self.n_rows, self.width, self.dtype)
    }
}

/// Writes an array's rows in any order.
pub(super) struct ArrayWriter {
    path: PathBuf,
    file: File,
    layout: Layout,
}

/// Reads written rows back, in any order.
pub(super) struct WrittenRows<'a> {
    array: &'a mut ArrayWriter,
    /// All rows of a small file.
    all: Option<Vec<u8>>,
    /// The rows of the last call.
    last: Vec<u8>,
}

/// Reads a finished array.
pub(super) struct ArrayReader<'a> {
    files: &'a Files,
    name: String,
    layout: Layout,
}

/// An array's shape, and the byte offset in the file at which its rows begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    shape: Shape,
    start: u64,
}

impl Shape {
    /// The number of bytes per row.
    pub(super) fn row_bytes(self) -> usize {
        self.width.saturating_mul(self.dtype.size())
    }

    fn n_bytes(self) -> u64 {
        product([self.n_rows, self.row_bytes()])
    }

    /// The bytes of the file before the values: a length and a JSON header, padded to eight bytes.
    fn header(self) -> Vec<u8> {
        let dtype = self.dtype.to_string().to_uppercase();
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
    pub(super) fn file_bytes(self) -> u64 {
        self.n_bytes().saturating_add(self.header().len() as u64)
    }
}

impl Layout {
    fn of(shape: Shape) -> Layout {
        Layout { shape, start: shape.header().len() as u64 }
    }

    /// The byte range of a range of rows in the file.
    fn bytes_of(self, rows: &Range<usize>) -> Range<u64> {
        let row = self.shape.row_bytes();
        let start = self.start + (rows.start * row) as u64;
        start..start + (rows.len() * row) as u64
    }
}

impl WrittenRows<'_> {
    /// The bytes of consecutive rows.
    pub(super) fn bytes(&mut self, rows: &Range<usize>) -> Result<&[u8]> {
        let layout = &self.array.layout;
        if let Some(all) = &self.all {
            let row_bytes = layout.shape.row_bytes();
            return Ok(&all[rows.start * row_bytes..rows.end * row_bytes]);
        }
        let place = layout.bytes_of(rows);
        self.last.resize((place.end - place.start) as usize, 0);
        let failed = Error::io("read", &self.array.path);
        read_at(&mut self.array.file, &mut self.last, place.start).map_err(failed)?;
        Ok(&self.last)
    }
}

impl ArrayWriter {
    /// Creates the file in its full length, so that a full disk is reported before anything is computed.
    pub(super) fn create(path: &Path, shape: Shape) -> Result<ArrayWriter> {
        let length = shape.file_bytes();
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
        let mut file = opened.map_err(write_error("open", path, length))?;
        match fs4::FileExt::allocate(&file, length) {
            // A file system that cannot reserve space reports a full disk later, at a write.
            Err(e) if matches!(e.kind(), ErrorKind::Unsupported) => Ok(()),
            allocated => allocated.map_err(write_error("reserve room for", path, length)),
        }?;
        file.set_len(length).map_err(write_error("reserve room for", path, length))?;
        file.write_all(&shape.header()).map_err(write_error("write", path, length))?;
        file.sync_all().map_err(write_error("sync", path, length))?;
        Ok(ArrayWriter { path: path.to_path_buf(), file, layout: Layout::of(shape) })
    }

    /// Opens the file of an earlier run; `None` if there is none of this shape.
    pub(super) fn open(path: &Path, shape: Shape) -> Result<Option<ArrayWriter>> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(Error::io("open", path))?,
        };
        let length = file.metadata().map_err(Error::io("read", path))?.len();
        let mut writer = ArrayWriter { path: path.to_path_buf(), file, layout: Layout::of(shape) };
        let header = shape.header();
        let is_ours = length == shape.file_bytes() && writer.read(0..header.len() as u64)? == header;
        Ok(is_ours.then_some(writer))
    }

    /// Writes consecutive rows, beginning at row `first`.
    pub(super) fn write_rows(&mut self, first: usize, bytes: &[u8]) -> Result<()> {
        let start = self.layout.bytes_of(&(first..first)).start;
        let failed = |e| write_error("write", &self.path, bytes.len() as u64)(e);
        self.file.seek(SeekFrom::Start(start)).map_err(Error::io("write", &self.path))?;
        self.file.write_all(bytes).map_err(failed)
    }

    /// A reader of the rows written so far.
    pub(super) fn written_rows(&mut self) -> Result<WrittenRows<'_>> {
        let shape = self.layout.shape;
        // For a small model, one read per row would take longer than the pass through the model.
        let all = match shape.n_bytes() <= AT_ONCE {
            true => Some(self.read(self.layout.bytes_of(&(0..shape.n_rows)))?),
            false => None,
        };
        Ok(WrittenRows { array: self, all, last: Vec::new() })
    }

    fn read(&mut self, range: Range<u64>) -> Result<Vec<u8>> {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        read_at(&mut self.file, &mut bytes, range.start).map_err(Error::io("read", &self.path))?;
        Ok(bytes)
    }

    /// Syncs the file: all rows written so far are then on the disk.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(write_error("sync", &self.path, self.layout.shape.file_bytes()))
    }
}

/// Reads bytes at an offset in a file, with one system call where the system offers it.
#[cfg(unix)]
fn read_at(file: &mut File, bytes: &mut [u8], start: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, start)
}

#[cfg(not(unix))]
fn read_at(file: &mut File, bytes: &mut [u8], start: u64) -> std::io::Result<()> {
    file.seek(SeekFrom::Start(start))?;
    std::io::Read::read_exact(file, bytes)
}

impl<'a> ArrayReader<'a> {
    /// Opens a finished file.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no file; [`Error::BadFile`] if it is damaged.
    pub(super) fn open(files: &'a Files, name: &str) -> Result<ArrayReader<'a>> {
        let wrong = |found: String| {
            let expected = "activations as mappa extract writes them; move the file away and extract again";
            Error::bad_file(files.path(name), found, expected)
        };
        let length = files.size(name)?;
        let head = files.load_part(name, 0..8)?;
        let n = head.as_chunks::<8>().0.first().map(|n| u64::from_le_bytes(*n));
        let header = n.filter(|n| *n < 1 << 20).ok_or_else(|| wrong("no header".into()))?;
        let text = files.load_part(name, 8..8 + header)?;
        let metadata: Metadata = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
        let info = metadata.info(TENSOR).ok_or_else(|| wrong(format!("no tensor `{TENSOR}`")))?;
        let (Some(dtype), &[n_rows, width]) =
            (StoredDtype::of_safetensors(info.dtype), info.shape.as_slice())
        else {
            return Err(wrong(format!("{:?} of shape {:?}", info.dtype, info.shape)));
        };
        let layout = Layout { shape: Shape { n_rows, width, dtype }, start: 8 + header };
        let whole = layout.shape.n_bytes().saturating_add(layout.start);
        if length != Some(whole) {
            return Err(wrong(format!("{} bytes, where its header expects {whole}", length.unwrap_or(0))));
        }
        Ok(ArrayReader { files, name: name.to_string(), layout })
    }

    /// The place of the file, for messages.
    pub(super) fn path(&self) -> PathBuf {
        self.files.path(&self.name)
    }

    /// The array's shape and number format.
    pub(super) fn shape(&self) -> Shape {
        self.layout.shape
    }

    /// The bytes of the file before the rows.
    pub(super) fn header(&self) -> Result<Vec<u8>> {
        self.files.load_part(&self.name, 0..self.layout.start)
    }

    /// Reads the bytes of rows, in the stored number format.
    pub(super) fn read_rows(&self, rows: &Range<usize>) -> Result<Vec<u8>> {
        let bytes = self.files.load_part(&self.name, self.layout.bytes_of(rows))?;
        if bytes.len() < rows.len() * self.shape().row_bytes() {
            let found = format!("the file's end before row {}", rows.end);
            return Err(Error::bad_file(
                self.files.path(&self.name),
                found,
                "a file of constant length; another program has shortened it",
            ));
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
    fn the_bytes_are_those_that_safetensors_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        for (dtype, n_rows, width) in [
            (StoredDtype::F32, 5, 3),
            (StoredDtype::F16, 0, 7),
            (StoredDtype::Bf16, 1, 1),
            (StoredDtype::F32, 123_456, 1),
        ] {
            let shape = Shape { n_rows, width, dtype };
            let bytes: Vec<u8> = (0..n_rows * shape.row_bytes()).map(|i| (i % 251) as u8).collect();
            let mut writer = ArrayWriter::create(&path, shape).unwrap();
            for row in (0..n_rows).rev() {
                writer
                    .write_rows(row, &bytes[row * shape.row_bytes()..(row + 1) * shape.row_bytes()])
                    .unwrap();
            }
            let view = TensorView::new(dtype.safetensors(), vec![n_rows, width], &bytes).unwrap();
            let metadata = HashMap::from([("made_by".to_string(), "mappa".to_string())]);
            let theirs = safetensors::serialize([(TENSOR, view)], Some(metadata)).unwrap();
            assert!(std::fs::read(&path).unwrap() == theirs, "{shape:?}");
            assert!(ArrayWriter::open(&path, shape).unwrap().is_some());
            assert!(ArrayWriter::open(&path, Shape { width: width + 1, ..shape }).unwrap().is_none());
            let files = Files::new(folder.path());
            let finished = ArrayReader::open(&files, "x.safetensors").unwrap();
            assert_eq!(finished.shape(), shape);
            assert!(finished.read_rows(&(0..n_rows)).unwrap() == bytes);
        }
    }

    #[test]
    fn a_damaged_file_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        ArrayWriter::create(&path, Shape { n_rows: 4, width: 2, dtype: StoredDtype::F32 }).unwrap();
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
                ArrayReader::open(&files, "x.safetensors").map(|_| "it opened").unwrap_err().to_string();
            assert!(message.contains("x.safetensors") && message.contains("extract again"), "{message}");
        }
        let other = TensorView::new(safetensors::Dtype::F64, vec![1, 1], &[0; 8]).unwrap();
        std::fs::write(&path, safetensors::serialize([(TENSOR, other)], None).unwrap()).unwrap();
        let message =
            ArrayReader::open(&files, "x.safetensors").map(|_| "it opened").unwrap_err().to_string();
        assert!(message.contains("F64"), "{message}");
    }
}
