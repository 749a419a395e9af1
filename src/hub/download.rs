//! The download of one file: collected in a part file, resumed after a break, checked, renamed into place.

use super::cache::{Lock, RepoCache};
use super::client::{Check, Client, Remote, Response};
use super::failure::Failure;
use super::files;
use super::least_rate::{LeastRate, TransferLimits};
use super::plain_file;
use crate::artefact;
use crate::error::{Error, Result};
use crate::progress::{Observer, Progress, ProgressUnit};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use ureq::http::StatusCode;

const CHUNK: usize = 1 << 16;

/// Downloads a file's content into the cache, unless it is there.
pub(super) fn download(
    client: &Client,
    cache: &RepoCache,
    remote: &Remote,
    observer: &mut dyn Observer,
) -> Result<()> {
    let mut report = |done: u64| {
        let (total, unit) = (remote.size.unwrap_or(0), ProgressUnit::Bytes);
        observer.progress(&Progress { stage: &remote.name, done, total, unit, detail: "" });
    };
    let blob = cache.blob(&remote.etag);
    let locked_part = cache.part(&remote.etag, None);
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
    // While another process downloads the same file, its progress is reported.
    let lock: Lock = cache.lock(&remote.etag, || report(length(&locked_part)))?;
    if blob.exists() {
        report(length(&blob));
        return Ok(());
    }
    let mut part = Part::open(cache.part(&remote.etag, Some(&lock)), remote)?;
    part.check_room()?;
    part.gather(client, &mut report)?;
    part.finish(&blob)
}

/// A file that is being downloaded.
struct Part<'a> {
    path: PathBuf,
    file: File,
    hasher: Sha256,
    length: u64,
    remote: &'a Remote,
}

