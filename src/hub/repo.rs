//! The name of a repo on the hub: `org/name`, with a branch, tag or commit after `@`.

use crate::error::{Error, Result};
use crate::shown::without_secrets;
use std::fmt;
use std::str::FromStr;

/// The default revision.
const DEFAULT_REVISION: &str = "main";

/// The longest repo id that the hub allows.
const MAX_ID: usize = 96;

/// A repo on the hub at a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoId {
    id: String,
    revision: String,
}

impl RepoId {
    /// A placeholder for files outside the hub, which have no repo.
    pub(super) fn nameless() -> RepoId {
        RepoId { id: String::new(), revision: DEFAULT_REVISION.into() }
    }

    /// The repo without its revision, as `org/name` (a few old repos have no `org/`).
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The branch, tag or commit.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The name without the organisation, with the revision if it is not the default: the name of a folder of results.
    pub fn short_name(&self) -> String {
        let name = self.id.rsplit('/').next().unwrap_or_default();
        match self.revision.as_str() {
            DEFAULT_REVISION => name.to_string(),
            revision => format!("{name}@{}", revision.replace('/', "-")),
        }
    }

    /// The commit, if the revision is a full commit.
    pub(super) fn commit(&self) -> Option<&str> {
        Some(self.revision.as_str()).filter(|revision| is_commit(revision))
    }
}

impl fmt::Display for RepoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision.as_str() {
            DEFAULT_REVISION => write!(f, "{}", self.id),
            revision => write!(f, "{}@{revision}", self.id),
        }
    }
}

impl FromStr for RepoId {
    type Err = Error;

    fn from_str(text: &str) -> Result<RepoId> {
        let (id, revision) = text.split_once('@').unwrap_or((text, DEFAULT_REVISION));
        let refused = |problem: &str| {
            let expected = format!("org/name or org/name@revision, as on the hub ({problem})");
            Err(Error::invalid("repo", text, expected))
        };
        if without_secrets(text) != text {
            return refused("not an address with a password or a token");
        }
        if let Some(problem) = id_fault(id) {
            return refused(problem);
        }
        if let Some(problem) = revision_fault(revision) {
            return refused(problem);
        }
        Ok(RepoId { id: id.into(), revision: revision.into() })
    }
}

/// True for a full commit.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn id_fault(id: &str) -> Option<&'static str> {
    // The id becomes a folder's name with `--` for `/`, so `--` in an id would give two repos one folder.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let parts: Vec<&str> = id.split('/').collect();
    match () {
        () if id.len() > MAX_ID => Some("at most 96 characters"),
        () if parts.len() > 2 || parts.contains(&"") => Some("one name, or two with a / between"),
        () if !parts.iter().all(|part| part.chars().all(plain)) => {
            Some("letters, digits, `-`, `_` and `.` only")
        }
        () if parts.iter().any(|part| part.starts_with(['-', '.']) || part.ends_with(['-', '.'])) => {
            Some("no `-` or `.` at either end of a name")
        }
        () if id.contains("--") || id.contains("..") => Some("no `--` and no `..`"),
        () if id.ends_with(".git") => Some("without `.git`"),
        () => None,
    }
}

fn revision_fault(revision: &str) -> Option<&'static str> {
    // The revision becomes a path below `refs/`, so every component must be a plain name.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+=".contains(c);
    let bad = |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with('.');
    match () {
        () if !revision.chars().all(|c| plain(c) || c == '/') => {
            Some("a revision is a branch, a tag or a commit")
        }
        () if revision.split('/').any(bad) || revision.contains("..") => {
            Some("a revision has no empty part, no `..`, and no `.` at either end of a part")
        }
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repos_and_revisions_are_parsed() {
        let repo: RepoId = "EleutherAI/pythia-160m@step3000".parse().unwrap();
        assert_eq!((repo.id(), repo.revision()), ("EleutherAI/pythia-160m", "step3000"));
        assert_eq!(repo.to_string(), "EleutherAI/pythia-160m@step3000");
        let repo: RepoId = "gpt2".parse().unwrap();
        assert_eq!((repo.id(), repo.revision(), repo.to_string()), ("gpt2", "main", "gpt2".into()));
        let repo: RepoId = "a/b_c.d-e@refs/pr/1".parse().unwrap();
        assert_eq!((repo.revision(), repo.commit()), ("refs/pr/1", None));
        assert_eq!(repo.short_name(), "b_c.d-e@refs-pr-1");
        assert_eq!("EleutherAI/pythia-160m".parse::<RepoId>().unwrap().short_name(), "pythia-160m");
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(format!("a/b@{commit}").parse::<RepoId>().unwrap().commit(), Some(commit));
    }

    #[test]
    fn names_that_lead_outside_the_cache_or_are_invalid_are_refused() {
        let long = format!("a/{}", "b".repeat(95));
        let ids =
            ["", "/", "a/", "/b", "a/b/c", "..", "a/..", "../b", "a/b c", "a/b\\c", "a/b--c", "a/-b", ".a/b"];
        let revisions =
            ["a/b@", "a/b@..", "a/b@../main", "a/b@x/../y", "a/b@/x", "a/b@x/", "a/b@a@b", "a/b@x y"];
        for bad in
            ids.iter().chain(&revisions).chain(&["a/b.git", "a/b?", "a/b@.x", "a/b@x\\y", "ä/b", &long])
        {
            let error = bad.parse::<RepoId>().unwrap_err().to_string();
            assert!(
                error.contains(&format!("found {bad};")) && error.contains("org/name@revision"),
                "{error}"
            );
        }
    }
}
