//! The lock of a folder or of a single file: one process at a time writes there. The lock file names the process; the
//! lock ends with it.

use super::date::date_now;
use super::disk::write_error;
use super::text::load_text;
use super::unfinished;
use crate::error::{Error, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The file that is locked while a process writes in its folder.
const LOCK: &str = ".lock";

/// A lock: no other process writes there while this value lives.
pub struct Lock {
    path: PathBuf,
    /// `None` if the file system has no locks.
    held: Option<File>,
    /// Dropped last, after the lock file is removed.
    _made: MadeFolders,
}

/// The folders that were created for a lock, the innermost first. Folders that are empty when the lock ends are
/// removed, so that refused work leaves nothing behind.
struct MadeFolders(Vec<PathBuf>);

impl MadeFolders {
    /// Creates a folder and the missing folders above it.
    fn create(folder: &Path) -> Result<MadeFolders> {
        let is_missing = |above: &&Path| !above.as_os_str().is_empty() && !above.exists();
        let missing = folder.ancestors().take_while(is_missing).map(Path::to_path_buf).collect();
        std::fs::create_dir_all(folder).map_err(Error::io("make the folder", folder))?;
        Ok(MadeFolders(missing))
    }
}

impl Drop for MadeFolders {
    fn drop(&mut self) {
        // The system refuses to remove a folder with content; then the folders above it stay as well.
        _ = self.0.iter().try_for_each(std::fs::remove_dir);
    }
}

impl Lock {
    /// Takes the lock of a folder, which is created if it does not exist.
    ///
    /// # Errors
    /// [`Error::InUse`] naming the process that holds it.
    pub fn take(folder: &Path) -> Result<Lock> {
        Lock::at(folder.join(LOCK), folder)
    }

    /// Takes the lock of one file in a folder that other processes may share; the folder is created if it does not exist.
    ///
    /// # Errors
    /// [`Error::InUse`] naming the process that holds it.
    pub fn take_file(file: &Path) -> Result<Lock> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        Lock::at(file.with_file_name(format!(".{name}{LOCK}")), file)
    }

    /// Takes the lock whose file is at `path`, and removes the unfinished files of dead processes; `locked` is
    /// the path in messages.
    fn at(path: PathBuf, locked: &Path) -> Result<Lock> {
        let folder = path.parent().unwrap_or(locked);
        let mut made = MadeFolders::create(folder)?;
        unfinished::clear(folder);
        loop {
            let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let mut file = match opened {
                // Another process that had created the folder has just removed it again.
                Err(e) if e.kind() == ErrorKind::NotFound && !folder.exists() => {
                    made = MadeFolders::create(folder)?;
                    continue;
                }
                opened => opened.map_err(Error::io("open", &path))?,
            };
            match file.try_lock() {
                // The process that held it may have removed the file after it was opened here.
                Ok(()) if !unfinished::is_at(&file, &path) => continue,
                Ok(()) => {
                    let owner = owner();
                    let written = file.set_len(0).and_then(|()| file.write_all(owner.as_bytes()));
                    written.map_err(|e| {
                        _ = std::fs::remove_file(&path);
                        write_error("write", &path, owner.len() as u64)(e)
                    })?;
                    return Ok(Lock { path, held: Some(file), _made: made });
                }
                Err(TryLockError::WouldBlock) => {
                    let owner = load_text(&path).unwrap_or_default();
                    let owner = Some(owner.trim().to_string()).filter(|owner| !owner.is_empty());
                    let owner = owner.unwrap_or_else(|| "another process".into());
                    return Err(Error::InUse { path: locked.to_path_buf(), owner });
                }
                Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {
                    return Ok(Lock { path, held: None, _made: made });
                }
                Err(TryLockError::Error(e)) => return Err(Error::io("lock", &path)(e)),
            }
        }
    }

    /// True if a process holds the lock of a folder, or was killed while it did.
    pub fn exists(folder: &Path) -> bool {
        folder.join(LOCK).exists()
    }

    /// True if the lock keeps other processes out; false on a file system without locks.
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while it is still held, so that no other process's lock is removed. If it stays, the
        // next process takes it over.
        if cfg!(unix) && self.held.is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Describes this process, for messages.
fn owner() -> String {
    let host = sysinfo::System::host_name().unwrap_or_else(|| "an unnamed machine".into());
    format!("process {} on {host}, since {}", std::process::id(), date_now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_refused_by_the_name_of_the_first_until_that_ends() {
        let lab = tempfile::tempdir().unwrap();
        let folder = lab.path().join("a/b");
        let first = Lock::take(&folder).unwrap();
        let message = Lock::take(&folder).map(|_| "taken").unwrap_err().to_string();
        assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
        assert!(message.contains("a/b") && message.contains("since 20"), "{message}");
        drop(first);
        assert!(Lock::take(&folder).unwrap().is_held());
        assert_eq!(std::fs::read_dir(lab.path()).unwrap().count(), 0);
    }

    #[test]
    fn folders_made_for_a_lock_are_removed_if_they_stay_empty() {
        let lab = tempfile::tempdir().unwrap();
        let folder = lab.path().join("a/b/c");
        drop(Lock::take(&folder).unwrap());
        assert_eq!(std::fs::read_dir(lab.path()).unwrap().count(), 0);
        drop(Lock::take_file(&folder.join("x.csv")).unwrap());
        assert_eq!(std::fs::read_dir(lab.path()).unwrap().count(), 0);
        let lock = Lock::take(&folder).unwrap();
        std::fs::write(lab.path().join("a/kept"), "x").unwrap();
        drop(lock);
        assert!(lab.path().join("a/kept").is_file() && !lab.path().join("a/b").exists());
        std::fs::create_dir(lab.path().join("mine")).unwrap();
        drop(Lock::take(&lab.path().join("mine")).unwrap());
        assert!(lab.path().join("mine").is_dir(), "a folder that was there before stays");
    }

    #[test]
    fn the_locks_of_two_files_in_a_folder_are_apart() {
        let lab = tempfile::tempdir().unwrap();
        let [a, b] = ["a.csv", "b.csv"].map(|name| lab.path().join(name));
        let first = Lock::take_file(&a).unwrap();
        assert!(Lock::take_file(&b).unwrap().is_held());
        let message = Lock::take_file(&a).map(|_| "taken").unwrap_err().to_string();
        assert!(message.contains("a.csv: process"), "{message}");
        drop(first);
        assert_eq!(std::fs::read_dir(lab.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_lock_of_a_dead_process_is_taken_over() {
        let lab = tempfile::tempdir().unwrap();
        std::fs::write(lab.path().join(LOCK), "process 1 on moon, since 1969-07-20T20:17:40Z, and more")
            .unwrap();
        let lock = Lock::take(lab.path()).unwrap();
        let text = std::fs::read_to_string(lab.path().join(LOCK)).unwrap();
        assert!(text.contains(&std::process::id().to_string()) && !text.contains("moon"), "{text}");
        drop(lock);
    }
}
