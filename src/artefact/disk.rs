//! Errors of writing: a full disk and a file above the limit, with the bytes needed.

use crate::error::Error;
use std::io::ErrorKind;
use std::path::Path;

/// The error of a failed write: for a full disk, with the needed and the free bytes; for a file above `ulimit -f`, with
/// the needed bytes; otherwise in the system's words.
pub(crate) fn write_error(
    action: &'static str,
    path: &Path,
    needed: u64,
) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_path_buf();
    move |e| match e.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => disk_full(&path, needed),
        ErrorKind::FileTooLarge => {
            let problem = format!("{needed} bytes are more than a file may have here (see `ulimit -f`)");
            Error::io(action, &path)(std::io::Error::new(ErrorKind::FileTooLarge, problem))
        }
        _ => Error::io(action, &path)(e),
    }
}

/// The error of a disk without room for `needed` more bytes at `path`.
pub(crate) fn disk_full(path: &Path, needed: u64) -> Error {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let free = fs4::available_space(folder).ok();
    Error::DiskFull {
        path: path.to_path_buf(),
        needed: needed.to_string(),
        free: free.map_or("an unknown number".into(), |free| free.to_string()),
        advice: "make room: finished work is kept, and the same command resumes after it; or name a lab on another \
                 disk with --lab",
    }
}
