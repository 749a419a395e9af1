//! The pickle in a file of torch, examined before candle reads it.
//!
//! candle copies an object, with all its parts, whenever the pickle's memo is written or read. So a few hundred bytes
//! can demand more memory than the machine has, or objects nested more deeply than the stack allows. This module
//! follows the same instructions, but keeps only the sizes of the objects.

use std::collections::HashMap;

/// The greatest depth of nested objects; torch needs less than ten.
const DEEPEST: usize = 64;
/// The objects that a pickle may make per byte; torch makes less than one.
const OBJECTS_PER_BYTE: usize = 8;
/// The objects that a pickle of any length may make in addition.
const LEAST: usize = 10_000;
/// The bytes of a text that count as one more object.
const BYTES_PER_OBJECT: usize = 64;

/// Examines a pickle: refuses one that asks for too much memory or nests its objects too deeply.
///
/// # Errors
/// The fault, in a few words.
pub(super) fn examine(pickle: &[u8]) -> Result<(), String> {
    let left = LEAST + OBJECTS_PER_BYTE * pickle.len();
    Examined { rest: pickle, left, ..Examined::default() }.all()
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
