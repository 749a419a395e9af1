//! The identity of a file and its last change, to refuse a file that is replaced or changed while it is read.

use super::files::{hash_of, open_regular};
use crate::error::{Error, Result};
use std::fs::{File, Metadata};
use std::path::Path;
use std::time::SystemTime;

/// The length of a file, the time of its last change, and its inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileState {
    length: u64,
    /// `None` on a file system without such times.
    changed: Option<SystemTime>,
    /// The device and the inode number, if the system has them.
    place: Option<(u64, u64)>,
}

impl FileState {
    /// The state of an open file; `path` names it in errors.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub(crate) fn of(file: &File, path: &Path) -> Result<FileState> {
        file.metadata().map(|about| FileState::from(&about)).map_err(Error::io("read", path))
    }

    /// The state of the file that is now at a path.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub(crate) fn at(path: &Path) -> Result<FileState> {
        std::fs::metadata(path).map(|about| FileState::from(&about)).map_err(Error::io("read", path))
    }

    /// Refuses a file whose state is `now` another one.
    ///
    /// # Errors
    /// [`Error::BadFile`] naming the file.
    pub(crate) fn check(self, path: &Path, now: FileState) -> Result<()> {
        if self == now {
            return Ok(());
        }
        let found = "a file that was changed or exchanged while it was read";
        Err(Error::bad_file(path, found, "a file that stays as it is; run the same command again"))
    }

    /// The state without the inode: some network file systems give a file a new inode number after it is closed.
    pub(crate) fn without_place(self) -> FileState {
        FileState { place: None, ..self }
    }

    /// The SHA-256 of the file at a path, which must still be in this state.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::BadFile`] naming the file.
    pub(crate) fn hash(self, path: &Path) -> Result<String> {
        let mut file = open_regular(path)?;
        self.check(path, FileState::of(&file, path)?)?;
        let hash = hash_of(&mut file, path)?;
        self.check(path, FileState::of(&file, path)?)?;
        Ok(hash)
    }
}

impl From<&Metadata> for FileState {
    fn from(about: &Metadata) -> FileState {
        FileState { length: about.len(), changed: about.modified().ok(), place: place(about) }
    }
}

#[cfg(unix)]
fn place(about: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((about.dev(), about.ino()))
}

#[cfg(not(unix))]
fn place(_: &Metadata) -> Option<(u64, u64)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_exchanged_or_changed_in_place_has_another_state() {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["a", "b"].map(|name| folder.path().join(name));
        std::fs::write(&path, "one").unwrap();
        let file = File::open(&path).unwrap();
        let state = FileState::of(&file, &path).unwrap();
        assert_eq!(state, FileState::at(&path).unwrap());
        assert_eq!(state.hash(&path).unwrap(), super::super::hash(b"one"));
        std::fs::write(&other, "two").unwrap();
        let times = std::fs::FileTimes::new().set_modified(file.metadata().unwrap().modified().unwrap());
        File::options().write(true).open(&other).unwrap().set_times(times).unwrap();
        std::fs::rename(&other, &path).unwrap();
        let refusal = state.hash(&path).unwrap_err().to_string();
        assert!(!cfg!(unix) || refusal.contains("exchanged"), "{refusal}");
        assert_eq!(state, FileState::of(&file, &path).unwrap(), "the open file is still the first one");
        let state = FileState::at(&path).unwrap();
        std::fs::write(&path, "four").unwrap();
        assert!(state.hash(&path).unwrap_err().to_string().contains("changed"));
    }
}
