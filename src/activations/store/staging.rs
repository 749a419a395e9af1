//! The staging of an unfinished store: files of full length and a journal, until all parts are written.
//!
//! A part is a batch of entities, or a shard. Its rows are written to their places, the files are synced, and
//! then the journal gets a line. Even if the program is killed, the parts in the journal are on the disk,
//! and the next run computes the others.

use super::array_file::{ArrayWriter, Shape};
use super::blocks::Blocks;
use super::checksums::Checksums;
use super::files::{Files, hex, sync_folder};
use super::journal::Journal;
use super::layout::{BLOCKS, CARD, JOURNAL, SPANS, file_name};
use crate::artefact::{Card, disk_full};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

/// The field of the card that names the hook points.
const HOOK_POINTS: &str = "hook_points";
/// The field of the card that names the kind of the parts.
const PARTS: &str = "parts";

/// An unfinished store.
pub(super) struct Staging<'a> {
    files: &'a Files,
    folder: PathBuf,
    /// `None` for a file that an earlier run, killed at its end, has already moved to its place.
    arrays: BTreeMap<HookPoint, Option<ArrayWriter>>,
    journal: Journal,
    /// The hashes of each unfinished part.
    hashers: BTreeMap<usize, BTreeMap<HookPoint, Sha256>>,
}

