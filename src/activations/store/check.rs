//! Compares a finished store with its hashes when no other step reads it, and restores removed hashes.
//!
//! Rows are compared only in a folder: an object store would have to transfer all of them, and guards its objects
//! itself.

use super::activation_store::ActivationStore;
use super::array_file::ArrayReader;
use super::blocks::{Blocks, FileBlocks};
use super::checksums::Checksums;
use super::layout::{BLOCKS, CARD, SPANS, file_name};
use crate::artefact::Lock;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::progress::{Observer, Progress};

impl ActivationStore {
    /// Compares the spans, and the recorded rows of these hook points, with their hashes; `name` names the store for
    /// the observer.
    ///
    /// # Errors
    /// [`Error::BadFile`] naming a changed file; [`Error::Io`].
    pub fn check(&self, points: &[HookPoint], name: &str, observer: &mut dyn Observer) -> Result<()> {
        self.check_spans()?;
        if !self.files.is_folder() {
            return Ok(());
        }
        self.restore_blocks(points)?;
        let (blocks, recorded) = (Blocks::load(&self.files)?, self.hook_points()?);
        let is_bound = blocks.is_bound();
        let points: Vec<&HookPoint> = points.iter().filter(|point| recorded.contains(point)).collect();
        let (stage, total) = (format!("{name}: activations"), points.len() as u64);
        for (point, done) in points.into_iter().zip(0..) {
            observer.progress(&Progress::counted(&stage, done, total));
            let name = file_name(*point);
            let file = ArrayReader::open(&self.files, &name)?;
            match blocks.of(&name, file.shape().n_rows) {
                // The blocks cover only the rows.
                Some(blocks) if file.has_usual_header()? => {
                    blocks.compare(&file).map_err(|error| self.blamed(&name, error))?;
                    if !is_bound {
                        self.digest(&name)?;
                    }
                }
                _ => drop(self.digest(&name)?),
            }
        }
        observer.progress(&Progress::counted(&stage, total, total));
        Ok(())
    }

    /// Refuses a changed `spans.csv`.
    ///
    /// # Errors
    /// [`Error::BadFile`] naming it.
    pub(super) fn check_spans(&self) -> Result<()> {
        let checksums = Checksums::load(&self.files)?;
        match checksums.lists(SPANS) {
            true => checksums.check(&self.files, SPANS, &self.files.sha256(SPANS)?),
            false => Ok(()),
        }
    }

    /// If a file of these hook points has no block hashes, computes those of all such files: `blocks.csv` was removed,
    /// or an earlier version wrote the store. First compares each file with its checksum, so that changed rows never
    /// get hashes. Adds hashes that the card lacks.
    ///
    /// # Errors
    /// [`Error::BadFile`] naming a changed file of these hook points.
    pub fn restore_blocks(&self, points: &[HookPoint]) -> Result<()> {
        let is_meant = |point: &HookPoint| points.contains(point);
        let is_whole = || Ok::<bool, Error>(!self.without_blocks()?.iter().any(is_meant) && self.is_bound()?);
        if !self.files.is_folder() || is_whole()? {
            return Ok(());
        }
        let _lock = match Lock::take(&self.folder) {
            Ok(lock) => lock,
            // While another process writes there, or in a read-only folder, readers compare whole files instead.
            Err(Error::InUse { .. } | Error::Io { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut blocks = Blocks::load(&self.files)?;
        let points = if blocks.is_bound() { self.without_blocks()? } else { self.hook_points()? };
        for point in points {
            let name = file_name(point);
            match self.digest(&name) {
                Ok(of_file) => blocks.replace(&name, of_file),
                Err(error) if is_meant(&point) => return Err(error),
                // The file stays without hashes; its next reader reports the damage.
                Err(_) => {}
            }
        }
        blocks.save(&self.files)?;
        self.bind()
    }

    /// True if the card has the hashes of all files, or does not exist.
    fn is_bound(&self) -> Result<bool> {
        let Some(card) = self.card()? else { return Ok(true) };
        let is_recorded = |name: &String| card.files.contains_key(name);
        Ok(is_recorded(&BLOCKS.to_string())
            && Blocks::load(&self.files)?.is_bound()
            && Checksums::load(&self.files)?.sums().keys().all(is_recorded))
    }

    /// Adds the hashes of all files to the card: an earlier version wrote it, or a run was killed after it had added
    /// files. The caller holds the lock.
    fn bind(&self) -> Result<()> {
        let Some(mut card) = self.card()? else { return Ok(()) };
        card.files.extend(Checksums::load(&self.files)?.sums());
        card.files.insert(BLOCKS.into(), self.files.sha256(BLOCKS)?);
        self.files.save(CARD, &card.to_json()?)
    }

    /// The recorded hook points with rows but without block hashes.
    fn without_blocks(&self) -> Result<Vec<HookPoint>> {
        let blocks = Blocks::load(&self.files)?;
        let lacks = |point: &HookPoint| {
            let name = file_name(*point);
            let n_rows = ArrayReader::open(&self.files, &name).map(|file| file.shape().n_rows);
            n_rows.is_ok_and(|n_rows| n_rows > 0 && blocks.of(&name, n_rows).is_none())
        };
        Ok(self.hook_points()?.into_iter().filter(lacks).collect())
    }

    /// Reads a whole file, compares it with its checksum, and returns its blocks.
    fn digest(&self, name: &str) -> Result<FileBlocks> {
        let (blocks, sha256) = FileBlocks::digest(&self.files, name)?;
        Checksums::load(&self.files)?.check(&self.files, name, &sha256)?;
        Ok(blocks)
    }
}
