//! The header of a GGUF file: its metadata, and the position of each tensor.
//!
//! candle reads this format too, but reports an unknown type without the tensor's name, and panics on an alignment of
//! zero or on a shape whose size overflows; no file may cause that. Every count is compared with the remaining bytes
//! before memory is allocated for it.

use super::tensor_type::GgmlType;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;

/// A metadata value; integers of all widths are one variant.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// True or false.
    Flag(bool),
    /// A text.
    Text(String),
    /// Numbers or flags of one type.
    List(List),
    /// Texts.
    Texts(Vec<String>),
}

/// Numbers or flags of one type, in the file's bytes: as [`Value`]s, a list of bytes would be 32 times as large.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct List {
    kind: u32,
    bytes: Vec<u8>,
}

impl List {
    /// The number of values.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() / width(self.kind).unwrap_or(1)
    }

    /// The values, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Value> + '_ {
        self.bytes.chunks_exact(width(self.kind).unwrap_or(1)).filter_map(|bytes| fixed(self.kind, bytes))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Integer(n) => write!(f, "{n}"),
            Value::Float(x) => write!(f, "{x}"),
            Value::Flag(flag) => write!(f, "{flag}"),
            Value::Text(text) => write!(f, "`{text}`"),
            Value::List(values) => write!(f, "a list of {}", values.len()),
            Value::Texts(texts) => write!(f, "a list of {}", texts.len()),
        }
    }
}

/// The position and the type of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Rows first, as elsewhere in mappa; GGUF itself stores the row's width first.
    pub shape: Vec<usize>,
    /// The type of its values.
    pub kind: GgmlType,
    /// Its bytes in the file.
    pub bytes: Range<usize>,
    /// The number of its file, for a model in several files, from 0.
    pub part: usize,
}

impl Entry {
    /// The number of rows; a vector has one.
    pub(super) fn rows(&self) -> usize {
        self.shape[..self.shape.len() - 1].iter().product()
    }
}

/// The contents of a file before the tensors' bytes.
#[derive(Debug)]
pub(super) struct Header {
    /// The metadata by key.
    pub metadata: HashMap<String, Value>,
    /// The tensors by name.
    pub tensors: HashMap<String, Entry>,
}

const MAGIC: &[u8] = b"GGUF";
/// The expected file, for errors.
const WHOLE: &str = "a complete GGUF file; download or copy it again";
/// Maximum number of dimensions of a ggml tensor.
const MAX_DIMENSIONS: usize = 4;

impl Header {
    /// Reads the header of a file's bytes; `path` names the file in errors.
    ///
    /// # Errors
    /// [`Error::BadFile`] with the name of a value that is truncated, out of range, or of an unsupported type.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Header> {
        let mut reader = Reader { path, bytes, at: 0, wide: true };
        reader.version()?;
        let (n_tensors, n_keys) = (reader.length("tensors")?, reader.length("metadata keys")?);
        let mut metadata = HashMap::new();
        for _ in 0..n_keys {
            let key = reader.text("a metadata key")?;
            let kind = reader.u32(&key)?;
            let value = reader.value(&key, kind)?;
            if metadata.insert(key.clone(), value).is_some() {
                return Err(reader.bad(format!("metadata key `{key}` twice"), WHOLE));
            }
        }
        let found = (0..n_tensors).map(|_| reader.line()).collect::<Result<Vec<_>>>()?;
        let alignment = alignment(&reader, &metadata)?;
        let start = reader.at.next_multiple_of(alignment);
        let mut tensors = HashMap::new();
        for line in found {
            let bytes = place(&reader, &line, Layout { start, alignment })?;
            let Line { name, shape, kind, .. } = line;
            if tensors.insert(name.clone(), Entry { shape, kind, bytes, part: 0 }).is_some() {
                return Err(reader.bad(format!("tensor `{name}` twice"), WHOLE));
            }
        }
        Ok(Header { metadata, tensors })
    }
}

