//! The cache on disk, in the layout of Python's `huggingface_hub`.
//!
//! ```text
//! models--org--name/blobs/ETAG                    a file's content, shared by all revisions
//!                   blobs/ETAG.incomplete         its downloaded part
//!                   refs/REVISION                 the commit of a branch or tag at the last request
//!                   snapshots/COMMIT/NAME         a relative link to the blob
//! .locks/models--org--name/ETAG.lock              held by the process that downloads the blob
//! ```
//!
//! The folder of a repo and its `blobs` may be links to another disk, made by the user; nothing is written through any
//! other link.
//!
//! Python's `trees/` are not written: a tree lists every file of a repo, and Python then regards a snapshot that holds
//! only a model's files as broken.

use super::files;
use super::plain_file;
use super::repo::{RepoId, is_commit};
use crate::artefact;
use crate::error::{Error, Result};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// The tag that marks a folder as a cache for backup tools (the Cache Directory Tagging Specification).
const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n# Downloads from the Hugging Face hub.\n";

/// One repo's part of the cache.
pub(super) struct RepoCache {
    root: PathBuf,
    folder: String,
}

/// The exclusive right to download a blob.
pub(super) enum Lock {
    /// A lock, released when the file is closed.
    Held(#[expect(dead_code, reason = "closing the file ends the lock")] File),
    /// The file system has no locks.
    Unsupported,
}

impl RepoCache {
    /// The part of a cache folder for a repo.
    pub(super) fn new(root: &Path, repo: &RepoId) -> RepoCache {
        RepoCache { root: root.to_path_buf(), folder: format!("models--{}", repo.id().replace('/', "--")) }
    }

    /// The cache of files outside the hub.
    pub(super) fn of_files(root: &Path) -> RepoCache {
        RepoCache { root: root.to_path_buf(), folder: "files".into() }
    }

    /// Creates the folder of blobs.
    pub(super) fn make_blobs_folder(&self) -> Result<()> {
        let blobs = self.repo().join("blobs");
        std::fs::create_dir_all(&blobs).map_err(Error::io("make the folder", &blobs))
    }

    fn repo(&self) -> PathBuf {
        self.root.join(&self.folder)
    }

    /// The folder of a commit's files.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.repo().join("snapshots").join(commit)
    }

    /// The file with a blob's content.
    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.repo().join("blobs").join(etag)
    }

    /// The commit of a revision at the last request.
    pub(super) fn commit(&self, repo: &RepoId) -> Option<String> {
        if let Some(commit) = repo.commit() {
            return Some(commit.to_string());
        }
        let text = artefact::load_text(&self.repo().join("refs").join(repo.revision())).ok()?;
        Some(text.trim().to_string()).filter(|commit| is_commit(commit))
    }

    /// The commit and folder of a complete model; otherwise the missing files and the searched folder.
    pub(super) fn find(&self, repo: &RepoId) -> std::result::Result<(String, PathBuf), (String, PathBuf)> {
        let Some(commit) = self.commit(repo) else {
            return Err((format!("revision `{}`", repo.revision()), self.repo()));
        };
        let folder = self.snapshot(&commit);
        match files::missing(&folder) {
            missing if missing.is_empty() => Ok((commit, folder)),
            missing => Err((missing.join(", "), folder)),
        }
    }

    /// Creates the folders, and tags the cache.
    pub(super) fn prepare(&self) -> Result<()> {
        self.make_blobs_folder()?;
        let tag = self.root.join("CACHEDIR.TAG");
        if tag.exists() { Ok(()) } else { artefact::save_bytes(&tag, TAG.as_bytes()) }
    }

    /// Locks a blob's download; while another process holds the lock, waits and calls `waiting` repeatedly.
    pub(super) fn lock(&self, etag: &str, mut waiting: impl FnMut()) -> Result<Lock> {
        let path = self.root.join(".locks").join(&self.folder).join(format!("{etag}.lock"));
        plain_file::make_folder(&self.root, &Path::new(".locks").join(&self.folder))?;
        let file = plain_file::open(&path)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock::Held(file)),
                Err(TryLockError::WouldBlock) => {
                    waiting();
                    std::thread::sleep(std::time::Duration::from_millis(100));
                }
                Err(TryLockError::Error(e)) if e.kind() == std::io::ErrorKind::Unsupported => {
                    return Ok(Lock::Unsupported);
                }
                Err(TryLockError::Error(e)) => return Err(Error::io("lock", &path)(e)),
            }
        }
    }

    /// The file in which a blob's bytes are collected; without locks, its name contains the process id.
    pub(super) fn part(&self, etag: &str, lock: Option<&Lock>) -> PathBuf {
        self.blob(&match lock {
            Some(Lock::Unsupported) => format!("{etag}.{:08x}.incomplete", std::process::id()),
            _ => format!("{etag}.incomplete"),
        })
    }

    /// Links a blob into a commit's snapshot under the file's name.
    pub(super) fn link(&self, commit: &str, name: &str, etag: &str) -> Result<()> {
        plain_file::make_folder(&self.repo(), &Path::new("snapshots").join(commit))?;
        let path = self.snapshot(commit).join(name);
        if path.exists() {
            return Ok(());
        }
        // A broken link, left by a removed blob, would make the new link fail.
        if path.is_symlink() {
            std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        match link(Path::new("../../blobs").join(etag), &self.blob(etag), &path) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked.map_err(Error::io("link", &path)),
        }
    }

    /// Records the commit of a branch or tag.
    pub(super) fn save_ref(&self, repo: &RepoId, commit: &str) -> Result<()> {
        if repo.revision() == commit || self.commit(repo).as_deref() == Some(commit) {
            return Ok(());
        }
        let name = Path::new("refs").join(repo.revision());
        plain_file::make_folder(&self.repo(), name.parent().unwrap_or(&name))?;
        artefact::save_bytes(&self.repo().join(name), commit.as_bytes())
    }
}

#[cfg(unix)]
fn link(target: PathBuf, _blob: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

/// Symbolic links need a privilege on other systems; hard links need none.
#[cfg(not(unix))]
fn link(_target: PathBuf, blob: &Path, path: &Path) -> std::io::Result<()> {
    std::fs::hard_link(blob, path)
}
