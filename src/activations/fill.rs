//! Fills a store: each group's rows as they are computed, so that nothing that is done is ever lost.

use super::crew::run;
use super::extract::{Sink, Watch};
use super::lock::Lock;
use super::partial::Partial;
use super::recording::width;
use super::store::{ActivationStore, CARD, spans_csv};
use super::table::Shape;
use super::work::Work;
use crate::artefact::Card;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use std::collections::BTreeMap;

/// How a store was filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Filled {
    /// Hook points that were recorded now; those that lay there already are not counted.
    pub n_points: usize,
    /// Parts that an earlier run had recorded: groups of entities, or shards.
    pub n_kept: usize,
    /// Parts that an earlier run had recorded and that were found changed, so that they were done again.
    pub n_damaged: usize,
    /// Whether the file system kept other processes out.
    pub locked: bool,
}

impl ActivationStore {
    /// Records hook points that are not recorded yet, going on where an earlier run ended.
    ///
    /// # Errors
    /// [`Error::CardMismatch`] if the folder holds something else; [`Error::InUse`] naming another process;
    /// [`Error::DiskFull`]; [`Error::NonFinite`] naming hook point, entity and token, or a value that does
    /// not fit the stored numbers; [`Error::Stopped`] if the watch stops.
    pub fn extract(
        &self,
        work: &Work,
        (points, card): (&[HookPoint], &Card),
        watch: &mut dyn Watch,
    ) -> Result<Filled> {
        work.check(points)?;
        let first_rows = work.first_rows();
        let n_rows = first_rows.keys().map(|&entity| work.n_rows(entity)).sum();
        let shape = |point| Shape { n_rows, width: width(work.spec(), point), stored: work.recording.stored };
        let lock = Lock::take(&self.folder)?;
        let Some(mut partial) = self.begin(points, (card, "groups"), &shape)? else {
            return Ok(Filled { locked: lock.is_held(), ..Filled::default() });
        };
        // Reading what is there again may take a while: whoever waits sees where it stands.
        let kept: Vec<usize> = work.groups().filter(|group| partial.has(*group)).collect();
        watch.at(work.progress(&kept, 0));
        let rows = |entity: &usize| first_rows[entity]..first_rows[entity] + work.n_rows(*entity);
        let n_damaged = partial.verify(&|group| work.group(group).iter().map(rows).collect())?;
        let groups: Vec<usize> = work.groups().filter(|group| !partial.has(*group)).collect();
        let n_kept = work.groups().len() - groups.len();
        let points = partial.points();
        let mut sink = Disk { work, first_rows: &first_rows, partial, bytes: Vec::new() };
        run(work, (&points, &groups), &mut sink, watch)?;
        let card = (self.with_history(card)?)
            .note("n_entities", work.n_entities())
            .note("n_tokens", work.n_tokens())
            .note("n_tokens_computed", work.n_computed())
            .note("n_entities_with_unknown_tokens", work.n_unknown());
        sink.partial.finish(&spans_csv(&work.span_rows()?)?, &card)?;
        Ok(Filled { n_points: points.len(), n_kept, n_damaged, locked: lock.is_held() })
    }

