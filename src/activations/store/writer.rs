//! Fills a store: writes each batch's rows as they are computed, so that a killed run keeps its finished batches.

use super::activation_store::ActivationStore;
use super::array_file::Shape;
use super::checksums::Checksums;
use super::layout::{CARD, SPANS};
use super::spans_file;
use super::staging::Staging;
use crate::activations::extract::{Jobs, Prepared, Sink, run, width};
use crate::artefact::{self, Card, Lock};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::progress::Observer;
use std::collections::BTreeMap;

/// Summary of a run that filled a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FillSummary {
    /// Hook points recorded by this run.
    pub n_points: usize,
    /// Parts recorded by an earlier run: batches of entities, or shards.
    pub n_kept: usize,
    /// Parts of an earlier run that had changed on the disk, and were computed again.
    pub n_damaged: usize,
    /// True if the file system kept other processes out.
    pub locked: bool,
}

impl ActivationStore {
    /// Records the missing hook points; resumes an interrupted run.
    ///
    /// # Errors
    /// [`Error::CardMismatch`] if the folder was made from other inputs; [`Error::InUse`] naming another process;
    /// [`Error::DiskFull`]; [`Error::NonFinite`] naming hook point, entity and token, also for a value too
    /// large for the stored number format; [`Error::Stopped`] if the observer requests it.
    pub fn extract(
        &self,
        prepared: &Prepared,
        points: &[HookPoint],
        card: &Card,
        observer: &mut dyn Observer,
    ) -> Result<FillSummary> {
        prepared.check(points)?;
        let first_rows = prepared.first_rows();
        let n_rows = first_rows.keys().map(|&entity| prepared.n_rows(entity)).sum();
        let dtype = prepared.recording.dtype;
        let shape = |point| Shape { n_rows, width: width(prepared.spec(), point), dtype };
        let lock = Lock::take(&self.folder)?;
        let Some(mut staging) = self.begin(points, card, "groups", &shape)? else {
            self.restore_spans(&spans_file::bytes_of(&prepared.span_rows()?)?)?;
            return Ok(FillSummary { locked: lock.is_held(), ..FillSummary::default() });
        };
        // Reading an earlier run's rows again may take a while, so the progress is shown first.
        let kept: Vec<usize> = prepared.batches().filter(|batch| staging.has(*batch)).collect();
        prepared.report(&kept, 0, observer);
        let rows = |entity: &usize| first_rows[entity]..first_rows[entity] + prepared.n_rows(*entity);
        let all = prepared.batches();
        let of_batch =
            |batch: usize| all.contains(&batch).then(|| prepared.batch(batch).iter().map(rows).collect());
        let n_damaged = staging.verify(&of_batch)?;
        let batches: Vec<usize> = prepared.batches().filter(|batch| !staging.has(*batch)).collect();
        let n_kept = prepared.batches().len() - batches.len();
        let points = staging.points();
        let mut sink = Disk { prepared, first_rows: &first_rows, staging, bytes: Vec::new() };
        run(prepared, &Jobs { points: &points, batches: &batches }, &mut sink, observer)?;
        sink.staging.confirm(&of_batch)?;
        let card = (self.with_history(card)?)
            .note("n_entities", prepared.n_entities())
            .note("n_tokens", prepared.n_tokens())
            .note("n_tokens_computed", prepared.n_computed())
            .note("n_entities_with_unknown_tokens", prepared.n_unknown());
        sink.staging.finish(&spans_file::bytes_of(&prepared.span_rows()?)?, &card)?;
        Ok(FillSummary { n_points: points.len(), n_kept, n_damaged, locked: lock.is_held() })
    }

