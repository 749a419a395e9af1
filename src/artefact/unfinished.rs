//! Unfinished files: each is locked by its writer, so that files of dead processes can be recognised and removed.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io::Result;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tempfile::NamedTempFile;

/// The beginning and the end of the names of unfinished files.
const NAME: [&str; 2] = [".mappa-", ".tmp"];

/// A new unfinished file in a folder, locked until it is closed.
pub(super) fn begin(folder: &Path) -> Result<NamedTempFile> {
    clear_once(folder);
    let [begin, end] = NAME;
    loop {
        let file = tempfile::Builder::new().prefix(begin).suffix(end).tempfile_in(folder)?;
        match file.as_file().try_lock() {
            // Another process locked the new file first, takes its writer for dead, and removes it: try again.
            Err(TryLockError::WouldBlock) => {}
            Ok(()) if !is_at(file.as_file(), file.path()) => {}
            // On a file system without locks, unfinished files are never cleared.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(file),
        }
    }
}

/// Removes the unfinished files of dead processes, the first time that this process writes into the folder.
fn clear_once(folder: &Path) {
    static CLEARED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    if CLEARED.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_path_buf()) {
        clear(folder);
    }
}

/// Removes the unfinished files of dead processes from a folder; files that cannot be removed stay and do no harm.
pub(super) fn clear(folder: &Path) {
    let [begin, end] = NAME;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_unfinished = name.to_str().is_some_and(|name| name.starts_with(begin) && name.ends_with(end));
        if is_unfinished
            && let Ok(file) = File::options().write(true).open(entry.path())
            && file.try_lock().is_ok()
            && is_at(&file, &entry.path())
        {
            // The lock is still held here, so that no process can write to the file while it is removed.
            _ = std::fs::remove_file(entry.path());
        }
    }
}

/// True if an open file is the one at a path.
#[cfg(unix)]
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (ours, theirs) = (file.metadata(), std::fs::metadata(path));
    matches!((ours, theirs), (Ok(a), Ok(b)) if a.dev() == b.dev() && a.ino() == b.ino())
}

#[cfg(not(unix))]
pub(super) fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_dead_processes_are_cleared_and_those_of_living_ones_and_of_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let living = begin(folder.path()).unwrap();
        for name in [".mappa-AbC123.tmp", ".AbC123.tmp", "mine.tmp"] {
            std::fs::write(folder.path().join(name), "left").unwrap();
        }
        clear(folder.path());
        let left = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let left: BTreeSet<_> = left.collect();
        let ours = living.path().file_name().unwrap().to_os_string();
        assert_eq!(left, [".AbC123.tmp".into(), "mine.tmp".into(), ours].into());
        drop(living);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