/// The alignment of tensors.
fn alignment(reader: &Reader, metadata: &HashMap<String, Value>) -> Result<usize> {
    match metadata.get("general.alignment") {
        None => Ok(32),
        // Values below 8 could put numbers at addresses from which the processor cannot read them.
        Some(Value::Integer(n @ 8..=65_536)) if (*n as u64).is_power_of_two() => Ok(*n as usize),
        Some(other) => {
            Err(reader.bad(format!("`general.alignment` {other}"), "a power of two from 8 to 65536"))
        }
    }
}

/// An entry of the table of tensors.
struct Line {
    name: String,
    shape: Vec<usize>,
    kind: GgmlType,
    /// The distance of its bytes from the start of all tensors.
    offset: u64,
}

/// The start of the tensors' bytes in a file, and their alignment.
#[derive(Clone, Copy)]
struct Layout {
    start: usize,
    alignment: usize,
}

/// A tensor's bytes, after a check that they are inside the file.
fn place(reader: &Reader, line: &Line, layout: Layout) -> Result<Range<usize>> {
    let Line { name, shape, kind, offset } = line;
    let Layout { start, alignment } = layout;
    let size = kind.size(shape).ok_or_else(|| {
        let found = format!("tensor `{name}` of shape {shape:?} stored as {kind}");
        reader.bad(
            found,
            format!("rows of a multiple of {} numbers, and a size that fits into memory", kind.block()),
        )
    })?;
    let begin = usize::try_from(*offset).ok().filter(|offset| offset.is_multiple_of(alignment));
    let begin = begin.and_then(|offset| start.checked_add(offset));
    let end = begin.and_then(|begin| begin.checked_add(size)).filter(|end| *end <= reader.bytes.len());
    begin.zip(end).map(|(begin, end)| begin..end).ok_or_else(|| {
        let found = format!(
            "tensor `{name}` of {size} bytes at offset {offset}, beyond the file's {} bytes",
            reader.bytes.len()
        );
        reader.bad(found, WHOLE)
    })
}

/// The format's code for a text; of the other types, only lists have no fixed number of bytes.
const TEXT: u32 = 8;

/// Bytes of a value of a type; `None` for texts, lists and unknown types.
fn width(kind: u32) -> Option<usize> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// A value of a type, from its bytes; `None` for a number that does not fit.
fn fixed(kind: u32, bytes: &[u8]) -> Option<Value> {
    Some(match kind {
        0 => Value::Integer(u8::from_le_bytes(bytes.try_into().ok()?).into()),
        1 => Value::Integer(i8::from_le_bytes(bytes.try_into().ok()?).into()),
        2 => Value::Integer(u16::from_le_bytes(bytes.try_into().ok()?).into()),
        3 => Value::Integer(i16::from_le_bytes(bytes.try_into().ok()?).into()),
        4 => Value::Integer(u32::from_le_bytes(bytes.try_into().ok()?).into()),
        5 => Value::Integer(i32::from_le_bytes(bytes.try_into().ok()?).into()),
        6 => Value::Float(f32::from_le_bytes(bytes.try_into().ok()?).into()),
        7 => Value::Flag(bytes != [0]),
        10 => Value::Integer(i64::try_from(u64::from_le_bytes(bytes.try_into().ok()?)).ok()?),
        11 => Value::Integer(i64::from_le_bytes(bytes.try_into().ok()?)),
        12 => Value::Float(f64::from_le_bytes(bytes.try_into().ok()?)),
        _ => return None,
    })
}

/// Reads the header from start to end, with checked bounds.
struct Reader<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
    /// True if lengths have 64 bits; version 1 has 32.
    wide: bool,
}

