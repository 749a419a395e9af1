//! A file outside the hub, given by its address and git's hash of its content.

use super::address::origin;
use super::cache::RepoCache;
use super::client::{Check, Client, Remote};
use super::download::download;
use super::repo::RepoId;
use super::settings::HubSettings;
use crate::error::{Error, Result};
use crate::progress::Observer;
use std::path::{Path, PathBuf};

/// A file in a git repository outside the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Its name in progress reports.
    pub name: String,
    /// Its address.
    pub url: String,
    /// Git's hash of its content: 40 hexadecimal digits.
    pub id: String,
}

impl Blob {
    /// Its path after its download into a folder.
    pub fn path(&self, folder: &Path) -> PathBuf {
        RepoCache::of_files(folder).blob(&self.id)
    }
}

/// Downloads a file into a folder, checks its content, and returns its path; an interrupted download is resumed.
///
/// The file's name is its hash. Certificates, proxy, offline mode and retry wait of the settings apply; no token is
/// sent.
///
/// # Errors
/// [`Error::NotInCache`] in offline mode, [`Error::HubAnswer`] if the file does not exist, [`Error::DownloadDiffers`]
/// if its content has another hash, and all errors of a download.
pub fn fetch_blob(
    blob: &Blob,
    folder: &Path,
    settings: &HubSettings,
    observer: &mut dyn Observer,
) -> Result<PathBuf> {
    let cache = RepoCache::of_files(folder);
    let file = cache.blob(&blob.id);
    if file.is_file() {
        return Ok(file);
    }
    if settings.offline {
        let (repo, missing) = (blob.url.clone(), blob.name.clone());
        return Err(Error::NotInCache { repo, missing, folder: folder.to_path_buf() });
    }
    let (scheme, host, port) = origin(&blob.url)
        .ok_or_else(|| Error::invalid("address", &blob.url, "one that begins with https:// or http://"))?;
    let settings =
        HubSettings { endpoint: format!("{scheme}://{host}:{port}"), token: None, ..settings.clone() };
    let repo = RepoId::nameless();
    let client = Client::new(&settings, &repo)?;
    cache.make_blobs_folder()?;
    let remote = Remote {
        name: blob.name.clone(),
        url: blob.url.clone(),
        etag: blob.id.clone(),
        size: None,
        check: Check::GitBlob,
    };
    download(&client, &cache, &remote, observer).map_err(|error| match error {
        Error::NotOnHub { .. } => no_file(blob, "no file (status 404)".into()),
        Error::HubRefused { status, .. } => no_file(blob, format!("status {status}")),
        other => other,
    })?;
    Ok(file)
}

fn no_file(blob: &Blob, found: String) -> Error {
    let expected = format!("the file with git hash {}", blob.id);
    Error::HubAnswer { url: blob.url.clone(), found, expected }
}
