//! The files of a repo on the hub, in a folder on disk.

use super::cache::RepoCache;
use super::client::{Client, Listing, Remote};
use super::download::download;
use super::failure::Failure;
use super::files::{self, CONFIG, OPTIONAL, WEIGHTS};
use super::repo::RepoId;
use super::settings::HubSettings;
use crate::error::{Error, Result};
use crate::progress::Observer;
use std::path::PathBuf;

/// A model's files on disk.
#[derive(Debug)]
pub struct Snapshot {
    /// The folder with config, tokenizer and weights.
    pub folder: PathBuf,
    /// Their commit.
    pub commit: String,
    /// The reason, if the hub did not return the current commit of a branch or tag, so that the cached one is used.
    pub unchecked: Option<String>,
}

/// Downloads a model's files, unless the cache has them.
///
/// A full commit that is complete in the cache needs no request; a branch or tag needs one. If the hub refuses or
/// cannot be reached, a complete model in the cache is used, and [`Snapshot::unchecked`] gives the reason; but a repo
/// or revision that the hub does not have is an error.
///
/// # Errors
/// All errors of requests and files, each with advice.
pub fn snapshot(repo: &RepoId, settings: &HubSettings, observer: &mut dyn Observer) -> Result<Snapshot> {
    let cache = RepoCache::new(&settings.cache, repo);
    if settings.offline || repo.commit().is_some() {
        match cache.find(repo) {
            Ok((commit, folder)) => return Ok(Snapshot { folder, commit, unchecked: None }),
            Err((missing, folder)) if settings.offline => {
                return Err(Error::NotInCache { repo: repo.to_string(), missing, folder });
            }
            Err(_) => {}
        }
    }
    let client = Client::new(settings, repo)?;
    let listing = match client.listing() {
        Ok(listing) => listing,
        Err(failure @ Failure::Final(Error::NotOnHub { .. })) => {
            return Err(into_error(failure, &cache, repo));
        }
        Err(failure) => {
            let found = cache.find(repo).map_err(|_| ());
            let unchecked = Some(failure.to_string());
            return found
                .map(|(commit, folder)| Snapshot { folder, commit, unchecked })
                .map_err(|()| into_error(failure, &cache, repo));
        }
    };
    let folder = cache.snapshot(&listing.sha);
    ModelDownload { repo, cache, client, listing: &listing }.run(observer)?;
    Ok(Snapshot { folder, commit: listing.sha, unchecked: None })
}

/// The download of one model.
struct ModelDownload<'a> {
    repo: &'a RepoId,
    cache: RepoCache,
    client: Client<'a>,
    listing: &'a Listing,
}

impl ModelDownload<'_> {
    fn run(&self, observer: &mut dyn Observer) -> Result<()> {
        let has = |name: &str| self.listing.siblings.iter().any(|file| file.rfilename == name);
        if !has(CONFIG) {
            return Err(self.no_model(CONFIG));
        }
        let tokenizer = files::tokenizer(has);
        if tokenizer.is_empty() {
            return Err(self.no_model(&files::tokenizers()));
        }
        let weights = files::weights(has).ok_or_else(|| self.no_model(&WEIGHTS.join(" or ")))?;
        let small =
            [CONFIG].into_iter().chain(tokenizer).chain(OPTIONAL.into_iter().filter(|name| has(name)));
        for name in small.chain([weights]) {
            self.file(name, observer)?;
        }
        if files::is_index(weights) {
            let shards = files::shards(&self.cache.snapshot(&self.listing.sha).join(weights))?;
            if let Some(missing) = shards.iter().find(|name| !has(name)) {
                return Err(self.no_model(&format!("{missing}, which {weights} names")));
            }
            for name in &shards {
                self.file(name, observer)?;
            }
        }
        // The branch moves to the new commit only when all its files are there.
        self.cache.save_ref(self.repo, &self.listing.sha)
    }

    fn file(&self, name: &str, observer: &mut dyn Observer) -> Result<()> {
        let commit = &self.listing.sha;
        if self.cache.snapshot(commit).join(name).is_file() {
            return Ok(());
        }
        let remote: Remote = self
            .client
            .describe(commit, name)
            .map_err(|failure| into_error(failure, &self.cache, self.repo))?;
        // The folders are created only now, since a complete cache may be read-only.
        self.cache.prepare()?;
        download(&self.client, &self.cache, &remote, observer)?;
        self.cache.link(commit, name, &remote.etag)
    }

    fn no_model(&self, missing: &str) -> Error {
        let mut found: Vec<&str> = self.listing.siblings.iter().map(|file| file.rfilename.as_str()).collect();
        found.sort_unstable();
        const SHOWN: usize = 40;
        let more = found.len().saturating_sub(SHOWN);
        found.truncate(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let found = if found.is_empty() { "no file".into() } else { format!("{}{more}", found.join(", ")) };
        Error::NoModelInRepo { repo: self.repo.to_string(), missing: missing.into(), found }
    }
}

/// A failure as an error, with the files that the cache lacks.
fn into_error(failure: Failure, cache: &RepoCache, repo: &RepoId) -> Error {
    match failure {
        Failure::Final(error) => error,
        Failure::Transient(found) | Failure::Slow(found) => {
            Error::HubAnswer { url: repo.to_string(), found, expected: "an answer; try again later".into() }
        }
        Failure::Unreachable(url, source) => {
            // The cache has a complete model of an older commit, but not the newer one.
            let newer = |(_, folder)| ("newer commit".into(), folder);
            let (missing, folder) = cache.find(repo).map_or_else(|missing| missing, newer);
            Error::HubUnreachable { url, missing, folder, source }
        }
    }
}
