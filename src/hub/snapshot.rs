//! From a repo on the hub to a folder on disk.

use super::cache::Cache;
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
    /// The commit they belong to.
    pub commit: String,
    /// Why the hub did not say where a branch or tag stands now, so that the cache's word was taken.
    pub unchecked: Option<String>,
}

/// A model's files, downloaded where the cache lacks them.
///
/// A full commit that is whole in the cache costs no request; a branch or tag costs one. Where the hub refuses or
/// cannot be reached, what the cache holds is taken, and [`Snapshot::unchecked`] says so.
///
/// # Errors
/// Whatever keeps the files from being whole, and the way out.
pub fn snapshot(repo: &RepoId, settings: &HubSettings, observer: &mut dyn Observer) -> Result<Snapshot> {
    let cache = Cache::new(&settings.cache, repo);
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
            return Err(explained(failure, &cache, repo));
        }
        Err(failure) => {
            let found = cache.find(repo).map_err(|_| ());
            let unchecked = Some(failure.to_string());
            return found
                .map(|(commit, folder)| Snapshot { folder, commit, unchecked })
                .map_err(|()| explained(failure, &cache, repo));
        }
    };
    let folder = cache.snapshot(&listing.sha);
    Pull { repo, cache, client, listing: &listing }.run(observer)?;
    Ok(Snapshot { folder, commit: listing.sha, unchecked: None })
}

/// One model on its way from the hub.
struct Pull<'a> {
    repo: &'a RepoId,
    cache: Cache,
    client: Client<'a>,
    listing: &'a Listing,
}

impl Pull<'_> {
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
        // The branch moves on only when all it points to is there.
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
            .map_err(|failure| explained(failure, &self.cache, self.repo))?;
        // Only now: a cache that has everything may be one that nobody can write to.
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

/// A failure as an error, with what the cache lacks to stand in.
fn explained(failure: Failure, cache: &Cache, repo: &RepoId) -> Error {
    match failure {
        Failure::Final(error) => error,
        Failure::Passing(found) => {
            Error::HubAnswer { url: repo.to_string(), found, expected: "an answer; try again later".into() }
        }
        Failure::Unreachable(url, source) => {
            // A model that is whole at an older commit lacks what the hub has now.
            let newer = |(_, folder)| ("newer commit".into(), folder);
            let (missing, folder) = cache.find(repo).map_or_else(|missing| missing, newer);
            Error::HubUnreachable { url, missing, folder, source }
        }
    }
}
