//! Memory-mapped files: one of the files with `unsafe`.
//!
//! Weights can be too large to copy into memory; with a mapping, the operating system loads pages as they are read.
//! Mapping is unsafe because another process may change the file while it is read. That would change
//! numbers, not memory safety of this process's own data: every access goes through `&[u8]` and each
//! tensor is copied out once while loading, after which the map is dropped.
#![allow(unsafe_code, reason = "maps files, as the module says above")]

use crate::artefact::open_regular;
use crate::error::{Error, Result};
use memmap2::Mmap;
use std::path::Path;

/// Maps a file for reading.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub(crate) fn map(path: &Path) -> Result<Mmap> {
    let file = open_regular(path)?;
    // SAFETY: the map is read-only and short-lived (see the module's text); a file truncated while it
    // is mapped ends the process with a signal, which loses nothing, as nothing is being written.
    unsafe { Mmap::map(&file) }.map_err(Error::io("map the weights", path))
}
