//! A finished store in a lab: `activations/<model>/<dataset>/<prompt>/`, one safetensors file per hook point.

use super::array_file::ArrayReader;
use super::blocks::{Blocks, damaged};
use super::checksums::{Checksums, Verdict};
use super::files::{Files, hex};
use super::layout::{CARD, SHARDS, SPANS, file_name};
use super::object_store::{BLOCK, ObjectFolder};
use super::spans_file;
use crate::activations::extract::{Shard, SpanRow};
use crate::artefact::{Card, FolderName};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use ndarray::Array2;
use sha2::{Digest, Sha256};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The folder of one model, dataset and prompt.
#[derive(Debug, Clone)]
pub struct ActivationStore {
    /// The folder of the unfinished files; the finished files lie here too, unless they are in an object store.
    pub folder: PathBuf,
    pub(super) files: Files,
}

/// Rows of one hook point, `[n_rows, width]`: one per entity in dataset order, or one per token.
pub type Activations = Array2<f32>;

impl ActivationStore {
    /// The store in a lab; `prompt` is the folder's name, from
    /// [`Recording::folder`](crate::activations::Recording::folder).
    pub fn new(lab: &Path, model: &FolderName, dataset: &FolderName, prompt: &FolderName) -> ActivationStore {
        ActivationStore::at(lab.join("activations").join(model).join(dataset).join(prompt))
    }

    fn at(folder: PathBuf) -> ActivationStore {
        ActivationStore { files: Files::new(&folder), folder }
    }

    /// The same store with its finished files in an object store. The address, such as `s3://bucket/folder`,
    /// takes the place of the lab's `activations/` folder.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a malformed address.
    pub fn kept_at(self, address: &str) -> Result<ActivationStore> {
        let mut below: Vec<_> = self.folder.iter().rev().take(3).map(|part| part.to_string_lossy()).collect();
        below.reverse(); // model, dataset, prompt
        let bucket = ObjectFolder::open(address)?.below(&below.join("/"));
        Ok(ActivationStore { files: self.files.kept_in(bucket), ..self })
    }

    /// The place of the finished files: a folder, or an address.
    pub fn place(&self) -> PathBuf {
        self.files.path("")
    }

    /// The store of one shard, in a folder of the store into which it will be merged.
    pub fn of_shard(&self, shard: Shard) -> ActivationStore {
        let below = Path::new(SHARDS).join(shard.folder());
        let files = self.files.below(SHARDS).below(&shard.folder());
        ActivationStore { folder: self.folder.join(below), files }
    }

    /// The recorded hook points, in the order of the pass.
    ///
    /// # Errors
    /// [`Error::BadFile`] if the checksums cannot be read.
    pub fn hook_points(&self) -> Result<Vec<HookPoint>> {
        Checksums::load(&self.files)?.recorded(&self.files)
    }

    /// True if all of these hook points are recorded, and the spans with their checksum; does not read the rows.
    ///
    /// # Errors
    /// [`Error::CardMismatch`] if the folder's files were made from other inputs; [`Error::BadFile`] if the spans were
    /// changed.
    pub fn is_done(&self, card: &Card, points: &[HookPoint]) -> Result<bool> {
        let is_recorded = self.missing(card, points)?.is_some_and(|missing| missing.is_empty());
        let has_spans = self.files.size(SPANS)?.is_some() && Checksums::load(&self.files)?.lists(SPANS);
        if !(is_recorded && has_spans) {
            return Ok(false);
        }
        self.check_spans().map(|()| true)
    }

    /// The card; `None` if the store does not exist yet.
    ///
    /// # Errors
    /// [`Error::BadFile`] if it is not a card.
    pub fn card(&self) -> Result<Option<Card>> {
        self.files.card(CARD)
    }

    /// Refuses a store that was made from other inputs; a store that does not exist yet is accepted.
    ///
    /// # Errors
    /// [`Error::CardMismatch`] naming the input.
    pub fn agrees_with(&self, card: &Card) -> Result<()> {
        let Some(found) = self.files.card(CARD)? else { return Ok(()) };
        card.agrees_with(&found, &self.files.path(CARD))
    }

    /// The hook points among `points` without a recording; `None` if the store has no card.
    pub(super) fn missing(&self, card: &Card, points: &[HookPoint]) -> Result<Option<Vec<HookPoint>>> {
        let Some(found) = self.files.card(CARD)? else { return Ok(None) };
        card.agrees_with(&found, &self.files.path(CARD))?;
        let recorded = self.hook_points()?;
        let is_missing = |point: &HookPoint| !recorded.contains(point);
        Ok(Some(points.iter().copied().filter(is_missing).collect()))
    }

