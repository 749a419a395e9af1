//! The metadata of a Parquet file, walked before the `parquet` crate reads it: the crate allocates memory for a
//! stated length before it reads the content.

/// The greatest depth of nested structures; Parquet needs less than ten.
const DEEPEST: usize = 32;
const CUT_OFF: &str = "metadata that are cut off";

/// A walk through structures in thrift's compact protocol.
pub(super) struct Walk<'a> {
    rest: &'a [u8],
    /// The ids of the fields that lead to the current value.
    path: Vec<i64>,
    /// Called with the path and the value of each integer.
    found: &'a mut dyn FnMut(&[i64], i64),
}

/// Walks through one structure, and returns its length; `found` receives the path and the value of each integer.
///
/// # Errors
/// A sentence for a structure that is longer than the bytes, or nested too deeply.
pub(super) fn walk(bytes: &[u8], found: &mut dyn FnMut(&[i64], i64)) -> Result<usize, String> {
    let mut walk = Walk { rest: bytes, path: Vec::new(), found };
    walk.structure()?;
    Ok(bytes.len() - walk.rest.len())
}

impl<'a> Walk<'a> {
    fn structure(&mut self) -> Result<(), String> {
        if self.path.len() >= DEEPEST {
            return Err(format!("metadata deeper than {DEEPEST}"));
        }
        self.path.push(0);
        loop {
            let head = self.byte()?;
            let (step, kind) = (i64::from(head >> 4), head & 15);
            if kind == 0 {
                break;
            }
            let id = if step == 0 { self.integer()? } else { self.path.last().map_or(step, |id| id + step) };
            self.path.pop();
            self.path.push(id);
            // A boolean has no bytes of its own: its type is its value.
            if !matches!(kind, 1 | 2) {
                self.value(kind)?;
            }
        }
        self.path.pop();
        Ok(())
    }

    fn value(&mut self, kind: u8) -> Result<(), String> {
        match kind {
            1..=3 => drop(self.byte()?),
            4..=6 => {
                let value = self.integer()?;
                (self.found)(&self.path, value);
            }
            7 => drop(self.bytes(8)?),
            8 => {
                let length = self.number()?;
                self.bytes(usize::try_from(length).map_err(|_| CUT_OFF)?)?;
            }
            9 | 10 => {
                let head = self.byte()?;
                let n = if head >> 4 == 15 { self.number()? } else { u64::from(head >> 4) };
                self.all(n, &[head & 15])?;
            }
            11 => {
                let n = self.number()?;
                let kinds = if n == 0 { 0 } else { self.byte()? };
                self.all(n, &[kinds >> 4, kinds & 15])?;
            }
            12 => self.structure()?,
            13 => drop(self.bytes(16)?),
            other => return Err(format!("metadata with the unknown type {other}")),
        }
        Ok(())
    }

    /// Walks through the items of a list or map; each item has at least one byte.
    fn all(&mut self, n: u64, kinds: &[u8]) -> Result<(), String> {
        if n > self.rest.len() as u64 {
            return Err(format!("metadata with a list of {n} items in {} bytes", self.rest.len()));
        }
        (0..n).flat_map(|_| kinds).try_for_each(|kind| self.value(*kind))
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    fn bytes(&mut self, n: usize) -> Result<&'a [u8], String> {
        let (bytes, rest) = self.rest.split_at_checked(n).ok_or(CUT_OFF)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// A number with seven bits per byte, the lowest bits first.
    fn number(&mut self) -> Result<u64, String> {
        let mut number = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 127).checked_shl(shift).unwrap_or_default();
            if byte < 128 {
                return Ok(number);
            }
        }
        Err("metadata with a number of more than 64 bits".into())
    }

    /// A number with its sign in the lowest bit.
    fn integer(&mut self) -> Result<i64, String> {
        self.number().map(|n| (n >> 1) as i64 ^ -((n & 1) as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_found_by_their_path() {
        // Field 1: -3; field 2: a list of two structures, each with 300 in field 4; field 40: a text.
        let bytes = [0x15, 5, 0x19, 0x2c, 0x46, 0xd8, 4, 0, 0x46, 0xd8, 4, 0, 8, 80, 2, b'a', b'b', 0, 99];
        let mut all = Vec::new();
        let length = walk(&bytes, &mut |path, value| all.push((path.to_vec(), value))).unwrap();
        assert_eq!((length, all), (18, vec![(vec![1], -3), (vec![2, 4], 300), (vec![2, 4], 300)]));
        for n in 0..length {
            walk(&bytes[..n], &mut |_, _| {}).unwrap_err();
        }
        let long = [0x19, 0xfc, 255, 255, 255, 255, 7];
        assert!(walk(&long, &mut |_, _| {}).unwrap_err().contains("2147483647 items"));
        assert!(walk(&[0x1c; 100], &mut |_, _| {}).unwrap_err().contains("deeper"));
    }
}
