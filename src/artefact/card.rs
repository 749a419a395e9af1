//! The run record of an artefact: its inputs, its origin, its counts.

use super::date::date_now;
use super::files::{hash_file, is_there, load_saved, save_bytes};
use super::text::text_of;
use crate::error::{Error, Result};
use crate::shown::without_secrets;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The run record of an artefact, stored next to it: its inputs, its origin, its counts.
///
/// An artefact is reused only if all `inputs` are equal (hashes, prompt, dtype, seed); `record` (command line, date,
/// version) and `notes` may differ.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Card {
    /// The inputs that decide the content, by name.
    pub inputs: BTreeMap<String, String>,
    /// The circumstances: command line, version, commit, date, duration.
    pub record: BTreeMap<String, String>,
    /// Counts and measurements of the run.
    #[serde(default)]
    pub notes: BTreeMap<String, String>,
    /// The SHA-256 of each file that the run wrote next to the card, by name; cards of earlier versions have none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

impl Card {
    /// A card that records this program's version, its commit, its command line, and the time.
    pub fn new() -> Card {
        let mut card = Card::default();
        let command: Vec<String> = std::env::args().collect();
        let program = command.first().map(|p| {
            Path::new(p).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        });
        let line = program.into_iter().chain(command.into_iter().skip(1));
        let line: Vec<String> = line.map(|part| without_secrets(&part).into_owned()).collect();
        card.record.insert("command".into(), line.join(" "));
        card.record.insert("mappa_version".into(), env!("CARGO_PKG_VERSION").into());
        card.record.insert("git_commit".into(), env!("MAPPA_GIT_COMMIT").into());
        card.record.insert("date".into(), date_now());
        card
    }

    /// Adds an input, which decides the content.
    pub fn input(mut self, name: &str, value: impl ToString) -> Card {
        self.inputs.insert(name.into(), value.to_string());
        self
    }

    /// Adds a count or a measurement.
    pub fn note(mut self, name: &str, value: impl ToString) -> Card {
        self.notes.insert(name.into(), value.to_string());
        self
    }

    /// Adds the hashes of files that were written into a folder.
    ///
    /// # Errors
    /// Those of [`hash_file`](super::hash_file).
    pub fn with_files(mut self, folder: &Path, names: &[&str]) -> Result<Card> {
        for name in names {
            self.files.insert(name.to_string(), hash_file(&folder.join(name))?);
        }
        Ok(self)
    }

