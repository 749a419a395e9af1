//! The bytes of a file of vectors: plain, compressed with gzip, or the only file of a zip archive.

use super::EXPECTED;
use crate::artefact::{guarded, open_regular, text_of};
use crate::error::{Error, Result};
use crate::limits::{TEXT_BYTES, VECTOR_WIDTH};
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// The number of bytes in the buffer, from which the format is found.
const AHEAD: usize = 1 << 20;

/// A file of vectors, read from its beginning.
pub(in crate::word_vectors) struct Source {
    pub path: PathBuf,
    reader: Box<dyn BufRead>,
    /// The number of lines read so far.
    pub line: u64,
    /// The advice for a bad line.
    expected: &'static str,
}

/// The first line of word2vec's formats: the number of words and the width of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub n_words: u64,
    pub width: usize,
}

impl Source {
    /// Opens a file and finds its compression.
    pub(in crate::word_vectors) fn open(path: &Path) -> Result<Source> {
        let file = open_regular(path)?;
        let mut plain = BufReader::with_capacity(AHEAD, file);
        let start = plain.fill_buf().map_err(Error::io("read", path))?;
        let reader: Box<dyn BufRead> = match start {
            [0x1f, 0x8b, ..] => Box::new(BufReader::with_capacity(AHEAD, MultiGzDecoder::new(plain))),
            [b'P', b'K', 3, 4, ..] => Box::new(BufReader::with_capacity(AHEAD, only_member(path)?)),
            _ => Box::new(plain),
        };
        Ok(Source { path: path.to_path_buf(), reader, line: 0, expected: EXPECTED })
    }

    /// The same source, with other advice for bad lines.
    pub(in crate::word_vectors) fn expecting(self, expected: &'static str) -> Source {
        Source { expected, ..self }
    }

    /// An error that names the line last read.
    pub(in crate::word_vectors) fn bad_line(&self, found: impl std::fmt::Display) -> Error {
        Error::bad_file(&self.path, format!("line {}: {found}", self.line), self.expected)
    }

    /// An error of the system or of the decompression.
    fn unreadable(&self, error: std::io::Error) -> Error {
        Error::io("read", &self.path)(error)
    }

    /// Reads a line without its end; `None` at the end of the file.
    pub(super) fn next_line(&mut self, line: &mut Vec<u8>) -> Result<Option<()>> {
        line.clear();
        let most = TEXT_BYTES.most;
        let read = (&mut self.reader).take(most).read_until(b'\n', line).map_err(|e| self.unreadable(e))?;
        self.line += 1;
        if read as u64 == most {
            return Err(self.bad_line(format!("more than {most} bytes")));
        }
        while line.last().is_some_and(|byte| b"\r\n ".contains(byte)) {
            line.pop();
        }
        Ok((read > 0).then_some(()))
    }

    /// Adds the bytes up to the end of the line, but at most `most`; returns their number.
    pub(in crate::word_vectors) fn next_bytes(&mut self, bytes: &mut Vec<u8>, most: u64) -> Result<u64> {
        let is_begin = bytes.is_empty();
        let read = (&mut self.reader).take(most).read_until(b'\n', bytes).map_err(|e| self.unreadable(e))?;
        self.line += u64::from(is_begin && read > 0);
        Ok(read as u64)
    }