    /// Removes what a run left that was ended after all was recorded, unless another process is at work.
    ///
    /// # Errors
    /// [`Error::Io`] naming the folder.
    pub fn sweep(&self) -> Result<()> {
        if !self.files.staging().exists() && !Lock::is_there(&self.folder) {
            return Ok(());
        }
        match Lock::take(&self.folder) {
            Ok(_lock) => Partial::sweep(&self.files),
            Err(Error::InUse { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Opens what is to be written of some hook points; `None` if all of them are there. The lock is held.
    pub(super) fn begin(
        &self,
        points: &[HookPoint],
        (card, parts): (&Card, &str),
        shape: &dyn Fn(HookPoint) -> Shape,
    ) -> Result<Option<Partial<'_>>> {
        Partial::sweep(&self.files)?;
        let missing = self.missing(card, points)?.unwrap_or_else(|| points.to_vec());
        if missing.is_empty() {
            return Ok(None);
        }
        let shapes: BTreeMap<HookPoint, Shape> =
            missing.into_iter().map(|point| (point, shape(point))).collect();
        Partial::open(&self.files, (card, parts), &shapes).map(Some)
    }

    /// A card that also tells of the runs that recorded other hook points of the same store before.
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

/// Files on a disk.
struct Disk<'a> {
    work: &'a Work<'a>,
    first_rows: &'a BTreeMap<usize, usize>,
    partial: Partial<'a>,
    bytes: Vec<u8>,
}

impl Sink for Disk<'_> {
    fn put(&mut self, group: usize, point: HookPoint, values: &[f32]) -> Result<()> {
        let stored = self.work.recording.stored;
        for (entity, values) in self.work.by_entity(group, (point, values)) {
            self.bytes.clear();
            stored.encode(values, &mut self.bytes).map_err(|found| Error::NonFinite {
                place: format!("{point} of {}", self.work.entity_words(entity)),
                found: found.into(),
                advice: format!("{stored} holds at most {:e}; store bf16 or f32", stored.largest()),
            })?;
            self.partial.put(group, (point, self.first_rows[&entity]), &self.bytes)?;
        }
        Ok(())
    }

    fn end(&mut self, group: usize) -> Result<()> {
        self.partial.end(group)
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::Files;
    use super::super::recording::Stored;
    use super::*;
    use std::path::Path;

    const N_ROWS: usize = 30;
    const POINTS: [HookPoint; 3] = [HookPoint::ResidPre(0), HookPoint::MlpPost(0), HookPoint::ResidPost(0)];
    const SPANS: &[u8] = b"row,name\n1,Oslo\n";

    fn shape(_: HookPoint) -> Shape {
        Shape { n_rows: N_ROWS, width: 2, stored: Stored::F32 }
    }

    fn card() -> Card {
        Card::default().input("dataset", "towns")
    }

    /// Rows of a part: every third.
    fn rows(part: usize) -> Vec<std::ops::Range<usize>> {
        (part..N_ROWS).step_by(3).map(|row| row..row + 1).collect()
    }

    fn open<'a>(store: &'a ActivationStore, points: &[HookPoint]) -> Option<Partial<'a>> {
        store.begin(points, (&card(), "thirds"), &shape).unwrap()
    }

    /// Writes the parts that are not there; answers how many.
    fn write(partial: &mut Partial) -> usize {
        let new: Vec<usize> = (0..3).filter(|part| !partial.has(*part)).collect();
        for &part in &new {
            for point in partial.points() {
                for row in rows(part) {
                    let value = (point.layer() + row.start) as f32;
                    partial
                        .put(
                            part,
                            (point, row.start),
                            &[value.to_le_bytes(), (-value).to_le_bytes()].concat(),
                        )
                        .unwrap();
                }
            }
            partial.end(part).unwrap();
        }
        new.len()
    }

    fn store(lab: &Path) -> ActivationStore {
        std::fs::create_dir_all(lab.join("activations/m/d/p")).unwrap();
        ActivationStore::new(lab, "m", "d", "p")
    }

    /// All files by name, and whether a staging folder is left.
    fn content(store: &ActivationStore) -> (BTreeMap<String, Vec<u8>>, bool) {
        let names = store.files.names().unwrap();
        let is_staged = names.iter().any(|name| name == ".partial");
        let names = names.into_iter().filter(|name| name != ".partial");
        (names.map(|name| (name.clone(), store.files.load(&name).unwrap())).collect(), is_staged)
    }

    fn finished(lab: &Path) -> ActivationStore {
        let store = store(lab);
        let mut partial = open(&store, &POINTS).unwrap();
        assert_eq!(write(&mut partial), 3);
        partial.finish(SPANS, &card()).unwrap();
        store
    }

    #[test]
    fn wherever_a_run_ends_while_it_finishes_the_next_one_ends_alike() {
        let lab = tempfile::tempdir().unwrap();
        let (reference, is_staged) = content(&finished(lab.path()));
        assert!(!is_staged && reference.len() == POINTS.len() + 3, "{:?}", reference.keys());
        let names: Vec<String> = POINTS.iter().map(|point| format!("{point}.safetensors")).collect();
        let after = ["spans.csv", "checksums.csv", "card.json"].map(String::from);
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
            if let Some(mut partial) = open(&store, &POINTS) {
                assert_eq!(partial.verify(&rows).unwrap(), 0);
                assert_eq!(write(&mut partial), 0, "done again after {n_steps} steps");
                partial.finish(SPANS, &card()).unwrap();
            }
            let (found, is_staged) = content(&store);
            assert!(found == reference, "after {n_steps} steps: {:?}", found.keys());
            assert!(!is_staged, "after {n_steps} steps");
        }
    }