    /// The card as JSON.
    ///
    /// # Errors
    /// [`Error::Internal`] if serialisation fails, which no card should cause.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self).map_err(|e| Error::Internal(e.to_string()))?;
        text.push(b'\n');
        Ok(text)
    }

    /// Writes the card as JSON, unless the file already has a card that differs only in the date, the command and the
    /// duration of the run.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn save(&self, path: &Path) -> Result<()> {
        // An unreadable card is replaced.
        match Card::load(path) {
            Ok(Some(before)) if self.differs_by_run(&before) => Ok(()),
            _ => save_bytes(path, &self.to_json()?),
        }
    }

    /// True if two cards are equal except for the date, the command and the duration of their runs.
    fn differs_by_run(&self, other: &Card) -> bool {
        let record = |card: &Card| {
            let mut record = card.record.clone();
            record.retain(|field, _| !["date", "command", "seconds"].contains(&field.as_str()));
            record
        };
        let content = |card: &Card| (card.inputs.clone(), card.notes.clone(), card.files.clone());
        content(self) == content(other) && record(self) == record(other)
    }

    /// Reads a card; `None` if there is no file.
    ///
    /// # Errors
    /// [`Error::BadFile`] if it is not a card.
    pub fn load(path: &Path) -> Result<Option<Card>> {
        match is_there(path)? {
            true => Card::parse(path, &load_saved(path)?).map(Some),
            false => Ok(None),
        }
    }

    /// Reads a card from its bytes; `path` names it in errors.
    ///
    /// # Errors
    /// [`Error::BadFile`] if they are not a card.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Card> {
        serde_json::from_str(text_of(path, bytes)?).map_err(|e| {
            Error::bad_file(
                path,
                e,
                "a card written by mappa; move the folder away and run the command again",
            )
        })
    }

    /// True if the card at `path` has the same inputs, so that the work is already done.
    ///
    /// # Errors
    /// [`Error::CardMismatch`] if that card has other inputs; its work must not be overwritten.
    pub fn is_done(&self, path: &Path) -> Result<bool> {
        let Some(found) = Card::load(path)? else { return Ok(false) };
        self.agrees_with(&found, path).map(|()| true)
    }

    /// True if the card at `path` has the same inputs and all files of these names lie next to it, unchanged; false
    /// if the card or a file is missing, so that the work has to be done again.
    ///
    /// # Errors
    /// [`Error::CardMismatch`] as [`Card::is_done`]; [`Error::BadFile`] naming a file that was changed.
    pub fn has_made(&self, path: &Path, names: &[&str]) -> Result<bool> {
        let Some(found) = Card::load(path)? else { return Ok(false) };
        self.agrees_with(&found, path)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        for name in names {
            if !is_there(&folder.join(name))? {
                return Ok(false);
            }
        }
        names.iter().try_for_each(|name| found.check_file(&folder.join(name)))?;
        Ok(true)
    }

    /// As [`Card::has_made`], but also accepts a card of an earlier version that lacks some inputs `added` since then,
    /// for work that takes too long to be repeated for this reason. Returns the lacking inputs, or `None` if the work
    /// has to be done.
    ///
    /// # Errors
    /// As [`Card::has_made`].
    pub fn has_made_before(
        &self,
        path: &Path,
        names: &[&str],
        added: &[&str],
    ) -> Result<Option<Vec<String>>> {
        let Some(found) = Card::load(path)? else { return Ok(None) };
        let unrecorded = self.unrecorded_in(&found, path, added)?;
        let mut known = self.clone();
        known.inputs.retain(|name, _| !unrecorded.contains(name));
        Ok(known.has_made(path, names)?.then_some(unrecorded))
    }

    /// Refuses a file that was changed after the run that wrote it, if the card has its hash.
    ///
    /// # Errors
    /// [`Error::BadFile`] naming the file.
    pub fn check_file(&self, file: &Path) -> Result<()> {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Some(written) = self.files.get(&name) else { return Ok(()) };
        let found = hash_file(file)?;
        if found == *written {
            return Ok(());
        }
        let folder = file.parent().unwrap_or(Path::new(".")).display();
        let expected = format!(
            "{}, as its card says; the file was changed after it was written: move {folder} away, and the same \
             command makes it again",
            short(written)
        );
        Err(Error::bad_file(file, format!("SHA-256 {}", short(&found)), expected))
    }

    /// Refuses a file that was changed after it was written, if the card next to it has its hash.
    ///
    /// # Errors
    /// [`Error::BadFile`] naming the file, or the card if it is damaged.
    pub fn check_beside(file: &Path) -> Result<()> {
        Card::load(&file.with_file_name("card.json"))?.unwrap_or_default().check_file(file)
    }

    /// Compares the found card with this one, except for inputs that the found card lacks because they were `added`
    /// after the version that wrote it; returns the names of these inputs.
    ///
    /// # Errors
    /// As [`Card::agrees_with`].
    pub fn unrecorded_in(&self, found: &Card, path: &Path, added: &[&str]) -> Result<Vec<String>> {
        let mut known = self.clone();
        known.inputs.retain(|name, _| !added.contains(&name.as_str()) || found.inputs.contains_key(name));
        known.agrees_with(found, path)?;
        Ok(self.inputs.keys().filter(|name| !known.inputs.contains_key(*name)).cloned().collect())
    }

    /// Refuses a card that was found at `path` if its inputs differ from this card's.
    ///
    /// # Errors
    /// [`Error::CardMismatch`] naming the field.
    pub fn agrees_with(&self, found: &Card, path: &Path) -> Result<()> {
        // A field that only one of the two cards has also counts as a difference.
        let all: BTreeSet<&String> = self.inputs.keys().chain(found.inputs.keys()).collect();
        let differs = |field: &&&String| self.inputs.get(**field) != found.inputs.get(**field);
        let mut fields: Vec<&String> = all.iter().filter(differs).copied().collect();
        fields.sort_by_key(|field| rank(field));
        let Some((&field, others)) = fields.split_first() else { return Ok(()) };
        let value = |card: &Card| match card.inputs.get(field) {
            Some(value) if rank(field) == LAST => short(value),
            Some(value) => value.clone(),
            None => "(nothing)".into(),
        };
        // If a text differs, its hash adds nothing.
        let is_told = |other: &&&String| {
            !other.strip_suffix(HASH).is_some_and(|name| fields.iter().any(|f| *f == name))
        };
        let others: Vec<&str> = others.iter().filter(is_told).map(|other| other.as_str()).collect();
        let also = match &others[..] {
            [] => String::new(),
            others => format!(" (different as well: {})", others.join(", ")),
        };
        Err(Error::CardMismatch {
            path: path.to_path_buf(),
            field: field.clone(),
            found: value(found),
            expected: value(self) + &also,
            way_out: way_out(field).into(),
        })
    }
}

