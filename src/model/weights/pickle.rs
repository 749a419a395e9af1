//! The pickle in a file of torch, examined before candle reads it.
//!
//! candle copies an object, with all its parts, whenever the pickle's memo is written or read. So a few hundred bytes
//! can demand more memory than the machine has, or objects nested more deeply than the stack allows. This module
//! follows the same instructions, but keeps only the sizes of the objects.

use crate::artefact;
use crate::error::{Error, Result};
use candle_core::pickle::PthTensors;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

const EXPECTED: &str = "a complete pytorch_model.bin as torch 1.6 or newer writes it; download it again, or save it \
                        with `save_pretrained(folder)` of transformers";
/// The greatest depth of nested objects; torch needs less than ten.
const DEEPEST: usize = 64;
/// The objects that a pickle may make per byte; torch makes less than one.
const OBJECTS_PER_BYTE: usize = 8;
/// The objects that a pickle of any length may make in addition.
const LEAST: usize = 10_000;
/// The bytes of a text that count as one more object.
const BYTES_PER_OBJECT: usize = 64;
/// The most bytes of a pickle that are read; the pickle of a model with a million tensors is shorter.
const LONGEST: u64 = 1 << 30;

/// The table of contents of a checkpoint in the zip format of torch 1.6 and newer.
///
/// # Errors
/// [`Error::BadFile`] if the file is not such a checkpoint, or a tensor lies outside the file.
pub(super) fn directory(path: &Path) -> Result<PthTensors> {
    let wrong = |e: &dyn std::fmt::Display| {
        Error::bad_file(path, format!("a file that is not a PyTorch checkpoint ({e})"), EXPECTED)
    };
    artefact::guarded(path, EXPECTED, || {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let length = file.metadata().map_err(Error::io("read", path))?.len();
        examine_all(file).map_err(|e| wrong(&e))?;
        let tensors = PthTensors::new(path, None).map_err(|e| wrong(&e))?;
        for (name, info) in tensors.tensor_infos() {
            let values = info.layout.dims().iter().try_fold(1_usize, |n, size| n.checked_mul(*size));
            let bytes = values.and_then(|n| n.checked_mul(info.dtype.size_in_bytes()));
            let end = bytes.and_then(|n| n.checked_add(info.layout.start_offset()));
            if end.is_none_or(|end| end as u64 > length) {
                return Err(wrong(&format!("tensor `{name}` is longer than the file")));
            }
        }
        Ok(tensors)
    })
}

/// Examines each pickle of the archive.
fn examine_all(file: File) -> Result<(), String> {
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|e| e.to_string())?;
    for at in 0..archive.len() {
        let entry = archive.by_index(at).map_err(|e| e.to_string())?;
        if entry.name().map_err(|e| e.to_string())?.ends_with("data.pkl") {
            let mut bytes = Vec::new();
            entry.take(LONGEST).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
            Examined { rest: &bytes, left: LEAST + OBJECTS_PER_BYTE * bytes.len(), ..Examined::default() }
                .all()?;
        }
    }
    Ok(())
}

/// The number of objects in an object, itself included, and the depth of their nesting.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    objects: usize,
    depth: usize,
}

impl Size {
    const ONE: Size = Size { objects: 1, depth: 1 };

    fn text(bytes: usize) -> Size {
        Size { objects: 1 + bytes / BYTES_PER_OBJECT, depth: 1 }
    }

    /// The size of an object that contains these parts.
    fn around(parts: &[Size]) -> Size {
        parts.iter().fold(Size::ONE, |all, part| all.with(*part))
    }

    /// The size of the object with one more part.
    fn with(self, part: Size) -> Size {
        Size { objects: self.objects + part.objects, depth: self.depth.max(part.depth + 1) }
    }
}

/// The state of candle's reader, with sizes in place of objects; `None` on the stack is a mark.
#[derive(Debug, Default)]
struct Examined<'a> {
    rest: &'a [u8],
    stack: Vec<Option<Size>>,
    memo: HashMap<u32, Size>,
    /// The number of objects that may still be made.
    left: usize,
}