    /// Bytes of the line last read, as text.
    pub(in crate::word_vectors) fn text<'a>(&self, bytes: &'a [u8]) -> Result<&'a str> {
        if self.line <= 1 {
            return text_of(&self.path, bytes);
        }
        match str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Ok(text),
            Ok(_) => Err(self.bad_line("a NUL byte")),
            Err(error) => {
                Err(self.bad_line(format!("a byte that is not UTF-8 (0x{:02x})", bytes[error.valid_up_to()])))
            }
        }
    }

    /// Reads the header if the first line is one: two whole numbers.
    pub(super) fn header(&mut self) -> Result<Option<Header>> {
        let start = self.reader.fill_buf().map_err(Error::io("read", &self.path))?;
        let end = start.iter().position(|byte| *byte == b'\n').unwrap_or(start.len());
        let Ok(first) = str::from_utf8(&start[..end]) else { return Ok(None) };
        let numbers: Vec<Option<u64>> = first.split_whitespace().map(|word| word.parse().ok()).collect();
        let [Some(n_words), Some(width)] = numbers[..] else { return Ok(None) };
        self.next_line(&mut Vec::new())?;
        match VECTOR_WIDTH.size(width) {
            Some(width) => Ok(Some(Header { n_words, width })),
            None => Err(self.bad_line(format!("vectors of {width} numbers"))),
        }
    }

    /// The next bytes, which stay unread.
    pub(super) fn ahead(&mut self) -> Result<&[u8]> {
        self.reader.fill_buf().map_err(Error::io("read", &self.path))
    }

    /// Reads up to a byte, which is not returned, or up to the end of the file.
    pub(super) fn until(&mut self, byte: u8, bytes: &mut Vec<u8>) -> Result<()> {
        bytes.clear();
        let mut some = (&mut self.reader).take(TEXT_BYTES.most);
        some.read_until(byte, bytes).map_err(Error::io("read", &self.path))?;
        if bytes.last() == Some(&byte) {
            bytes.pop();
        }
        Ok(())
    }

    /// Fills a buffer; returns false if the file is too short.
    pub(super) fn fill(&mut self, bytes: &mut [u8]) -> Result<bool> {
        match self.reader.read_exact(bytes) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
            Err(e) => Err(self.unreadable(e)),
        }
    }
}

/// The only file of a zip archive.
fn only_member(path: &Path) -> Result<Box<dyn Read>> {
    let members = members(path)?;
    match &members[..] {
        [only] => only.open(path),
        _ => {
            let names: Vec<&str> = members.iter().take(5).map(|member| member.name.as_str()).collect();
            let found = format!("{} files: {}", members.len(), names.join(", "));
            Err(Error::bad_file(
                path,
                found,
                "an archive of one file of vectors; unpack it, and name that file",
            ))
        }
    }
}

/// One file in a zip archive.
pub(super) struct Member {
    pub name: String,
    /// The offset of its content in the archive.
    start: u64,
    /// The number of bytes of its content in the archive.
    length: u64,
    method: CompressionMethod,
    crc32: u32,
}

impl Member {
    /// The content, decompressed while it is read.
    pub(super) fn open(&self, path: &Path) -> Result<Box<dyn Read>> {
        let mut file = open_regular(path)?;
        file.seek(SeekFrom::Start(self.start)).map_err(Error::io("read", path))?;
        let content = file.take(self.length);
        let content: Box<dyn Read> = match self.method {
            CompressionMethod::STORE => Box::new(content),
            CompressionMethod::DEFLATE => Box::new(DeflateDecoder::new(content)),
            other => {
                let found = format!("{}: the compression {other}", self.name);
                return Err(Error::bad_file(path, found, "an archive with deflate, as zip makes it"));
            }
        };
        Ok(Box::new(Checked { content, hasher: crc32fast::Hasher::new(), stated: self.crc32 }))
    }
}

/// The content of a member, compared with its checksum at its end.
struct Checked {
    content: Box<dyn Read>,
    hasher: crc32fast::Hasher,
    stated: u32,
}

impl Read for Checked {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let n = self.content.read(bytes)?;
        self.hasher.update(&bytes[..n]);
        if n == 0 && !bytes.is_empty() && self.hasher.clone().finalize() != self.stated {
            let message = "the checksum differs: the archive is damaged; download it again";
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, message));
        }
        Ok(n)
    }
}

/// The files of a zip archive.
pub(super) fn members(path: &Path) -> Result<Vec<Member>> {
    let expected = "a zip archive, or word vectors";
    guarded(path, expected, || {
        let bad = |e: ZipError| Error::bad_file(path, e.to_string(), expected);
        let mut archive = ZipArchive::new(BufReader::new(open_regular(path)?)).map_err(bad)?;
        let n_members = archive.len();
        let member = |at| {
            let member = archive.by_index_raw(at).map_err(bad)?;
            let start = member.data_start().ok_or(ZipError::FileNotFound).map_err(bad)?;
            Ok(Member {
                name: member.name().map_err(bad)?.to_string(),
                start,
                length: member.compressed_size(),
                method: member.compression(),
                crc32: member.crc32(),
            })
        };
        let all: Vec<Member> = (0..n_members).map(member).collect::<Result<_>>()?;
        Ok(all.into_iter().filter(|member| !member.name.ends_with('/')).collect())
    })
}