    /// Removes the temporary files of a run that was killed after it had recorded everything, unless another
    /// process is writing.
    ///
    /// # Errors
    /// [`Error::Io`] naming the folder.
    pub fn clean_up(&self) -> Result<()> {
        if !self.files.staging().exists() && !Lock::exists(&self.folder) {
            return Ok(());
        }
        match Lock::take(&self.folder) {
            Ok(_lock) => Staging::clean_up(&self.files),
            // A folder that another process uses, or that is read-only, stays as it is.
            Err(Error::InUse { .. } | Error::Io { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes the spans of a finished store and their checksum again, if one of them was removed. The caller holds the
    /// lock.
    ///
    /// # Errors
    /// [`Error::BadFile`] if the spans in the folder differ.
    pub(super) fn restore_spans(&self, spans: &[u8]) -> Result<()> {
        let mut checksums = Checksums::load(&self.files)?;
        match self.files.size(SPANS)? {
            None => self.files.save(SPANS, spans)?,
            Some(_) if checksums.lists(SPANS) => return self.check_spans(),
            Some(_) if self.files.load(SPANS)? == spans => {}
            Some(_) => {
                let expected = "the spans that were written; move the file away and extract it again";
                return Err(Error::bad_file(self.files.path(SPANS), "spans that were changed", expected));
            }
        }
        checksums.replace(&self.files, SPANS, artefact::hash(spans))?;
        checksums.save(&self.files)
    }

    /// Opens the staging of the missing hook points; `None` if no hook point is missing. The caller holds the lock.
    pub(super) fn begin(
        &self,
        points: &[HookPoint],
        card: &Card,
        parts: &str,
        shape: &dyn Fn(HookPoint) -> Shape,
    ) -> Result<Option<Staging<'_>>> {
        Staging::clean_up(&self.files)?;
        let missing = self.missing(card, points)?.unwrap_or_else(|| points.to_vec());
        if missing.is_empty() {
            return Ok(None);
        }
        let shapes: BTreeMap<HookPoint, Shape> =
            missing.into_iter().map(|point| (point, shape(point))).collect();
        Staging::open(&self.files, card, parts, &shapes).map(Some)
    }

    /// The card, with the record of the store's earlier card and, added to it, the date and command of this run.
    pub(super) fn with_history(&self, card: &Card) -> Result<Card> {
        let mut card = card.clone();
        if let Some(before) = self.files.card(CARD)? {
            let value = |field: &str| card.record.get(field).cloned().unwrap_or_default();
            let (added, command) = (format!("added {}", value("date")), value("command"));
            card.record = before.record;
            card.record.insert(added, command);
        }
        Ok(card)
    }
}

/// A sink that writes batches to the staged files of a store.
struct Disk<'a> {
    prepared: &'a Prepared<'a>,
    first_rows: &'a BTreeMap<usize, usize>,
    staging: Staging<'a>,
    bytes: Vec<u8>,
}

impl Sink for Disk<'_> {
    fn put(&mut self, batch: usize, point: HookPoint, values: &[f32]) -> Result<()> {
        let dtype = self.prepared.recording.dtype;
        for (entity, values) in self.prepared.by_entity(batch, point, values) {
            self.bytes.clear();
            dtype.encode(values, &mut self.bytes).map_err(|found| Error::NonFinite {
                place: format!("{point} of {}", self.prepared.entity_words(entity)),
                found: found.into(),
                advice: format!("{dtype} holds at most {:e}; store bf16 or f32", dtype.largest()),
            })?;
            self.staging.put(batch, point, self.first_rows[&entity], &self.bytes)?;
        }
        Ok(())
    }

    fn end(&mut self, batch: usize) -> Result<()> {
        self.staging.end(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::Files;
    use super::*;
    use crate::activations::extract::StoredDtype;
    use crate::artefact::FolderName;
    use std::path::Path;

    const N_ROWS: usize = 30;
    const POINTS: [HookPoint; 3] = [HookPoint::ResidPre(0), HookPoint::MlpPost(0), HookPoint::ResidPost(0)];
    const SPANS: &[u8] = b"row,name\n1,Oslo\n";

    fn shape(_: HookPoint) -> Shape {
        Shape { n_rows: N_ROWS, width: 2, dtype: StoredDtype::F32 }
    }

    fn card() -> Card {
        Card::default().input("dataset", "towns")
    }

    /// The rows of a part: every third row.
    fn rows(part: usize) -> Vec<std::ops::Range<usize>> {
        (part..N_ROWS).step_by(3).map(|row| row..row + 1).collect()
    }

    /// The rows of a part, if it exists.
    fn rows_of(part: usize) -> Option<Vec<std::ops::Range<usize>>> {
        (part < 3).then(|| rows(part))
    }

    fn open<'a>(store: &'a ActivationStore, points: &[HookPoint]) -> Option<Staging<'a>> {
        store.begin(points, &card(), "thirds", &shape).unwrap()
    }

    /// Writes the missing parts; returns their number.
    fn write(staging: &mut Staging) -> usize {
        let new: Vec<usize> = (0..3).filter(|part| !staging.has(*part)).collect();
        for &part in &new {
            for point in staging.points() {
                for row in rows(part) {
                    let value = (point.layer() + row.start) as f32;
                    staging
                        .put(part, point, row.start, &[value.to_le_bytes(), (-value).to_le_bytes()].concat())
                        .unwrap();
                }
            }
            staging.end(part).unwrap();
        }
        new.len()
    }

    fn store(lab: &Path) -> ActivationStore {
        std::fs::create_dir_all(lab.join("activations/m/d/p")).unwrap();
        let [model, dataset, prompt] = ["m", "d", "p"].map(FolderName::of_text);
        ActivationStore::new(lab, &model, &dataset, &prompt)
    }

    /// All files by name, and true if a staging folder is left.
    fn content(store: &ActivationStore) -> (BTreeMap<String, Vec<u8>>, bool) {
        let names = store.files.names().unwrap();
        let is_staged = names.iter().any(|name| name == ".partial");
        let names = names.into_iter().filter(|name| name != ".partial");
        (names.map(|name| (name.clone(), store.files.load(&name).unwrap())).collect(), is_staged)
    }

    fn finished(lab: &Path) -> ActivationStore {
        let store = store(lab);
        let mut staging = open(&store, &POINTS).unwrap();
        assert_eq!(write(&mut staging), 3);
        staging.finish(SPANS, &card()).unwrap();
        store
    }

    #[test]
    fn a_run_killed_at_any_step_of_its_end_is_completed_by_the_next() {
        let lab = tempfile::tempdir().unwrap();
        let (reference, is_staged) = content(&finished(lab.path()));
        assert!(!is_staged && reference.len() == POINTS.len() + 4, "{:?}", reference.keys());
        let names: Vec<String> = POINTS.iter().map(|point| format!("{point}.safetensors")).collect();
        let after = ["spans.csv", "blocks.csv", "checksums.csv", "card.json"].map(String::from);
        let steps: Vec<String> = names.iter().cloned().chain(after).chain(["remove".to_string()]).collect();
        for n_steps in 0..=steps.len() {
            let lab = tempfile::tempdir().unwrap();
            let store = store(lab.path());
            write(&mut open(&store, &POINTS).unwrap());
            for step in &steps[..n_steps] {
                let staged = store.files.staging().join(step);
                match step.as_str() {
                    "remove" => std::fs::remove_file(store.files.staging().join(CARD)).unwrap(),
                    name if names.contains(step) => std::fs::rename(staged, store.files.path(name)).unwrap(),
                    name => store.files.save(name, &reference[name]).unwrap(),
                }
            }
            if let Some(mut staging) = open(&store, &POINTS) {
                assert_eq!(staging.verify(&rows_of).unwrap(), 0);
                assert_eq!(write(&mut staging), 0, "done again after {n_steps} steps");
                staging.finish(SPANS, &card()).unwrap();
            }
            let (found, is_staged) = content(&store);
            assert!(found == reference, "after {n_steps} steps: {:?}", found.keys());
            assert!(!is_staged, "after {n_steps} steps");
        }
    }

    #[test]
    fn a_part_with_changed_rows_is_done_again_and_a_cut_journal_costs_one_part() {
        let lab = tempfile::tempdir().unwrap();
        let (reference, _) = content(&finished(lab.path()));
        type Spoil = fn(&Files, &Path);
        let spoils: [(Spoil, usize, usize); 5] = [
            (|_, _| (), 0, 0),
            (|_, file| change(file), 1, 1),
            (|files, _| cut(&files.staging().join("journal.csv")), 0, 1),
            (|files, _| extend(&files.staging().join("journal.csv")), 2, 0),
            // Without one of its files, an unfinished store cannot be resumed.
            (|_, file| std::fs::remove_file(file).unwrap(), 0, 3),
        ];
        for (spoil, n_damaged, n_again) in spoils {
            let lab = tempfile::tempdir().unwrap();
            let store = store(lab.path());
            write(&mut open(&store, &POINTS).unwrap());
            spoil(&store.files, &store.files.staging().join(format!("{}.safetensors", POINTS[1])));
            let mut staging = open(&store, &POINTS).unwrap();
            assert_eq!(staging.verify(&rows_of).unwrap(), n_damaged);
            assert_eq!(write(&mut staging), n_again);
            staging.finish(SPANS, &card()).unwrap();
            assert!(content(&store).0 == reference);
        }
    }

    /// Changes the last byte of a file.
    fn change(path: &Path) {
        let mut bytes = std::fs::read(path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(path, bytes).unwrap();
    }

    /// Adds parts that do not exist to a journal.
    fn extend(path: &Path) {
        let mut text = std::fs::read_to_string(path).unwrap();
        for part in [3, usize::MAX] {
            text += &format!("{part},{}\n", "a".repeat(64));
        }
        std::fs::write(path, text).unwrap();
    }

    /// Removes the last byte of a file.
    fn cut(path: &Path) {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
    }

    #[test]
    fn an_unfinished_store_of_other_inputs_is_refused_by_field() {
        let lab = tempfile::tempdir().unwrap();
        let store = store(lab.path());
        drop(open(&store, &POINTS));
        for (points, card, parts, field) in [
            (&POINTS[..2], card(), "thirds", "hook_points"),
            (&POINTS[..], card(), "halves", "parts"),
            (&POINTS[..], card().input("dataset", "cities"), "thirds", "dataset"),
        ] {
            let error = store.begin(points, &card, parts, &shape).map(|_| "it began").unwrap_err();
            assert!(matches!(&error, Error::CardMismatch { field: found, .. } if found == field), "{error}");
            assert!(error.to_string().contains(".partial"), "{error}");
        }
    }

    #[test]
    fn arrays_larger_than_the_disk_are_refused_before_anything_is_computed_and_leave_no_file() {
        let lab = tempfile::tempdir().unwrap();
        let store = store(lab.path());
        let huge = |_| Shape { n_rows: 1 << 40, width: 1 << 10, dtype: StoredDtype::F32 };
        let error = store.begin(&POINTS, &card(), "thirds", &huge).map(|_| "it began").unwrap_err();
        assert!(matches!(error, Error::DiskFull { .. }), "{error}");
        let needed = (3u64 << 52).to_string();
        assert!(error.to_string().contains(&needed[..4]) && error.to_string().contains("free"), "{error}");
        assert_eq!(store.files.names().unwrap(), Vec::<String>::new());
    }
}
