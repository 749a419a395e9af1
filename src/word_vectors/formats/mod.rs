//! Files of word vectors; the format is found from the content.
//!
//! - `source`: the bytes of a file, decompressed
//! - `text`: GloVe's and word2vec's text, fastText's `.vec`
//! - `binary`: word2vec's binary format
//! - `arrays`: an archive with an array of vectors and a Parquet file of words

mod arrays;
mod binary;
mod source;
mod text;

use super::table::WordVectors;
use crate::artefact::hash_file;
use crate::error::{Error, Result};
pub(super) use source::Source;
use std::collections::HashSet;
use std::path::Path;

/// The advice for a file that is not a file of word vectors.
const EXPECTED: &str =
    "word vectors: GloVe or word2vec text, word2vec binary or fastText .vec, also in gzip or zip";

/// The advice for a file that does not have the words of its first line.
const COMPLETE: &str = "a complete file, as its first line describes it";

impl WordVectors {
    /// Reads the vectors of the needed words from a file: GloVe's or word2vec's text, word2vec's binary format, or
    /// fastText's `.vec`, each also compressed with gzip or as the only file of a zip archive; or a zip archive with an
    /// array of vectors and a Parquet file of words.
    ///
    /// # Errors
    /// [`Error::BadFile`] naming the file, and the line and the value if one is wrong; [`Error::Io`];
    /// [`Error::Invalid`] if an array may not fit into the free memory.
    pub fn load(path: &Path, needed: &HashSet<String>) -> Result<WordVectors> {
        read(path, needed)
    }
}

fn read(path: &Path, needed: &HashSet<String>) -> Result<WordVectors> {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let sha256 = hash_file(path)?;
    let empty = |width| WordVectors::new(&name, sha256.clone(), width);
    let table = match arrays::read(path, needed, &empty)? {
        Some(table) => table,
        None => {
            let mut source = Source::open(path)?;
            let header = source.header()?;
            match header {
                Some(header) if binary::is_binary(&mut source, header.width)? => {
                    binary::read(&mut source, header, needed, empty(header.width))?
                }
                _ => text::read(&mut source, header, needed, &empty)?,
            }
        }
    };
    match table.n_words() {
        0 => Err(Error::bad_file(path, "no word of any name", "vectors in the language of the names")),
        _ => Ok(table),
    }
}