impl<'a> Part<'a> {
    /// Opens the part of an earlier download, or an empty file.
    fn open(path: PathBuf, remote: &'a Remote) -> Result<Part<'a>> {
        let file = plain_file::open(&path)?;
        let before = file.metadata().map_err(Error::io("read", &path))?.len();
        let mut part = Part { path, file, hasher: Sha256::new(), length: 0, remote };
        if remote.size.is_some_and(|size| before > size) {
            part.empty()?;
            return Ok(part);
        }
        let mut reader = (&part.file).take(before);
        part.length = std::io::copy(&mut reader, &mut part.hasher).map_err(Error::io("read", &part.path))?;
        Ok(part)
    }

    fn empty(&mut self) -> Result<()> {
        self.file.set_len(0).map_err(Error::io("empty", &self.path))?;
        (self.hasher, self.length) = (Sha256::new(), 0);
        Ok(())
    }

    /// Refuses a file that does not fit on the disk, before the first byte.
    fn check_room(&self) -> Result<()> {
        let needed = self.remote.size.map_or(0, |size| size - self.length);
        match self.free() {
            Some(free) if free < needed => Err(self.full()),
            _ => Ok(()),
        }
    }

    fn free(&self) -> Option<u64> {
        fs4::available_space(self.path.parent()?).ok()
    }

    fn full(&self) -> Error {
        let needed = self.remote.size.map_or("more".into(), |size| (size - self.length).to_string());
        let free = self.free().map_or("an unknown number".into(), |free| free.to_string());
        let advice = "free some space, or set HF_HUB_CACHE to another disk; the downloaded part is kept";
        Error::DiskFull { path: self.path.clone(), needed, free, advice }
    }

    /// Downloads until the file is complete. After an interruption, waits and retries; gives up after several
    /// interruptions in a row without progress.
    fn gather(&mut self, client: &Client, report: &mut dyn FnMut(u64)) -> Result<()> {
        let (mut retries, mut furthest) = (client.retries(), self.length);
        loop {
            report(self.length);
            if self.remote.size == Some(self.length) {
                return Ok(());
            }
            let mut is_slow = false;
            let problem = match self.fetch(client, report) {
                Ok(()) if self.remote.size.is_none_or(|size| size == self.length) => return Ok(()),
                Ok(()) => "the connection was closed".to_string(),
                Err(Failure::Final(error)) => return Err(error),
                Err(failure) => {
                    is_slow = matches!(failure, Failure::Slow(_));
                    failure.to_string()
                }
            };
            if self.length > furthest && !is_slow {
                (retries, furthest) = (client.retries(), self.length);
            }
            if !retries.again() {
                return Err(Error::DownloadCut {
                    file: self.remote.name.clone(),
                    attempts: retries.attempts,
                    done: self.length,
                    total: self.remote.size.map_or("an unknown number".into(), |size| size.to_string()),
                    problem,
                });
            }
        }
    }

    /// Sends one request for the missing bytes.
    fn fetch(&mut self, client: &Client, report: &mut dyn FnMut(u64)) -> Result<(), Failure> {
        let response = client.open(self.remote, self.length)?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            return Err(Failure::Final(self.discard("size", self.length.to_string(), self.expected_size())));
        }
        // A server may ignore the requested range, or send another one.
        if self.length > 0 && first_byte(&response) != Some(self.length) {
            if response.status() == StatusCode::PARTIAL_CONTENT {
                return Err(Failure::Transient(format!(
                    "{}: a range that was not requested",
                    self.remote.url
                )));
            }
            self.empty().map_err(Failure::Final)?;
        }
        let mut body = response.into_body().into_reader();
        let (mut chunk, mut rate) = (vec![0; CHUNK], LeastRate::new(client.limits()));
        let longest = self.longest(client.limits());
        loop {
            let n = match body.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(Failure::Transient(e.to_string())),
            };
            self.write(&chunk[..n]).map_err(Failure::Final)?;
            if self.remote.size.is_some_and(|size| self.length > size) {
                let found = format!("at least {}", self.length);
                return Err(Failure::Final(self.discard("size", found, self.expected_size())));
            }
            if self.length > longest {
                let (found, expected) = (format!("more than {longest}"), "a smaller file".into());
                return Err(Failure::Final(self.discard("size", found, expected)));
            }
            report(self.length);
            rate.count(n)?;
        }
    }

    /// The maximum length of the file: a server that states no length could send bytes without end.
    fn longest(&self, limits: TransferLimits) -> u64 {
        match (files::is_weights(&self.remote.name), self.remote.size) {
            (true, Some(size)) => size,
            (true, None) => limits.weights,
            (false, _) => limits.small,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| match e.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => self.full(),
            _ => Error::io("write", &self.path)(e),
        })?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn expected_size(&self) -> String {
        self.remote.size.map_or("another size".into(), |size| size.to_string())
    }

    /// Removes the part file, and returns the error for its wrong content.
    fn discard(&self, what: &'static str, found: String, expected: String) -> Error {
        // If it cannot be removed, the next attempt reports the same error.
        let _ = std::fs::remove_file(&self.path);
        Error::DownloadDiffers { file: self.remote.name.clone(), what, found, expected }
    }

    /// Checks the content against its etag, and renames it into place.
    fn finish(self, blob: &Path) -> Result<()> {
        let etag = &self.remote.etag;
        let found = match self.remote.check {
            Check::Nothing => None,
            Check::Sha256 => Some(("sha256", artefact::hex(self.hasher.clone().finalize()))),
            Check::GitBlob => Some(("git blob id", git_blob(&self.path, self.length)?)),
        };
        if let Some((what, found)) = found.filter(|(_, found)| !found.eq_ignore_ascii_case(etag)) {
            return Err(self.discard(what, found, etag.clone()));
        }
        self.file.sync_all().map_err(Error::io("sync", &self.path))?;
        std::fs::rename(&self.path, blob).map_err(Error::io("rename into place", blob))
    }
}

/// Git's hash of a file's content: the SHA-1 of the word `blob`, the length and the content.
fn git_blob(path: &Path, length: u64) -> Result<String> {
    let mut hasher = Sha1::new_with_prefix(format!("blob {length}\0"));
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    std::io::copy(&mut file, &mut hasher).map_err(Error::io("read", path))?;
    Ok(artefact::hex(hasher.finalize()))
}

/// The position of the first byte in a partial response.
fn first_byte(response: &Response) -> Option<u64> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return None;
    }
    let range = response.headers().get("content-range")?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blob_ids_equal_those_of_git() {
        // The output of `git hash-object` for an empty file, and for one line.
        for (text, id) in [
            ("", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
            ("hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"),
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            assert_eq!(git_blob(file.path(), text.len() as u64).unwrap(), id);
        }
    }
}
