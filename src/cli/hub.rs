//! Downloads from the hub as the person at the terminal sees them: a bar a file.

use super::terminal;
use indicatif::ProgressBar;
use mappa::Result;
use mappa::hub::{self, Progress, RepoId, Settings, Snapshot};

/// A repo's files on disk, downloaded where the cache lacks them.
pub fn pull(repo: &RepoId) -> Result<Snapshot> {
    let settings = Settings::from_env()?;
    let found = shown(|progress| hub::snapshot(repo, &settings, progress))?;
    if let Some(reason) = &found.unchecked {
        terminal::note(&format!("{repo} is taken from the cache as it was last seen: {reason}"));
    }
    Ok(found)
}

/// Downloads with a bar for each file.
pub fn shown<T>(download: impl FnOnce(&mut dyn FnMut(Progress)) -> Result<T>) -> Result<T> {
    let mut shown: Option<(String, ProgressBar)> = None;
    let found = download(&mut |at| {
        if shown.as_ref().is_none_or(|(file, _)| file != at.file) {
            let bar = terminal::byte_bar(at.file, (at.total.unwrap_or(0), at.done));
            if let Some((_, before)) = shown.replace((at.file.to_string(), bar)) {
                before.finish();
            }
        }
        if let Some((_, bar)) = &shown {
            bar.set_position(at.done);
        }
    });
    if let Some((_, bar)) = &shown {
        if found.is_ok() { bar.finish() } else { bar.abandon() }
    }
    found
}