impl<'a> Examined<'a> {
    fn all(mut self) -> Result<(), String> {
        while self.one()? {}
        Ok(())
    }

    /// Follows one instruction; returns false after the last one.
    fn one(&mut self) -> Result<bool, String> {
        let code = self.bytes(1)?[0];
        match code {
            b'.' => return Ok(false),
            0x80 => drop(self.bytes(1)?),
            b'c' => {
                let length = self.line()? + self.line()?;
                self.push(Size::text(length))?;
            }
            b'K' => self.number(1)?,
            b'M' => self.number(2)?,
            b'J' => self.number(4)?,
            b'G' => self.number(8)?,
            0x8a => {
                let length = self.bytes(1)?[0];
                if length > 8 {
                    return Err(format!("a number of {length} bytes"));
                }
                self.number(usize::from(length))?;
            }
            b'X' => {
                let length = self.length()? as usize;
                self.bytes(length)?;
                self.push(Size::text(length))?;
            }
            b')' | b']' | b'}' | b'd' | b'N' | 0x88 | 0x89 => self.push(Size::ONE)?,
            b'(' => self.stack.push(None),
            b't' => {
                let parts = self.pop_to_mark()?;
                self.push(Size::around(&parts))?;
            }
            b'Q' | 0x85 => self.wrap(1)?,
            0x86 | b'R' | 0x81 | b'b' => self.wrap(2)?,
            0x87 => self.wrap(3)?,
            b'a' => self.put_in(1)?,
            b's' => self.put_in(2)?,
            b'e' | b'u' => {
                let parts = self.pop_to_mark()?;
                self.put(&parts)?;
            }
            b'q' | b'r' => {
                let id = self.memo_id(code == b'q')?;
                let object = self.stack.last().copied().flatten().ok_or("nothing to remember")?;
                self.spend(object)?;
                self.memo.insert(id, object);
            }
            b'h' | b'j' => {
                let id = self.memo_id(code == b'h')?;
                let object = *self.memo.get(&id).ok_or_else(|| format!("nothing remembered under {id}"))?;
                self.spend(object)?;
                self.stack.push(Some(object));
            }
            other => return Err(format!("the unknown instruction {other} in its pickle")),
        }
        Ok(true)
    }

    fn bytes(&mut self, n: usize) -> Result<&'a [u8], String> {
        let (bytes, rest) = self.rest.split_at_checked(n).ok_or("its pickle is cut off")?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Skips a line with the name of a module or a class, and returns its length.
    fn line(&mut self) -> Result<usize, String> {
        let end = self.rest.iter().position(|byte| *byte == b'\n').ok_or("its pickle is cut off")?;
        let line = self.bytes(end + 1)?;
        // candle prints the names of classes that it does not know, so names must be printable.
        match line[..end].iter().all(u8::is_ascii_graphic) {
            true => Ok(line.len()),
            false => {
                Err("a class name with a character that is not a letter, a digit or a punctuation mark"
                    .into())
            }
        }
    }

