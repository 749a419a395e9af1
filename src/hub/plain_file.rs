//! Opens files and makes folders in the cache without following links.

use crate::error::{Error, Result};
use std::fs::{File, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::path::Path;

/// The number of attempts to open a file that other processes keep replacing.
const TRIES: usize = 8;

/// Opens a file for reading and appending, or creates it. A link in its place is removed, not followed: in a shared
/// cache, somebody may have made it point to another user's file.
///
/// # Errors
/// [`Error::Io`], or [`Error::BadFile`] for a folder or anything else that is not a file.
pub(super) fn open(path: &Path) -> Result<File> {
    for _ in 0..TRIES {
        match std::fs::symlink_metadata(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                // `create_new` does not follow a link that appears in the meantime.
                match OpenOptions::new().read(true).append(true).create_new(true).open(path) {
                    Err(e) if e.kind() == ErrorKind::AlreadyExists => continue,
                    opened => return opened.map_err(Error::io("create", path)),
                }
            }
            Err(e) => return Err(Error::io("open", path)(e)),
            Ok(found) if found.is_symlink() || (found.is_file() && has_other_names(&found)) => {
                std::fs::remove_file(path).map_err(Error::io("remove the link", path))?;
            }
            Ok(found) if found.is_file() => {
                let file = OpenOptions::new().read(true).append(true).open(path);
                let file = file.map_err(Error::io("open", path))?;
                let opened = file.metadata().map_err(Error::io("read", path))?;
                if is_same(&found, &opened) {
                    return Ok(file);
                }
            }
            Ok(_) => return Err(Error::bad_file(path, "something other than a file", "a file; remove it")),
        }
    }
    Err(Error::bad_file(path, "a file that is replaced again and again", "a cache that nobody else changes"))
}

/// Creates `root`, and the folders of the path `below` in it; a link in place of a folder below `root` is refused.
///
/// # Errors
/// [`Error::Io`], or [`Error::BadFile`] naming the link.
pub(super) fn make_folder(root: &Path, below: &Path) -> Result<()> {
    std::fs::create_dir_all(root).map_err(Error::io("make the folder", root))?;
    let mut folder = root.to_path_buf();
    for part in below {
        folder.push(part);
        match std::fs::create_dir(&folder) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::AlreadyExists => check_folder(&folder)?,
            Err(e) => return Err(Error::io("make the folder", &folder)(e)),
        }
    }
    Ok(())
}

fn check_folder(folder: &Path) -> Result<()> {
    let found = std::fs::symlink_metadata(folder).map_err(Error::io("read", folder))?;
    match found.is_dir() {
        true => Ok(()),
        false => {
            let expected = "a folder; remove it, or name another cache with HF_HUB_CACHE";
            Err(Error::bad_file(folder, "a link or a file", expected))
        }
    }
}

/// True for a file with more than one hard link: writing to it would change a file elsewhere.
#[cfg(unix)]
fn has_other_names(file: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(file) > 1
}

#[cfg(not(unix))]
fn has_other_names(_: &Metadata) -> bool {
    false
}

#[cfg(unix)]
fn is_same(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}
