//! Where a store's files lie, in a folder or in an object store: the one way to them.
//!
//! What is still being written is staged in a folder on a disk, as its rows come in any order; a finished
//! file is adopted whole.

use super::bucket::Bucket;
use crate::artefact::{self, Card};
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How much of a file is held in memory while it is read through.
pub(super) const BLOCK: usize = 1 << 23;

/// The folder where what is not finished lies.
const STAGING: &str = ".partial";

/// A folder of finished files, and the folder on a disk where they are put together.
#[derive(Debug, Clone)]
pub(super) struct Files {
    root: PathBuf,
    /// Where finished files lie, if not in the folder itself.
    bucket: Option<Bucket>,
}

impl Files {
    /// The files in a folder, which need not be there yet.
    pub fn new(root: &Path) -> Files {
        Files { root: root.to_path_buf(), bucket: None }
    }

    /// The same, but finished files lie in an object store.
    pub fn kept_in(self, bucket: Bucket) -> Files {
        Files { bucket: Some(bucket), ..self }
    }

    /// Where a file lies, for messages.
    pub fn path(&self, name: &str) -> PathBuf {
        match &self.bucket {
            Some(bucket) => bucket.path(name),
            None if name.is_empty() => self.root.clone(),
            None => self.root.join(name),
        }
    }

    /// The folder on a disk where files are put together.
    pub fn staging(&self) -> PathBuf {
        self.root.join(STAGING)
    }

    /// The files of a folder below.
    pub fn below(&self, folder: &str) -> Files {
        Files { root: self.root.join(folder), bucket: self.bucket.as_ref().map(|b| b.below(folder)) }
    }

    /// The names of what lies here, in order; none if there is nothing.
    pub fn names(&self) -> Result<Vec<String>> {
        if let Some(bucket) = &self.bucket {
            return bucket.names();
        }
        let entries = match std::fs::read_dir(&self.root) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(vec![]),
            entries => entries.map_err(Error::io("read the folder", &self.root))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::io("read the folder", &self.root))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// Removes what a program left that was killed while it gave a file its place.
    pub fn sweep(&self) -> Result<()> {
        if self.bucket.is_some() {
            return Ok(()); // There an object is whole or not at all.
        }
        for name in self.names()?.iter().filter(|name| name.starts_with('.') && name.ends_with(".tmp")) {
            let path = self.path(name);
            std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        Ok(())
    }

    /// The length of a file, or `None` where there is none.
    pub fn size(&self, name: &str) -> Result<Option<u64>> {
        if let Some(bucket) = &self.bucket {
            return bucket.size(name);
        }
        match std::fs::metadata(self.path(name)) {
            Ok(found) if found.is_file() => Ok(Some(found.len())),
            Ok(_) => Ok(None),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", self.path(name))(e)),
        }
    }

    /// A whole file.
    pub fn load(&self, name: &str) -> Result<Vec<u8>> {
        match &self.bucket {
            Some(bucket) => bucket.load(name),
            None => artefact::load_bytes(&self.path(name)),
        }
    }

    /// A card, or `None` where there is none.
    pub fn card(&self, name: &str) -> Result<Option<Card>> {
        match self.size(name)? {
            Some(_) => Card::parse(&self.path(name), &self.load(name)?).map(Some),
            None => Ok(None),
        }
    }

    /// Some bytes of a file, from one that it has; fewer where it ends before.
    pub fn load_part(&self, name: &str, (start, length): (u64, usize)) -> Result<Vec<u8>> {
        if let Some(bucket) = &self.bucket {
            return bucket.load_part(name, (start, length));
        }
        let path = self.path(name);
        let mut file = File::open(&path).map_err(Error::io("read", &path))?;
        file.seek(SeekFrom::Start(start)).map_err(Error::io("read", &path))?;
        let mut bytes = Vec::with_capacity(length);
        file.take(length as u64).read_to_end(&mut bytes).map_err(Error::io("read", &path))?;
        Ok(bytes)
    }

    /// The SHA-256 of a file, in hexadecimal.
    pub fn sha256(&self, name: &str) -> Result<String> {
        // Some object stores refuse a part that begins behind the end, so the end is not asked for.
        let (mut hasher, mut at, size) = (Sha256::new(), 0, self.size(name)?);
        loop {
            let bytes = self.load_part(name, (at, BLOCK))?; // an error where there is no file
            at += bytes.len() as u64;
            hasher.update(&bytes);
            if bytes.is_empty() || size.is_none_or(|size| at >= size) {
                return Ok(hex(hasher));
            }
        }
    }

    /// Writes a small file, whole or not at all.
    pub fn save(&self, name: &str, bytes: &[u8]) -> Result<()> {
        if let Some(bucket) = &self.bucket {
            return bucket.save(name, bytes);
        }
        artefact::save_bytes(&self.path(name), bytes).map_err(|error| match error {
            Error::Io { action, path, source } => write_error(action, &path, bytes.len() as u64)(source),
            error => error,
        })
    }

    /// Gives a staged file its place.
    pub fn adopt(&self, staged: &Path, name: &str) -> Result<()> {
        if let Some(bucket) = &self.bucket {
            bucket.send(staged, name)?;
            return std::fs::remove_file(staged).map_err(Error::io("remove", staged));
        }
        let path = self.path(name);
        std::fs::rename(staged, &path).map_err(Error::io("rename into place", &path))?;
        self.sync()
    }

    /// Makes sure that the names of finished files are on the disk.
    pub fn sync(&self) -> Result<()> {
        match &self.bucket {
            Some(_) => Ok(()),
            None => sync_folder(&self.root),
        }
    }
}

/// A finished hash in hexadecimal.
pub(super) fn hex(hasher: Sha256) -> String {
    artefact::hex(&hasher.finalize())
}

/// Makes sure that a folder's names are on disk, where the system lets a folder be synced.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    match File::open(folder) {
        Ok(opened) => match opened.sync_all() {
            Err(e) if !matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
                Err(Error::io("sync", folder)(e))
            }
            _ => Ok(()),
        },
        Err(_) => Ok(()),
    }
}

/// What went wrong with a write: a full disk with its figures, anything else as the system says it.
pub(super) fn write_error(
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

/// The disk that holds `path` has no room for `needed` more bytes.
pub(super) fn disk_full(path: &Path, needed: u64) -> Error {
    let free = path.parent().and_then(|folder| fs4::available_space(folder).ok());
    Error::DiskFull {
        path: path.to_path_buf(),
        needed: needed.to_string(),
        free: free.map_or("an unknown number".into(), |free| free.to_string()),
        advice: "make room, or name a lab on another disk with --lab; finished groups are kept, and the same \
                 command goes on from there",
    }
}
