//! Models from the hub, with a bar for each file on the way.

use super::observer::TerminalObserver;
use super::terminal;
use mappa::Result;
use mappa::hub::{self, HubSettings, RepoId, Snapshot};

/// A repo's files on disk, downloaded where the cache lacks them.
pub fn pull(repo: &RepoId) -> Result<Snapshot> {
    let found = hub::snapshot(repo, &HubSettings::from_env()?, &mut TerminalObserver::default())?;
    if let Some(reason) = &found.unchecked {
        terminal::note(&format!("{repo} is taken from the cache as it was last seen: {reason}"));
    }
    Ok(found)
}
