//! Access to the finished files of a store, in a folder or in an object store; no other module opens them.
//!
//! Unfinished files are staged in a folder on a disk, because their rows are written in any order; a finished
//! file is moved from there to its final place.

use super::layout::STAGING;
use super::object_store::{BLOCK, ObjectFolder};
use crate::artefact::{self, Card};
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A folder of finished files, and the folder on a disk where they are staged.
#[derive(Debug, Clone)]
pub(super) struct Files {
    root: PathBuf,
    /// The place of finished files, if not the folder itself.
    objects: Option<ObjectFolder>,
}

impl Files {
    /// The files of a folder, which need not exist yet.
    pub(super) fn new(root: &Path) -> Files {
        Files { root: root.to_path_buf(), objects: None }
    }

    /// The same files, with the finished ones in an object store.
    pub(super) fn kept_in(self, objects: ObjectFolder) -> Files {
        Files { objects: Some(objects), ..self }
    }

    /// The path of a file, or its address in an object store.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        match &self.objects {
            Some(objects) => objects.path(name),
            None if name.is_empty() => self.root.clone(),
            None => self.root.join(name),
        }
    }

    /// True if the finished files are in a folder, not in an object store.
    pub(super) fn is_folder(&self) -> bool {
        self.objects.is_none()
    }

    /// The folder of unfinished files, on a disk.
    pub(super) fn staging(&self) -> PathBuf {
        self.root.join(STAGING)
    }

    /// The files of a folder within this one.
    pub(super) fn below(&self, folder: &str) -> Files {
        Files { root: self.root.join(folder), objects: self.objects.as_ref().map(|o| o.below(folder)) }
    }

    /// The names of the files and folders in this one, in order; an empty list if the folder does not exist.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        if let Some(objects) = &self.objects {
            return objects.names();
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

    /// Removes the temporary files of a program that was killed while it wrote a small file.
    pub(super) fn clean_up(&self) -> Result<()> {
        if self.objects.is_some() {
            return Ok(()); // An object store has no partial objects.
        }
        for name in self.names()?.iter().filter(|name| name.starts_with('.') && name.ends_with(".tmp")) {
            let path = self.path(name);
            std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        Ok(())
    }

    /// The length of a file; `None` if there is none.
    pub(super) fn size(&self, name: &str) -> Result<Option<u64>> {
        if let Some(objects) = &self.objects {
            return objects.size(name);
        }
        let path = self.path(name);
        match artefact::is_there(&path)? {
            true => Ok(Some(std::fs::metadata(&path).map_err(Error::io("read", &path))?.len())),
            false => Ok(None),
        }
    }

    /// Reads a whole file.
    pub(super) fn load(&self, name: &str) -> Result<Vec<u8>> {
        match &self.objects {
            Some(objects) => objects.load(name),
            None => artefact::load_saved(&self.path(name)),
        }
    }

    /// Reads a card; `None` if there is none.
    pub(super) fn card(&self, name: &str) -> Result<Option<Card>> {
        match self.size(name)? {
            Some(_) => Card::parse(&self.path(name), &self.load(name)?).map(Some),
            None => Ok(None),
        }
    }

    /// Reads a range of a file's bytes. The range must begin before the file's end; if it ends after, fewer bytes are
    /// returned.
    pub(super) fn load_part(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        if let Some(objects) = &self.objects {
            return objects.load_part(name, range);
        }
        let path = self.path(name);
        let mut file = artefact::open_regular(&path)?;
        file.seek(SeekFrom::Start(range.start)).map_err(Error::io("read", &path))?;
        let length = range.end - range.start;
        let mut bytes = Vec::with_capacity(length as usize);
        file.take(length).read_to_end(&mut bytes).map_err(Error::io("read", &path))?;
        Ok(bytes)
    }

    /// The SHA-256 of a file, in hexadecimal.
    pub(super) fn sha256(&self, name: &str) -> Result<String> {
        // Some object stores refuse a range that begins at the end, so none is requested there.
        let (mut hasher, mut at, size) = (Sha256::new(), 0, self.size(name)?);
        loop {
            let bytes = self.load_part(name, at..at + BLOCK as u64)?; // an error if there is no file
            at += bytes.len() as u64;
            hasher.update(&bytes);
            if bytes.is_empty() || size.is_none_or(|size| at >= size) {
                return Ok(hex(hasher));
            }
        }
    }

    /// Writes a small file, completely or not at all.
    pub(super) fn save(&self, name: &str, bytes: &[u8]) -> Result<()> {
        if let Some(objects) = &self.objects {
            return objects.save(name, bytes);
        }
        artefact::save_bytes(&self.path(name), bytes)
    }

    /// Moves a staged file to its place.
    pub(super) fn adopt(&self, staged: &Path, name: &str) -> Result<()> {
        if let Some(objects) = &self.objects {
            objects.upload(staged, name)?;
            return std::fs::remove_file(staged).map_err(Error::io("remove", staged));
        }
        let path = self.path(name);
        std::fs::rename(staged, &path).map_err(Error::io("rename into place", &path))?;
        self.sync()
    }

    /// Syncs the folder's entries to the disk, so that finished files keep their names after a power failure.
    pub(super) fn sync(&self) -> Result<()> {
        match &self.objects {
            Some(_) => Ok(()),
            None => sync_folder(&self.root),
        }
    }
}

/// A finished hash in hexadecimal.
pub(super) fn hex(hasher: Sha256) -> String {
    artefact::hex(hasher.finalize())
}

/// Syncs a folder's entries to the disk; does nothing if the system cannot sync folders.
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
