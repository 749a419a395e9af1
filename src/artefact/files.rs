//! Files written completely or not at all, and their hashes.

use super::disk::write_error;
use super::unfinished;
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::path::Path;

/// Writes a file atomically: a reader finds the old content or the new, never a part. A device or a pipe, such as
/// `/dev/stdout`, is written to. A file that has these bytes already stays, so that a folder without the right to write
/// is enough where all is done.
///
/// # Errors
/// [`Error::DiskFull`]; [`Error::Io`] if the folder cannot be made or the file cannot be written.
pub fn save_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |action| write_error(action, path, bytes.len() as u64);
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return std::fs::write(path, bytes).map_err(failed("write"));
    }
    if has(path, bytes) {
        return Ok(());
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(Error::io("make the folder", folder))?;
    let mut file = unfinished::begin(folder).map_err(failed("write"))?;
    file.write_all(bytes).map_err(failed("write"))?;
    file.as_file().sync_all().map_err(failed("sync"))?;
    make_readable(file.as_file(), path)?;
    file.persist(path).map_err(|e| Error::io("rename into place", path)(e.error))?;
    Ok(())
}

/// Writes a file as [`save_bytes`] does; returns false if it had this content already.
///
/// # Errors
/// As [`save_bytes`].
pub fn save_if_other(path: &Path, bytes: &[u8]) -> Result<bool> {
    let is_other = !has(path, bytes);
    if is_other {
        save_bytes(path, bytes)?;
    }
    Ok(is_other)
}

/// True if a file has these bytes.
fn has(path: &Path, bytes: &[u8]) -> bool {
    let mut left = bytes;
    let Some(mut file) = std::fs::File::open(path).ok() else { return false };
    if file.metadata().map_or(true, |found| found.len() != bytes.len() as u64) {
        return false;
    }
    let mut piece = [0; 1 << 14];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return left.is_empty(),
            Ok(n) if left.starts_with(&piece[..n]) => left = &left[n..],
            _ => return false,
        }
    }
}

/// Makes a temporary file, which is private by default, readable for everyone who may read its folder.
#[cfg(unix)]
fn make_readable(file: &std::fs::File, path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
        .map_err(Error::io("set permissions of", path))
}

#[cfg(not(unix))]
fn make_readable(_: &std::fs::File, _: &Path) -> Result<()> {
    Ok(())
}

/// Removes a file, if there is one.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(Error::io("remove", path)),
    }
}

/// Reads a whole file.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn load_bytes(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(Error::io("read", path))
}

/// The SHA-256 of bytes, in hexadecimal.
pub fn hash(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes))
}

/// A digest in hexadecimal.
pub(crate) fn hex(digest: impl AsRef<[u8]>) -> String {
    let digest = digest.as_ref();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of a file, in hexadecimal; the file is read piece by piece.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn hash_file(path: &Path) -> Result<String> {
    let mut sha256 = Sha256::new();
    let mut file = std::fs::File::open(path).map_err(Error::io("read", path))?;
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece).map_err(Error::io("read", path))? {
            0 => return Ok(hex(sha256.finalize())),
            n => sha256.update(&piece[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saving_replaces_whole_files_and_leaves_no_temporary() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/rows.csv");
        save_bytes(&path, b"old").unwrap();
        save_bytes(&path, b"new").unwrap();
        assert_eq!(load_bytes(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn hash_is_sha256() {
        // The well-known digest of the empty message (FIPS 180-4).
        assert_eq!(hash(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
