//! A file that is not on the hub: at an address, its content named by the hash that git gives it.

use super::address::origin;
use super::cache::Cache;
use super::client::{Check, Client, Remote};
use super::download::download;
use super::repo::RepoId;
use super::settings::HubSettings;
use crate::error::{Error, Result};
use crate::progress::Observer;
use std::path::{Path, PathBuf};

/// A file in somebody's git repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// What the progress bar calls it.
    pub name: String,
    /// Where it is fetched from.
    pub url: String,
    /// The hash that git gives its content: 40 hexadecimal digits.
    pub id: String,
}

/// Brings a file into a folder of downloads, as resumable as the hub's files are, and checks its content; gives
/// the file, which is named by its hash.
///
/// Of the settings, certificates, proxy, offline and the wait are heeded; no token is sent anywhere.
///
/// # Errors
/// [`Error::NotInCache`] offline, [`Error::HubAnswer`] where there is no such file, and whatever keeps a
/// download from being whole; [`Error::DownloadDiffers`] for other content.
pub fn fetch_blob(
    blob: &Blob,
    folder: &Path,
    settings: &HubSettings,
    observer: &mut dyn Observer,
) -> Result<PathBuf> {
    let cache = Cache::of_files(folder);
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
    cache.make_room()?;
    let remote = Remote {
        name: blob.name.clone(),
        url: blob.url.clone(),
        etag: blob.id.clone(),
        size: None,
        check: Check::GitBlob,
    };
    download(&client, &cache, &remote, observer).map_err(|error| match error {
        Error::NotOnHub { .. } => no_file(blob, "nothing there (status 404)".into()),
        Error::HubRefused { status, .. } => no_file(blob, format!("status {status}")),
        other => other,
    })?;
    Ok(file)
}

fn no_file(blob: &Blob, found: String) -> Error {
    let expected = format!("the file that git calls {}", blob.id);
    Error::HubAnswer { url: blob.url.clone(), found, expected }
}