    #[test]
    fn a_part_whose_rows_changed_is_done_again_and_a_torn_journal_costs_a_part() {
        let lab = tempfile::tempdir().unwrap();
        let (reference, _) = content(&finished(lab.path()));
        type Spoil = fn(&Files, &Path);
        let spoils: [(Spoil, usize, usize); 4] = [
            (|_, _| (), 0, 0),
            (|_, file| change(file), 1, 1),
            (|files, _| cut(&files.staging().join("journal.csv")), 0, 1),
            // Without one of its files, nothing of an unfinished store is worth anything.
            (|_, file| std::fs::remove_file(file).unwrap(), 0, 3),
        ];
        for (spoil, n_damaged, n_again) in spoils {
            let lab = tempfile::tempdir().unwrap();
            let store = store(lab.path());
            write(&mut open(&store, &POINTS).unwrap());
            spoil(&store.files, &store.files.staging().join(format!("{}.safetensors", POINTS[1])));
            let mut partial = open(&store, &POINTS).unwrap();
            assert_eq!(partial.verify(&rows).unwrap(), n_damaged);
            assert_eq!(write(&mut partial), n_again);
            partial.finish(SPANS, &card()).unwrap();
            assert!(content(&store).0 == reference);
        }
    }

    /// Changes the last byte of a file.
    fn change(path: &Path) {
        let mut bytes = std::fs::read(path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(path, bytes).unwrap();
    }

    /// Cuts a file short by a byte.
    fn cut(path: &Path) {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
    }

    #[test]
    fn an_unfinished_store_of_something_else_is_refused_by_field() {
        let lab = tempfile::tempdir().unwrap();
        let store = store(lab.path());
        drop(open(&store, &POINTS));
        for (points, card, parts, field) in [
            (&POINTS[..2], card(), "thirds", "hook_points"),
            (&POINTS[..], card(), "halves", "parts"),
            (&POINTS[..], card().input("dataset", "cities"), "thirds", "dataset"),
        ] {
            let error = store.begin(points, (&card, parts), &shape).map(|_| "it began").unwrap_err();
            assert!(matches!(&error, Error::CardMismatch { field: found, .. } if found == field), "{error}");
            assert!(error.to_string().contains(".partial"), "{error}");
        }
    }

    #[test]
    fn what_cannot_fit_is_refused_before_anything_is_computed_and_leaves_nothing() {
        let lab = tempfile::tempdir().unwrap();
        let store = store(lab.path());
        let huge = |_| Shape { n_rows: 1 << 40, width: 1 << 10, stored: Stored::F32 };
        let error = store.begin(&POINTS, (&card(), "thirds"), &huge).map(|_| "it began").unwrap_err();
        assert!(matches!(error, Error::DiskFull { .. }), "{error}");
        let needed = (3u64 << 52).to_string();
        assert!(error.to_string().contains(&needed[..4]) && error.to_string().contains("free"), "{error}");
        assert_eq!(store.files.names().unwrap(), Vec::<String>::new());
    }
}