/// The end of the names of fields that hold a hash.
const HASH: &str = "_sha256";

/// The rank of the least informative fields: all hashes except those of models and datasets.
const LAST: u8 = 3;

/// The order of differing fields in a message: the names of model and dataset, their hashes, then values that say more
/// than a hash.
fn rank(field: &str) -> u8 {
    match field {
        "model" | "dataset" => 0,
        "weights_sha256" | "config_sha256" | "tokenizer_sha256" | "dataset_sha256" | "source_sha256" => 1,
        hash if hash.ends_with(HASH) => LAST,
        _ => 2,
    }
}

/// The first digits of a hash, enough to tell two apart.
fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

/// The advice for saved work that differs in a field.
fn way_out(field: &str) -> String {
    let advice = match field {
        "weights_sha256" | "config_sha256" | "tokenizer_sha256" => {
            "the folder belongs to another model of this name: choose another name with --model-name, move the \
             folder away, or name another lab with --lab"
        }
        "dataset_sha256" => {
            "the dataset has changed: give its file another name, move the folder away, or name another lab with \
             --lab"
        }
        _ => "move the folder away or name another lab with --lab",
    };
    advice.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_with_other_inputs_is_refused_by_field() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("card.json");
        let card = Card::new().input("dataset_sha256", "aa").input("prompt", "empty");
        assert!(!card.is_done(&path).unwrap());
        card.save(&path).unwrap();
        assert!(card.is_done(&path).unwrap());
        let fewer = Card::new().input("dataset_sha256", "aa").is_done(&path).unwrap_err().to_string();
        assert!(fewer.contains("prompt empty, now (nothing)"), "{fewer}");
        assert!(card.has_made(&path, &[]).unwrap() && !card.has_made(&path, &["rows.csv"]).unwrap());
        std::fs::write(folder.path().join("rows.csv"), "a\n1\n").unwrap();
        card.clone().with_files(folder.path(), &["rows.csv"]).unwrap().save(&path).unwrap();
        assert!(card.has_made(&path, &["rows.csv"]).unwrap());
        std::fs::write(folder.path().join("rows.csv"), "a\n").unwrap();
        let changed = card.has_made(&path, &["rows.csv"]).unwrap_err().to_string();
        assert!(changed.contains("rows.csv") && changed.contains("away"), "{changed}");
        let newer = card.clone().input("bos", "none");
        assert_eq!(newer.unrecorded_in(&card, &path, &["bos"]).unwrap(), ["bos"]);
        assert!(newer.unrecorded_in(&card, &path, &["seed"]).is_err());
        let error = card.input("dataset_sha256", "bb").is_done(&path).unwrap_err().to_string();
        assert!(error.contains("dataset_sha256") && error.contains("aa") && error.contains("bb"), "{error}");
    }
}