impl<'a> Staging<'a> {
    /// Opens the files of an earlier run, or creates empty ones of full length.
    ///
    /// # Errors
    /// [`Error::CardMismatch`] if the earlier run had other inputs; [`Error::DiskFull`] with the bytes
    /// that are needed and free, before anything is computed.
    pub(super) fn open(
        files: &'a Files,
        card: &Card,
        parts: &str,
        shapes: &BTreeMap<HookPoint, Shape>,
    ) -> Result<Staging<'a>> {
        let names: Vec<String> = shapes.keys().map(HookPoint::to_string).collect();
        let card = card.clone().input(HOOK_POINTS, names.join(" ")).input(PARTS, parts);
        if card.is_done(&files.staging().join(CARD))?
            && let Some(staging) = Staging::resume(files, shapes)?
        {
            return Ok(staging);
        }
        Staging::create(files, &card, shapes).inspect_err(|_| {
            // The folder has no rows yet, and may already occupy half of the disk space that is needed.
            let _ = std::fs::remove_dir_all(files.staging());
        })
    }

    fn resume(files: &'a Files, shapes: &BTreeMap<HookPoint, Shape>) -> Result<Option<Staging<'a>>> {
        let folder = files.staging();
        let mut arrays = BTreeMap::new();
        for (&point, &shape) in shapes {
            let name = file_name(point);
            let array = ArrayWriter::open(&folder.join(&name), shape)?;
            if array.is_none() && files.size(&name)? != Some(shape.file_bytes()) {
                return Ok(None);
            }
            arrays.insert(point, array);
        }
        let journal = Journal::open(&folder.join(JOURNAL))?;
        Ok(Some(Staging { files, folder, arrays, journal, hashers: BTreeMap::new() }))
    }

    fn create(files: &'a Files, card: &Card, shapes: &BTreeMap<HookPoint, Shape>) -> Result<Staging<'a>> {
        let folder = files.staging();
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(Error::io("remove", &folder))?;
        }
        std::fs::create_dir_all(&folder).map_err(Error::io("make the folder", &folder))?;
        let needed = shapes.values().map(|shape| shape.file_bytes()).fold(0, u64::saturating_add);
        if fs4::available_space(&folder).is_ok_and(|free| free < needed) {
            return Err(disk_full(&folder, needed));
        }
        let mut arrays = BTreeMap::new();
        for (&point, &shape) in shapes {
            arrays.insert(point, Some(ArrayWriter::create(&folder.join(file_name(point)), shape)?));
        }
        let journal = Journal::open(&folder.join(JOURNAL))?;
        sync_folder(&folder)?;
        // The card comes last: a folder without it is ignored.
        Files::new(&folder).save(CARD, &card.to_json()?)?;
        sync_folder(&folder)?;
        Ok(Staging { files, folder, arrays, journal, hashers: BTreeMap::new() })
    }

    /// Removes the files of a run that was killed at its very end, or while it created the staging folder. The caller
    /// holds the lock.
    pub(super) fn clean_up(files: &Files) -> Result<()> {
        files.clean_up()?;
        let folder = files.staging();
        let card = Card::load(&folder.join(CARD))?;
        let names = card.as_ref().and_then(|card| card.inputs.get(HOOK_POINTS)).map_or("", String::as_str);
        let recorded = Checksums::load(files)?.recorded(files)?;
        let is_recorded = |name: &str| name.parse().is_ok_and(|point| recorded.contains(&point));
        // The store's own card comes after its checksums: without it, the run did not finish.
        let is_at_its_end = files.size(CARD)?.is_some() || card.is_none();
        match folder.exists() && is_at_its_end && names.split_whitespace().all(is_recorded) {
            true => remove(folder),
            false => Ok(()),
        }
    }

    /// Reads the parts in the journal again, and removes from the journal those whose rows have changed and those that
    /// do not exist (`rows` returns `None`). Returns the number of removed parts.
    pub(super) fn verify(&mut self, rows: &dyn Fn(usize) -> Option<Vec<Range<usize>>>) -> Result<usize> {
        if self.arrays.values().any(Option::is_none) {
            return Ok(0); // All parts were confirmed before the first file was moved to its place.
        }
        let damaged = self.damaged(rows)?;
        self.journal.remove(&damaged)?;
        Ok(damaged.len())
    }

    /// Reads all parts again before the files are finished, so that rows that changed after their hash was written to
    /// the journal never get a checksum.
    ///
    /// # Errors
    /// [`Error::BadFile`] naming the parts; they are computed again by the next run.
    pub(super) fn confirm(&mut self, rows: &dyn Fn(usize) -> Option<Vec<Range<usize>>>) -> Result<()> {
        if self.arrays.values().any(Option::is_none) {
            return Ok(());
        }
        let damaged = self.damaged(rows)?;
        if damaged.is_empty() {
            return Ok(());
        }
        self.journal.remove(&damaged)?;
        let some: Vec<String> = damaged.iter().take(5).map(usize::to_string).collect();
        let more = damaged.len() - some.len();
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let found =
            format!("rows of the parts {}{more} that changed after they were written", some.join(", "));
        let expected = "the rows that were written; the same command computes them again";
        Err(Error::bad_file(&self.folder, found, expected))
    }

    /// The parts in the journal that do not exist, or whose rows no longer have the hash in the journal.
    fn damaged(&mut self, rows: &dyn Fn(usize) -> Option<Vec<Range<usize>>>) -> Result<Vec<usize>> {
        let lines = self.journal.lines();
        let places: BTreeMap<usize, Vec<Range<usize>>> =
            lines.keys().filter_map(|part| Some((*part, rows(*part)?))).collect();
        let of_array = |(point, array): (&HookPoint, &mut Option<ArrayWriter>)| {
            let Some(array) = array else { return Err(Error::Internal(format!("no file for {point}"))) };
            let mut written = array.written_rows()?;
            let hash = |rows: &Vec<Range<usize>>| {
                let mut hasher = Sha256::new();
                rows.iter().try_for_each(|rows| written.bytes(rows).map(|bytes| hasher.update(bytes)))?;
                Ok(hasher)
            };
            Ok((*point, places.values().map(hash).collect::<Result<Vec<Sha256>>>()?))
        };
        let hashed = self.arrays.par_iter_mut().map(of_array).collect::<Result<Vec<_>>>()?;
        let mut of_parts: Vec<BTreeMap<HookPoint, Sha256>> = vec![BTreeMap::new(); places.len()];
        for (point, hashers) in hashed {
            of_parts.iter_mut().zip(hashers).for_each(|(part, hasher)| _ = part.insert(point, hasher));
        }
        let sums: BTreeMap<usize, String> =
            places.into_keys().zip(of_parts.into_iter().map(joined)).collect();
        // A part that does not exist has no hash in `sums`.
        let is_damaged = |(part, sum): &(&usize, &String)| sums.get(part) != Some(sum);
        Ok(self.journal.lines().iter().filter(is_damaged).map(|(part, _)| *part).collect())
    }

    /// The hook points of the arrays.
    pub(super) fn points(&self) -> Vec<HookPoint> {
        self.arrays.keys().copied().collect()
    }

    /// True if a part is on the disk.
    pub(super) fn has(&self, part: usize) -> bool {
        self.journal.lines().contains_key(&part)
    }

    /// Writes rows of a part; calls for several parts may alternate.
    pub(super) fn put(
        &mut self,
        part: usize,
        point: HookPoint,
        first_row: usize,
        bytes: &[u8],
    ) -> Result<()> {
        let Some(Some(array)) = self.arrays.get_mut(&point) else {
            return Err(Error::Internal(format!("no file for {point}")));
        };
        self.hashers.entry(part).or_default().entry(point).or_default().update(bytes);
        array.write_rows(first_row, bytes)
    }

    /// Ends a part: when this returns, its rows and its line in the journal are on the disk.
    pub(super) fn end(&mut self, part: usize) -> Result<()> {
        self.sync()?;
        // A hook point without rows in this part gets the hash of an empty input.
        let mut hashers = self.hashers.remove(&part).unwrap_or_default();
        for &point in self.arrays.keys() {
            hashers.entry(point).or_default();
        }
        self.journal.append(part, &joined(hashers))
    }

    /// Syncs all files in parallel, which takes little longer than syncing one.
    fn sync(&self) -> Result<()> {
        const AT_ONCE: usize = 16;
        let arrays: Vec<&ArrayWriter> = self.arrays.values().flatten().collect();
        let each = arrays.len().div_ceil(AT_ONCE).max(1);
        std::thread::scope(|scope| {
            let run = |some: &[&ArrayWriter]| some.iter().try_for_each(|array| array.sync());
            let threads: Vec<_> = arrays.chunks(each).map(|some| scope.spawn(move || run(some))).collect();
            threads.into_iter().try_for_each(|thread| {
                thread.join().unwrap_or_else(|_| Err(Error::Internal("a sync panicked".into())))
            })
        })
    }

    /// Moves the arrays to their places, and writes the other files, the card last.
    pub(super) fn finish(self, spans: &[u8], card: &Card) -> Result<()> {
        let Staging { files, folder, arrays, .. } = self;
        let (mut checksums, staging) = (Checksums::load(files)?, Files::new(&folder));
        // The checksums are computed from the staged files, before an upload.
        let lies_in = |array: &Option<ArrayWriter>| if array.is_some() { &staging } else { files };
        let named = arrays.iter().map(|(&point, array)| (lies_in(array), file_name(point)));
        let mut blocks = Blocks::load(files).unwrap_or_default();
        checksums.compute(&named.collect::<Vec<_>>(), &mut blocks)?;
        for (&point, _) in arrays.iter().filter(|(_, array)| array.is_some()) {
            let name = file_name(point);
            files.adopt(&folder.join(&name), &name)?;
        }
        if files.size(SPANS)?.is_none() || files.load(SPANS)? != spans {
            files.save(SPANS, spans)?;
        }
        checksums.replace(files, SPANS, files.sha256(SPANS)?)?;
        // The blocks come before the checksums: a hook point counts as recorded only with a checksum.
        blocks.save(files)?;
        let mut sums = checksums.sums();
        forget_others(files, &sums)?;
        checksums.save(files)?;
        sums.insert(BLOCKS.into(), files.sha256(BLOCKS)?);
        files.save(CARD, &Card { files: sums, ..card.clone() }.to_json()?)?;
        files.sync()?;
        remove(folder)
    }
}

/// Removes the hashes of files that this run has replaced from the store's card, so that the card and the checksums
/// agree at every step.
fn forget_others(files: &Files, sums: &BTreeMap<String, String>) -> Result<()> {
    let Some(mut card) = files.card(CARD)? else { return Ok(()) };
    let n_before = card.files.len();
    card.files.retain(|name, recorded| sums.get(name).is_none_or(|sum| sum == recorded));
    if card.files.len() < n_before { files.save(CARD, &card.to_json()?) } else { Ok(()) }
}

/// Removes a staging folder, its card first, so that no run resumes from an incomplete one.
fn remove(folder: PathBuf) -> Result<()> {
    let card = folder.join(CARD);
    if card.exists() {
        std::fs::remove_file(&card).map_err(Error::io("remove", &card))?;
    }
    std::fs::remove_dir_all(&folder).map_err(Error::io("remove", &folder))
}

/// One checksum of a part's rows at all hook points.
fn joined(hashers: BTreeMap<HookPoint, Sha256>) -> String {
    let mut all = Sha256::new();
    hashers.into_values().for_each(|hasher| all.update(hasher.finalize()));
    hex(all)
}
