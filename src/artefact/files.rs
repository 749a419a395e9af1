//! Files written completely or not at all, and their hashes.

use super::disk::write_error;
use super::unfinished;
use crate::error::{Error, Result};
use crate::limits::{DEVICE_BYTES, PIPE_BYTES, check_memory};
use sha2::{Digest, Sha256};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::time::Duration;

/// Writes a file atomically: a reader finds the old content or the new, never a part of it.
///
/// A device or a pipe, such as `/dev/stdout`, is written directly. A file that already has these bytes is not touched,
/// so that a finished run can be repeated in a read-only folder.
///
/// # Errors
/// [`Error::DiskFull`]; [`Error::Io`] if the folder cannot be made or the file cannot be written.
pub fn save_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |action| write_error(action, path, bytes.len() as u64);
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        let mut file = opened(path, "from which no program reads", |path| {
            OpenOptions::new().write(true).truncate(true).create(true).open(path)
        })?;
        return file.write_all(bytes).map_err(failed("write"));
    }
    if has_bytes(path, bytes) {
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

/// Checks that a file can be written at a path, before the work whose result it will hold.
///
/// # Errors
/// [`Error::BadFile`] naming the folder that lies there, or the file in place of one of its folders.
pub fn check_target(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Err(Error::bad_file(path, "a folder", "a file to write"));
    }
    match path.ancestors().skip(1).find(|above| !above.as_os_str().is_empty() && above.exists()) {
        Some(above) if !above.is_dir() => {
            Err(Error::bad_file(above, "a file", "a folder for the file to write"))
        }
        _ => Ok(()),
    }
}

/// True if a file exists and has exactly these bytes.
pub fn has_bytes(path: &Path, bytes: &[u8]) -> bool {
    let mut left = bytes;
    let Some(mut file) = open_regular(path).ok() else { return false };
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

/// True if there is a file, false if there is nothing.
///
/// # Errors
/// [`Error::BadFile`] for a folder, a pipe, a socket or a device in its place.
pub fn is_there(path: &Path) -> Result<bool> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(true),
        Ok(_) => Err(not_a_file(path)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(e) => Err(Error::io("read", path)(e)),
    }
}

/// Reads a whole file that this program wrote; unlike [`load_bytes`], refuses pipes and devices at once.
///
/// # Errors
/// [`Error::Io`] or [`Error::BadFile`] naming the file; [`Error::Invalid`] for a file that is larger than the free
/// memory.
pub fn load_saved(path: &Path) -> Result<Vec<u8>> {
    read_all(open_regular(path)?, path)
}

/// Reads a whole file that a user names; a pipe or a device that ends is accepted.
///
/// # Errors
/// [`Error::Io`] naming the file; [`Error::Invalid`] for a file that is larger than the free memory;
/// [`Error::BadFile`] for a pipe or a device that does not end.
pub fn load_bytes(path: &Path) -> Result<Vec<u8>> {
    let file = opened(path, "into which no program writes", |path| File::open(path))?;
    let about = file.metadata().map_err(Error::io("read", path))?;
    if about.is_file() || about.is_dir() {
        return read_all(file, path);
    }
    let mut bytes = Vec::new();
    let limit = if is_pipe(&about) { PIPE_BYTES } else { DEVICE_BYTES };
    file.take(limit.most + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    match limit.size(bytes.len() as u64) {
        Some(_) => Ok(bytes),
        None => {
            let found = format!("more than {} bytes in a pipe or a device", limit.most);
            Err(Error::bad_file(path, found, "a file; save the bytes as one first"))
        }
    }
}

fn read_all(mut file: File, path: &Path) -> Result<Vec<u8>> {
    let about = file.metadata().map_err(Error::io("read", path))?;
    check_memory(&format!("the file {}", path.display()), about.len(), "use a smaller file")?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    Ok(bytes)
}

/// Opens a file; for a pipe, waits at most a few seconds for a program at its other end.
fn opened(path: &Path, alone: &str, open: fn(&Path) -> std::io::Result<File>) -> Result<File> {
    const WAIT: Duration = Duration::from_secs(5);
    if !std::fs::metadata(path).is_ok_and(|about| is_pipe(&about)) {
        return open(path).map_err(Error::io("read", path));
    }
    // The system opens a named pipe only when another program opens it too, which may never happen.
    let (sender, opened) = std::sync::mpsc::channel();
    let place = path.to_path_buf();
    std::thread::spawn(move || sender.send(open(&place)));
    match opened.recv_timeout(WAIT) {
        Ok(file) => file.map_err(Error::io("open", path)),
        Err(_) => Err(Error::bad_file(path, format!("a pipe {alone}"), "a file")),
    }
}

/// Opens a regular file for reading at any offset; refuses a pipe, a device or a folder.
///
/// # Errors
/// [`Error::Io`] or [`Error::BadFile`] naming the file.
pub(crate) fn open_regular(path: &Path) -> Result<File> {
    let about = std::fs::metadata(path).map_err(Error::io("read", path))?;
    if !about.is_file() {
        return Err(not_a_file(path));
    }
    File::open(path).map_err(Error::io("read", path))
}

fn not_a_file(path: &Path) -> Error {
    Error::bad_file(path, "a folder, a pipe, a socket or a device", "a file; move it away")
}

#[cfg(unix)]
fn is_pipe(about: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    about.file_type().is_fifo()
}

#[cfg(not(unix))]
fn is_pipe(_: &Metadata) -> bool {
    false
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
/// [`Error::Io`] naming the file; [`Error::BadFile`] for a folder, a pipe or a device.
pub fn hash_file(path: &Path) -> Result<String> {
    hash_of(&mut open_regular(path)?, path)
}

/// The SHA-256 of the rest of an open file, in hexadecimal.
pub(super) fn hash_of(file: &mut File, path: &Path) -> Result<String> {
    let mut sha256 = Sha256::new();
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
    #[cfg(target_os = "linux")]
    fn pipes_and_devices_without_end_are_refused() {
        let refusal = load_bytes(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(refusal.contains("/dev/zero") && refusal.contains("a device"), "{refusal}");
        assert_eq!(load_bytes(Path::new("/dev/null")).unwrap(), b"");
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let refusal = load_bytes(&pipe).unwrap_err().to_string();
        assert!(refusal.contains("no program writes"), "{refusal}");
        assert!(open_regular(&pipe).unwrap_err().to_string().contains("a pipe"));
        // Another pipe, because a thread still waits for a writer to the first.
        let pipe = folder.path().join("written");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::write(pipe, b"text").unwrap()
        });
        assert_eq!(load_bytes(&pipe).unwrap(), b"text");
        writer.join().unwrap();
    }

    #[test]
    fn hash_is_sha256() {
        // The well-known digest of the empty message (FIPS 180-4).
        assert_eq!(hash(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