impl Reader<'_> {
    fn bad(&self, found: impl ToString, expected: impl ToString) -> Error {
        Error::bad_file(self.path, found, expected)
    }

    /// The next `n` bytes; `what` names them in the error if the file is too short.
    fn take(&mut self, n: usize, what: &str) -> Result<&[u8]> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.bytes.len());
        let end = end
            .ok_or_else(|| self.bad(format!("{} bytes, which end within {what}", self.bytes.len()), WHOLE))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    fn u32(&mut self, what: &str) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    /// A count of items of at least one byte each; a count above the remaining bytes is an error.
    fn length(&mut self, what: &str) -> Result<usize> {
        let n = if self.wide { u64::from_le_bytes(self.array(what)?) } else { self.u32(what)?.into() };
        let left = self.bytes.len() - self.at;
        usize::try_from(n)
            .ok()
            .filter(|n| *n <= left)
            .ok_or_else(|| self.bad(format!("{n} {what}, but only {left} bytes are left"), WHOLE))
    }

    fn version(&mut self) -> Result<()> {
        if self.bytes.get(..MAGIC.len()) != Some(MAGIC) {
            return Err(
                self.bad(format!("{} bytes, which do not begin with `GGUF`", self.bytes.len()), WHOLE)
            );
        }
        self.at = MAGIC.len();
        match self.u32("the version")? {
            1 => self.wide = false,
            2 | 3 => {}
            version if (1..=3).contains(&version.swap_bytes()) => {
                let little = "little-endian; convert the model again without --bigendian";
                return Err(self.bad("a big-endian GGUF file", little));
            }
            version => return Err(self.bad(format!("GGUF version {version}"), "version 1, 2 or 3")),
        }
        Ok(())
    }

    fn text(&mut self, what: &str) -> Result<String> {
        let n = self.length(&format!("bytes in {what}"))?;
        let bytes = self.take(n, what)?.to_vec();
        String::from_utf8(bytes).map_err(|e| self.bad(format!("{what} that is not UTF-8 ({e})"), WHOLE))
    }

    fn value(&mut self, key: &str, kind: u32) -> Result<Value> {
        const LIST: u32 = 9;
        if kind != LIST {
            return self.scalar(key, kind);
        }
        let kind = self.u32(key)?;
        let n = self.length(&format!("values in `{key}`"))?;
        if kind == TEXT {
            return (0..n).map(|_| self.text(&format!("`{key}`"))).collect::<Result<_>>().map(Value::Texts);
        }
        // A list of lists is refused as an unknown type; no model has one.
        let width = width(kind).ok_or_else(|| self.unknown(key, kind))?;
        let what = format!("values in `{key}`");
        let bytes = self.take(n.saturating_mul(width), &what)?.to_vec();
        let list = List { kind, bytes };
        match list.iter().count() == n {
            true => Ok(Value::List(list)),
            false => Err(self.bad(format!("`{key}` with a number above {}", i64::MAX), WHOLE)),
        }
    }

    fn scalar(&mut self, key: &str, kind: u32) -> Result<Value> {
        let what = format!("`{key}`");
        if kind == TEXT {
            return self.text(&what).map(Value::Text);
        }
        let width = width(kind).ok_or_else(|| self.unknown(key, kind))?;
        let value = fixed(kind, self.take(width, &what)?);
        value.ok_or_else(|| self.bad(format!("{what} above {}", i64::MAX), WHOLE))
    }

    fn unknown(&self, key: &str, kind: u32) -> Error {
        self.bad(format!("`{key}` of unknown type {kind}"), WHOLE)
    }

    /// Reads an entry of the table of tensors.
    fn line(&mut self) -> Result<Line> {
        let name = self.text("the name of a tensor")?;
        let what = format!("the entry of tensor `{name}`");
        let rank = self.u32(&what)? as usize;
        if !(1..=MAX_DIMENSIONS).contains(&rank) {
            return Err(self.bad(format!("tensor `{name}` of {rank} dimensions"), "1 to 4"));
        }
        let mut shape = Vec::with_capacity(rank);
        for _ in 0..rank {
            let n = if self.wide { u64::from_le_bytes(self.array(&what)?) } else { self.u32(&what)?.into() };
            let n =
                usize::try_from(n).map_err(|_| self.bad(format!("tensor `{name}` of {n} rows"), WHOLE))?;
            shape.insert(0, n);
        }
        let kind = self.u32(&what)?;
        let kind = GgmlType::from_ggml(kind).map_err(|kind| {
            let found = format!("tensor `{name}` stored as {kind}");
            let known = GgmlType::known();
            self.bad(
                found,
                format!(
                    "one of {known}; quantise the model again to one of these, or download another of its files"
                ),
            )
        })?;
        Ok(Line { name, shape, kind, offset: u64::from_le_bytes(self.array(&what)?) })
    }
}