    fn length(&mut self) -> Result<u32, String> {
        let bytes = self.bytes(4)?.try_into().map_err(|_| "its pickle is cut off")?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn memo_id(&mut self, is_short: bool) -> Result<u32, String> {
        if is_short { Ok(u32::from(self.bytes(1)?[0])) } else { self.length() }
    }

    fn number(&mut self, n_bytes: usize) -> Result<(), String> {
        self.bytes(n_bytes)?;
        self.push(Size::ONE)
    }

    fn push(&mut self, object: Size) -> Result<(), String> {
        if object.depth > DEEPEST {
            return Err(format!("objects within objects, deeper than {DEEPEST}"));
        }
        self.spend(Size { objects: object.objects.min(1), ..object })?;
        self.stack.push(Some(object));
        Ok(())
    }

    /// Counts a copy of an object against the limit.
    fn spend(&mut self, object: Size) -> Result<(), String> {
        let left = self.left.checked_sub(object.objects);
        self.left = left.ok_or("its pickle copies its objects so often that they need too much memory")?;
        Ok(())
    }

    fn pop(&mut self) -> Result<Size, String> {
        self.stack.pop().flatten().ok_or_else(|| "an instruction without its arguments".into())
    }

    /// Removes the last mark and the objects above it, and returns these objects.
    fn pop_to_mark(&mut self) -> Result<Vec<Size>, String> {
        let at = self.stack.iter().rposition(Option::is_none).ok_or("no mark in its pickle")?;
        let parts = self.stack.drain(at..).flatten().collect();
        Ok(parts)
    }

    /// Replaces the top `n` objects of the stack by one object that contains them.
    fn wrap(&mut self, n: usize) -> Result<(), String> {
        let parts = (0..n).map(|_| self.pop()).collect::<Result<Vec<Size>, String>>()?;
        self.push(Size::around(&parts))
    }

    fn put_in(&mut self, n: usize) -> Result<(), String> {
        let parts = (0..n).map(|_| self.pop()).collect::<Result<Vec<Size>, String>>()?;
        self.put(&parts)
    }

    /// Puts objects into the list or map at the top of the stack.
    fn put(&mut self, parts: &[Size]) -> Result<(), String> {
        let all = self.pop()?;
        self.push(parts.iter().fold(all, |all, part| all.with(*part)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn archive(pickle: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut zip = zip::ZipWriter::new(file.reopen().unwrap());
        let stored =
            zip::write::FileOptions::<()>::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file("model/data.pkl", stored).unwrap();
        zip.write_all(pickle).unwrap();
        zip.finish().unwrap();
        file
    }

    /// A tuple of two copies of a tuple of two copies, and so on.
    fn doubled(n: usize) -> Vec<u8> {
        let again = [&b"q\x00h\x00\x86"[..]].repeat(n).concat();
        [&b"\x80\x02)"[..], &again, b"."].concat()
    }

    #[test]
    fn a_pickle_that_asks_for_too_much_or_too_little_is_an_error_of_the_file() {
        let mut long = b"\x80\x02X".to_vec();
        long.extend(u32::MAX.to_le_bytes());
        let remembered =
            [&b"\x80\x02X\x00\x00\x10\x00"[..], &[b'a'; 1 << 20], &b"q\x00".repeat(100_000), b"."];
        let args = b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n)Rs.";
        for (pickle, found) in [
            (doubled(60), "too much memory"),
            ([b"\x80\x02)".to_vec(), b"\x85".repeat(1_000_000), b".".to_vec()].concat(), "deeper than 64"),
            ([b"\x80\x02)".to_vec(), b"Q".repeat(1_000_000), b".".to_vec()].concat(), "deeper than 64"),
            (b"(".repeat(1_000_000), "cut off"),
            (long, "cut off"),
            (remembered.concat(), "too much memory"),
            (b"\x80\x02t.".to_vec(), "no mark"),
            (b"\x80\x02R.".to_vec(), "without its arguments"),
            (b"\x80\x02q\x00.".to_vec(), "nothing to remember"),
            (b"\x80\x02h\x07.".to_vec(), "remembered under 7"),
            (b"\x80\x02\x8a\x09123456789.".to_vec(), "9 bytes"),
            (b"\x80\x02\xff.".to_vec(), "instruction 255"),
            // Too few arguments for the function that makes tensors: candle panics.
            (args.to_vec(), "the library that reads it fails"),
        ] {
            let file = archive(&pickle);
            let error = directory(file.path()).err().expect(found).to_string();
            assert!(error.contains(found), "{found}: {error}");
            assert!(error.contains(file.path().to_str().unwrap()) && error.len() < 600, "{error}");
        }
        assert_eq!(directory(archive(&doubled(5)).path()).unwrap().tensor_infos().len(), 0);
    }
}
