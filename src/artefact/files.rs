//! Files written completely or not at all, and their hashes.

use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::path::Path;

/// Writes a file atomically: a reader finds the old content or the new, never a part.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be made or the file cannot be written.
pub fn save_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(Error::io("make the folder", folder))?;
    let mut file = tempfile::Builder::new()
        .prefix(".")
        .suffix(".tmp")
        .tempfile_in(folder)
        .map_err(Error::io("write in the folder", folder))?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    file.as_file().sync_all().map_err(Error::io("sync", path))?;
    make_readable(file.as_file(), path)?;
    file.persist(path).map_err(|e| Error::io("rename into place", path)(e.error))?;
    Ok(())
}

/// Writes a file as [`save_bytes`] does, unless it has this content already; returns true if it was written.
///
/// # Errors
/// As [`save_bytes`].
pub fn save_if_other(path: &Path, bytes: &[u8]) -> Result<bool> {
    let is_same = std::fs::metadata(path).is_ok_and(|found| found.len() == bytes.len() as u64)
        && std::fs::read(path).is_ok_and(|found| found == bytes);
    if !is_same {
        save_bytes(path, bytes)?;
    }
    Ok(!is_same)
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
