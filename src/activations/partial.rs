//! A store that is being written: files of full length beside their journal, until all parts are there.
//!
//! A part is what is computed or copied at once: a group of entities, or a shard. Its rows are written to
//! their places, the files are synced, and then one line in the journal says so. Whatever ends the program,
//! the parts in the journal are on the disk, and the next run does the others.

use super::checksums::Checksums;
use super::files::{Files, disk_full, hex, sync_folder};
use super::journal::Journal;
use super::store::{CARD, SPANS, file_name};
use super::table::{Shape, Table};
use crate::artefact::Card;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

const JOURNAL: &str = "journal.csv";

/// The field of the card that names the hook points that are being written.
const HOOK_POINTS: &str = "hook_points";
/// The field of the card that says what a part is.
const PARTS: &str = "parts";

/// A store that is being written.
pub(super) struct Partial<'a> {
    files: &'a Files,
    folder: PathBuf,
    /// `None` for a file that already has its place, where a run ended just before its end.
    tables: BTreeMap<HookPoint, Option<Table>>,
    journal: Journal,
    /// Of each part that is on its way.
    hashers: BTreeMap<usize, BTreeMap<HookPoint, Sha256>>,
}

impl<'a> Partial<'a> {
    /// What an earlier run left, or empty files of full length.
    ///
    /// # Errors
    /// [`Error::CardMismatch`] if the earlier run did something else; [`Error::DiskFull`] with the bytes
    /// that are needed and free, before anything is computed.
    pub fn open(
        files: &'a Files,
        (card, parts): (&Card, &str),
        shapes: &BTreeMap<HookPoint, Shape>,
    ) -> Result<Partial<'a>> {
        let names: Vec<String> = shapes.keys().map(HookPoint::to_string).collect();
        let card = card.clone().input(HOOK_POINTS, names.join(" ")).input(PARTS, parts);
        if card.is_done(&files.staging().join(CARD))?
            && let Some(partial) = Partial::resume(files, shapes)?
        {
            return Ok(partial);
        }
        Partial::begin(files, &card, shapes).inspect_err(|_| {
            // Nothing is recorded in it yet, and it may hold the room of half the files.
            let _ = std::fs::remove_dir_all(files.staging());
        })
    }

    fn resume(files: &'a Files, shapes: &BTreeMap<HookPoint, Shape>) -> Result<Option<Partial<'a>>> {
        let folder = files.staging();
        let mut tables = BTreeMap::new();
        for (&point, &shape) in shapes {
            let name = file_name(point);
            let table = Table::open(&folder.join(&name), shape)?;
            if table.is_none() && files.size(&name)? != Some(shape.file_bytes()) {
                return Ok(None);
            }
            tables.insert(point, table);
        }
        let journal = Journal::open(&folder.join(JOURNAL))?;
        Ok(Some(Partial { files, folder, tables, journal, hashers: BTreeMap::new() }))
    }

    fn begin(files: &'a Files, card: &Card, shapes: &BTreeMap<HookPoint, Shape>) -> Result<Partial<'a>> {
        let folder = files.staging();
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(Error::io("remove", &folder))?;
        }
        std::fs::create_dir_all(&folder).map_err(Error::io("make the folder", &folder))?;
        let needed = shapes.values().map(|shape| shape.file_bytes()).sum();
        if fs4::available_space(&folder).is_ok_and(|free| free < needed) {
            return Err(disk_full(&folder, needed));
        }
        let mut tables = BTreeMap::new();
        for (&point, &shape) in shapes {
            tables.insert(point, Some(Table::create(&folder.join(file_name(point)), shape)?));
        }
        let journal = Journal::open(&folder.join(JOURNAL))?;
        sync_folder(&folder)?;
        // The card comes last: without it, what lies here is nothing.
        Files::new(&folder).save(CARD, &card.to_json()?)?;
        sync_folder(&folder)?;
        Ok(Partial { files, folder, tables, journal, hashers: BTreeMap::new() })
    }

    /// Removes what a run left that was ended at its very end, or before it had begun. The lock is held.
    pub fn sweep(files: &Files) -> Result<()> {
        files.sweep()?;
        let folder = files.staging();
        let card = Card::load(&folder.join(CARD))?;
        let names = card.as_ref().and_then(|card| card.inputs.get(HOOK_POINTS)).map_or("", String::as_str);
        let recorded = Checksums::load(files)?.recorded(files)?;
        let is_recorded = |name: &str| name.parse().is_ok_and(|point| recorded.contains(&point));
        // The store's own card comes after its checksums: without it, the run did not come to its end.
        let is_at_its_end = files.size(CARD)?.is_some() || card.is_none();
        match folder.exists() && is_at_its_end && names.split_whitespace().all(is_recorded) {
            true => remove(folder),
            false => Ok(()),
        }
    }

    /// Reads the parts in the journal again and strikes out those whose rows are not what was written;
    /// answers how many.
    pub fn verify(&mut self, rows: &dyn Fn(usize) -> Vec<Range<usize>>) -> Result<usize> {
        if self.tables.values().any(Option::is_none) {
            return Ok(0); // All parts were there when the first file got its place.
        }
        let mut damaged = Vec::new();
        for (&part, checksum) in self.journal.lines() {
            let mut hashers = BTreeMap::new();
            for (&point, table) in &mut self.tables {
                let hasher: &mut Sha256 = hashers.entry(point).or_default();
                for rows in rows(part) {
                    table
                        .iter_mut()
                        .try_for_each(|table| table.read_rows(&rows).map(|b| hasher.update(&b)))?;
                }
            }
            if joined(hashers) != *checksum {
                damaged.push(part);
            }
        }
        self.journal.strike(&damaged)?;
        Ok(damaged.len())
    }

    /// The hook points that are written.
    pub fn points(&self) -> Vec<HookPoint> {
        self.tables.keys().copied().collect()
    }

    /// Whether a part is on the disk.
    pub fn has(&self, part: usize) -> bool {
        self.journal.lines().contains_key(&part)
    }

    /// Writes some rows of a part; several parts may be on their way.
    pub fn put(&mut self, part: usize, (point, first_row): (HookPoint, usize), bytes: &[u8]) -> Result<()> {
        let Some(Some(table)) = self.tables.get_mut(&point) else {
            return Err(Error::Internal(format!("no file for {point}")));
        };
        self.hashers.entry(part).or_default().entry(point).or_default().update(bytes);
        table.write_rows(first_row, bytes)
    }

    /// Ends a part: when this returns, its rows and its line in the journal are on the disk.
    pub fn end(&mut self, part: usize) -> Result<()> {
        self.sync()?;
        // A hook point at which the part has no rows counts all the same.
        let mut hashers = self.hashers.remove(&part).unwrap_or_default();
        for &point in self.tables.keys() {
            hashers.entry(point).or_default();
        }
        self.journal.append(part, &joined(hashers))
    }

    /// Syncs all files, several at once: a disk does that in little more time than one.
    fn sync(&self) -> Result<()> {
        const AT_ONCE: usize = 16;
        let tables: Vec<&Table> = self.tables.values().flatten().collect();
        let each = tables.len().div_ceil(AT_ONCE).max(1);
        std::thread::scope(|scope| {
            let run = |some: &[&Table]| some.iter().try_for_each(|table| table.sync());
            let threads: Vec<_> = tables.chunks(each).map(|some| scope.spawn(move || run(some))).collect();
            threads.into_iter().try_for_each(|thread| {
                thread.join().unwrap_or_else(|_| Err(Error::Internal("a sync panicked".into())))
            })
        })
    }

    /// Gives the files their places, and writes what stands beside them, the card last.
    pub fn finish(self, spans: &[u8], card: &Card) -> Result<()> {
        let Partial { files, folder, tables, .. } = self;
        let (mut checksums, staging) = (Checksums::load(files)?, Files::new(&folder));
        // Read on the disk where they were written, before they may go far away.
        let lies_in = |table: &Option<Table>| if table.is_some() { &staging } else { files };
        let named = tables.iter().map(|(&point, table)| (lies_in(table), file_name(point)));
        checksums.take(&named.collect::<Vec<_>>())?;
        for (&point, _) in tables.iter().filter(|(_, table)| table.is_some()) {
            let name = file_name(point);
            files.adopt(&folder.join(&name), &name)?;
        }
        if files.size(SPANS)?.is_none() || files.load(SPANS)? != spans {
            files.save(SPANS, spans)?;
        }
        checksums.take(&[(files, SPANS.into())])?;
        checksums.save(files)?;
        files.save(CARD, &card.to_json()?)?;
        files.sync()?;
        remove(folder)
    }
}

/// Removes a staging folder, its card first, so that nobody takes the rest for work to go on with.
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
