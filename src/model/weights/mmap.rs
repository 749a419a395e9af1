//! Memory-mapped files; this file uses `unsafe`.
//!
//! Weights can be too large to copy into memory; with a mapping, the operating system loads pages as they are read.
//! Mapping is unsafe because another process may change the file while it is read. Such a change would give wrong
//! numbers, but would not corrupt this process's memory: every access goes through `&[u8]`, each tensor is copied
//! once while loading, and the map is dropped afterwards.
#![allow(unsafe_code, reason = "maps files, as the module says above")]

use crate::artefact::open_regular;
use crate::error::{Error, Result};
use memmap2::Mmap;
use std::fs::File;
use std::path::Path;

/// Maps a file for reading.
///
/// # Errors
/// [`Error::Io`] or [`Error::BadFile`] naming the file.
pub(crate) fn map(path: &Path) -> Result<Mmap> {
    map_open(&open_regular(path)?, path)
}

/// Maps an open file for reading; `path` names it in errors.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub(crate) fn map_open(file: &File, path: &Path) -> Result<Mmap> {
    // SAFETY: the map is read-only and short-lived (see the module's text); a file truncated while it
    // is mapped ends the process with a signal, which loses nothing, because nothing is being written.
    unsafe { Mmap::map(file) }.map_err(Error::io("map the weights", path))
}