    /// Reads the array of one hook point.
    ///
    /// # Errors
    /// [`Error::Io`] if it was not extracted; [`Error::BadFile`] if the file is damaged.
    pub fn load(&self, point: HookPoint) -> Result<Activations> {
        let file = ArrayReader::open(&self.files, &file_name(point))?;
        self.read(&file, point, 0..file.shape().n_rows)
    }

    /// Reads a range of rows of one hook point.
    ///
    /// # Errors
    /// As [`ActivationStore::load`]; [`Error::Invalid`] if the range ends after the last row.
    pub fn load_rows(&self, point: HookPoint, rows: Range<usize>) -> Result<Activations> {
        let file = ArrayReader::open(&self.files, &file_name(point))?;
        let n_rows = file.shape().n_rows;
        if rows.start > rows.end || rows.end > n_rows {
            return Err(Error::invalid(
                format!("rows of {point}"),
                format!("{} to {}", rows.start, rows.end),
                format!("a range of rows between 0 and {n_rows}"),
            ));
        }
        self.read(&file, point, rows)
    }

    /// Reads rows block by block, so that memory holds little more than their values, and compares each block with its
    /// hash. Stores of earlier versions have no such hashes: there, the file is compared with its checksum if all rows
    /// are read.
    fn read(&self, file: &ArrayReader, point: HookPoint, rows: Range<usize>) -> Result<Activations> {
        let (shape, name) = (file.shape(), file_name(point));
        let mut values = Vec::with_capacity(rows.len() * shape.width);
        let mut keep = |bytes: &[u8]| values.extend(shape.dtype.decode(bytes));
        let (checksums, all) = (Checksums::load(&self.files)?, Blocks::load(&self.files)?);
        match all.of(&name, shape.n_rows) {
            Some(blocks) => {
                let read = blocks.read(file, &rows, &mut keep);
                read.map_err(|error| self.blamed(&name, error))?;
                if !all.is_bound() {
                    checksums.check(&self.files, &name, &self.files.sha256(&name)?)?;
                }
            }
            None => {
                let mut sha256 = Sha256::new_with_prefix(file.header()?);
                let block = (BLOCK / shape.row_bytes().max(1)).max(1);
                for first in rows.clone().step_by(block) {
                    let bytes = file.read_rows(&(first..rows.end.min(first + block)))?;
                    sha256.update(&bytes);
                    keep(&bytes);
                }
                if rows.len() == shape.n_rows && checksums.lists(&name) {
                    checksums.check(&self.files, &name, &hex(sha256))?;
                }
            }
        }
        Array2::from_shape_vec((rows.len(), shape.width), values).map_err(|e| Error::Internal(e.to_string()))
    }

    /// The error to report for a changed block: if the whole file still has its checksum, `blocks.csv` was changed, not
    /// the rows.
    pub(super) fn blamed(&self, name: &str, error: Error) -> Error {
        let whole = || Checksums::load(&self.files)?.check(&self.files, name, &self.files.sha256(name)?);
        match (&error, whole()) {
            (Error::BadFile { .. }, Ok(())) => damaged(&self.files, format!("another hash for {name}")),
            _ => error,
        }
    }

    /// Reads each entity's tokens and rows.
    ///
    /// # Errors
    /// [`Error::Io`] if nothing was extracted; [`Error::BadFile`] if `spans.csv` is malformed or changed.
    pub fn spans(&self) -> Result<Vec<SpanRow>> {
        self.check_spans()?;
        spans_file::load(&self.files)
    }

    /// Computes the checksum of every file again, compares it with the stored one, and reports a verdict per file.
    ///
    /// # Errors
    /// [`Error::BadFile`] if there are no checksums; [`Error::Io`] naming a file that cannot be read.
    pub fn verify(&self, report: &mut dyn FnMut(&str, Verdict)) -> Result<()> {
        let checksums = Checksums::load(&self.files)?;
        if checksums == Checksums::default() {
            let expected = "a store with checksums.csv, as `mappa extract` leaves it when it is complete";
            return Err(Error::bad_file(self.place(), "no checksums", expected));
        }
        checksums.verify(&self.files, report)
    }
}
