//! The checksums of a store's files, to verify later that the files are unchanged.

use super::blocks::{Blocks, FileBlocks};
use super::files::Files;
use super::layout::{CARD, CHECKSUMS, SPANS, point_of};
use crate::artefact;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A line of `checksums.csv`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    file: String,
    bytes: u64,
    sha256: String,
}

/// The state of a file, compared with its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Unchanged.
    Whole,
    /// Changed: the checksum differs.
    Changed,
    /// Listed, but missing.
    Missing,
    /// Present, but without a checksum.
    Unlisted,
}

/// The checksums of a store's files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Checksums {
    lines: Vec<Line>,
}

impl Checksums {
    /// Reads the checksums; an empty list if there is no file.
    pub(super) fn load(files: &Files) -> Result<Checksums> {
        if files.size(CHECKSUMS)?.is_none() {
            return Ok(Checksums::default());
        }
        let bytes = files.load(CHECKSUMS)?;
        let rows = csv::Reader::from_reader(artefact::text_of(&files.path(CHECKSUMS), &bytes)?.as_bytes())
            .into_deserialize();
        let lines = rows.collect::<Result<Vec<Line>, csv::Error>>().map_err(|e| {
            let expected = "checksums as mappa extract writes them; move the folder away and extract again";
            Error::bad_file(files.path(CHECKSUMS), e, expected)
        })?;
        let checksums = Checksums { lines };
        checksums.check_card(files)?;
        Ok(checksums)
    }

    /// Refuses checksums that differ from those in the store's card. Cards of earlier versions have none.
    fn check_card(&self, files: &Files) -> Result<()> {
        let Some(card) = files.card(CARD)? else { return Ok(()) };
        for Line { file, sha256, .. } in &self.lines {
            if let Some(recorded) = card.files.get(file).filter(|recorded| *recorded != sha256) {
                let found = format!("the SHA-256 {sha256} of {file}");
                let expected = format!(
                    "{recorded}, as card.json says; the files belong to another extraction: move them to the folder of \
                     their own card, or move this folder away and extract again"
                );
                return Err(Error::bad_file(files.path(CHECKSUMS), found, expected));
            }
        }
        Ok(())
    }

    /// Each file with its SHA-256.
    pub(super) fn sums(&self) -> BTreeMap<String, String> {
        self.lines.iter().map(|line| (line.file.clone(), line.sha256.clone())).collect()
    }

    /// Computes the checksums of arrays, several at once, and of their blocks, and replaces earlier ones.
    pub(super) fn compute(&mut self, arrays: &[(&Files, String)], blocks: &mut Blocks) -> Result<()> {
        let digest = |(files, name): &(&Files, String)| FileBlocks::digest(files, name);
        let digests = arrays.par_iter().map(digest).collect::<Result<Vec<_>>>()?;
        for ((files, name), (of_file, sha256)) in arrays.iter().zip(digests) {
            self.replace(files, name, sha256)?;
            blocks.replace(name, of_file);
        }
        Ok(())
    }

    /// Replaces the checksum of a file.
    pub(super) fn replace(&mut self, files: &Files, name: &str, sha256: String) -> Result<()> {
        let bytes = files.size(name)?.unwrap_or(0);
        self.lines.retain(|line| line.file != *name);
        self.lines.push(Line { file: name.into(), bytes, sha256 });
        Ok(())
    }

    /// True if a file has a checksum.
    pub(super) fn lists(&self, name: &str) -> bool {
        self.lines.iter().any(|line| line.file == name)
    }

    /// Writes the checksums: hook points in the order of the pass, then the spans.
    pub(super) fn save(&mut self, files: &Files) -> Result<()> {
        self.lines.sort_by_key(|line| point_of(&line.file).map_or((1, None), |p| (0, Some((p.layer(), p)))));
        let mut writer = csv::Writer::from_writer(Vec::new());
        for line in &self.lines {
            writer.serialize(line).map_err(|e| Error::Internal(e.to_string()))?;
        }
        files.save(CHECKSUMS, &writer.into_inner().map_err(|e| Error::Internal(e.to_string()))?)
    }

    /// The listed hook points whose files exist with the listed length, in the order of the pass.
    pub(super) fn recorded(&self, files: &Files) -> Result<Vec<HookPoint>> {
        let mut points = Vec::new();
        for line in &self.lines {
            let Some(point) = point_of(&line.file) else { continue };
            if files.size(&line.file)? == Some(line.bytes) {
                points.push(point);
            }
        }
        Ok(points)
    }

    /// Refuses a file if `sha256`, computed from the bytes that were read, differs from the listed checksum.
    pub(super) fn check(&self, files: &Files, name: &str, sha256: &str) -> Result<()> {
        match self.lines.iter().find(|line| line.file == name) {
            Some(line) if line.sha256 == sha256 => Ok(()),
            Some(line) => {
                let found = format!("SHA-256 {sha256}");
                let expected = format!(
                    "{}; the file or its line in checksums.csv was changed: move the file away and extract it again",
                    line.sha256
                );
                Err(Error::bad_file(files.path(name), found, expected))
            }
            None => Err(Error::bad_file(files.path(name), "no checksum", "a line for it in checksums.csv")),
        }
    }

    /// Computes the checksum of every listed file again, and reports a verdict per file, also for unlisted files.
    pub(super) fn verify(&self, files: &Files, report: &mut dyn FnMut(&str, Verdict)) -> Result<()> {
        for line in &self.lines {
            let verdict = match files.size(&line.file)? {
                None => Verdict::Missing,
                Some(bytes) if bytes == line.bytes && files.sha256(&line.file)? == line.sha256 => {
                    Verdict::Whole
                }
                Some(_) => Verdict::Changed,
            };
            report(&line.file, verdict);
        }
        for name in files.names()? {
            let is_data = point_of(&name).is_some() || name == SPANS;
            if is_data && !self.lines.iter().any(|line| line.file == name) {
                report(&name, Verdict::Unlisted);
            }
        }
        Ok(())
    }
}
