//! The journal of an unfinished store: one line per part that is on the disk.

use super::files::sync_folder;
use crate::artefact::{self, write_error};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The parts that are on the disk, each with the checksum of its rows.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    lines: BTreeMap<usize, String>,
}

impl Journal {
    /// Opens the journal; incomplete lines are dropped, and their parts are computed again.
    pub(super) fn open(path: &Path) -> Result<Journal> {
        let text = match artefact::is_there(path)? {
            true => String::from_utf8_lossy(&artefact::load_saved(path)?).into_owned(),
            false => String::new(),
        };
        let lines: BTreeMap<usize, String> = text.split_inclusive('\n').filter_map(parse).collect();
        let opened =
            || OpenOptions::new().append(true).create(true).open(path).map_err(Error::io("open", path));
        let mut journal = Journal { path: path.to_path_buf(), file: opened()?, lines };
        if journal.text().len() != text.len() {
            journal.rewrite()?;
            journal.file = opened()?;
        }
        Ok(journal)
    }

    /// The parts and their checksums.
    pub(super) fn lines(&self) -> &BTreeMap<usize, String> {
        &self.lines
    }

    /// Adds a part; its line is on the disk when this returns.
    pub(super) fn append(&mut self, part: usize, checksum: &str) -> Result<()> {
        let line = line(part, checksum);
        let mut write = || {
            self.file.write_all(line.as_bytes())?;
            self.file.sync_data()
        };
        write().map_err(write_error("write", &self.path, line.len() as u64))?;
        self.lines.insert(part, checksum.to_string());
        Ok(())
    }

    /// Removes parts, so that they are computed again.
    pub(super) fn remove(&mut self, parts: &[usize]) -> Result<()> {
        if parts.is_empty() {
            return Ok(());
        }
        self.lines.retain(|part, _| !parts.contains(part));
        self.rewrite()?;
        let opened = OpenOptions::new().append(true).open(&self.path);
        self.file = opened.map_err(Error::io("open", &self.path))?;
        Ok(())
    }

    fn text(&self) -> String {
        self.lines.iter().map(|(part, checksum)| line(*part, checksum)).collect()
    }

    fn rewrite(&self) -> Result<()> {
        artefact::save_bytes(&self.path, self.text().as_bytes())?;
        sync_folder(self.path.parent().unwrap_or(Path::new(".")))
    }
}

fn line(part: usize, checksum: &str) -> String {
    format!("{part},{checksum}\n")
}

fn parse(line: &str) -> Option<(usize, String)> {
    let (part, checksum) = line.strip_suffix('\n')?.split_once(',')?;
    let is_whole = checksum.len() == 64 && checksum.bytes().all(|b| b.is_ascii_hexdigit());
    is_whole.then(|| Some((part.parse().ok()?, checksum.to_string())))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    #[test]
    fn a_line_cut_anywhere_is_dropped_and_the_next_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.csv");
        let sums: Vec<String> = (0..4).map(|i| artefact::hash(&[i])).collect();
        let mut journal = Journal::open(&path).unwrap();
        for (part, sum) in sums.iter().enumerate().take(3) {
            journal.append(part, sum).unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        let two = 2 * line(0, &sums[0]).len();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let mut journal = Journal::open(&path).unwrap();
            let kept: Vec<usize> = journal.lines().keys().copied().collect();
            assert_eq!(kept, (0..length * 2 / two).collect::<Vec<_>>());
            journal.append(3, &sums[3]).unwrap();
            assert_eq!(Journal::open(&path).unwrap().lines()[&3], sums[3]);
            assert_eq!(Journal::open(&path).unwrap().lines().len(), kept.len() + 1);
        }
    }

    #[test]
    fn removed_parts_stay_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.csv");
        let mut journal = Journal::open(&path).unwrap();
        (0..5).for_each(|part| journal.append(part, &artefact::hash(&[9])).unwrap());
        journal.remove(&[1, 3]).unwrap();
        journal.append(7, &artefact::hash(&[8])).unwrap();
        let kept: Vec<usize> = Journal::open(&path).unwrap().lines().keys().copied().collect();
        assert_eq!(kept, [0, 2, 4, 7]);
    }

    /// A step in the life of a journal.
    #[derive(Debug, Clone)]
    enum Step {
        Append(usize),
        Remove(Vec<usize>),
        Reopen,
        /// The end of the file is lost in a crash: this share of its bytes remains.
        Cut(f64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let part = 0_usize..9;
        let step = prop_oneof![
            4 => part.clone().prop_map(Step::Append),
            1 => proptest::collection::vec(part, 0..4).prop_map(Step::Remove),
            1 => Just(Step::Reopen),
            1 => (0.0..1.0).prop_map(Step::Cut),
        ];
        proptest::collection::vec(step, 0..24)
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 64,
            rng_seed: RngSeed::Fixed(20),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn after_any_steps_it_lists_what_was_written_and_not_lost(steps in steps()) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal.csv");
            let mut journal = Journal::open(&path).unwrap();
            let mut expected = BTreeMap::new();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Append(part) => {
                        let sum = artefact::hash(&[number as u8]);
                        journal.append(part, &sum).unwrap();
                        expected.insert(part, sum);
                    }
                    Step::Remove(parts) => {
                        journal.remove(&parts).unwrap();
                        expected.retain(|part, _| !parts.contains(part));
                    }
                    Step::Reopen => journal = Journal::open(&path).unwrap(),
                    Step::Cut(share) => {
                        let bytes = std::fs::read(&path).unwrap();
                        let kept = &bytes[..(bytes.len() as f64 * share) as usize];
                        std::fs::write(&path, kept).unwrap();
                        let whole = String::from_utf8_lossy(kept).into_owned();
                        expected = whole.split_inclusive('\n').filter_map(parse).collect();
                        journal = Journal::open(&path).unwrap();
                    }
                }
                prop_assert_eq!(journal.lines(), &expected);
                // Not `Journal::open`, which may replace the file under this journal: a store has one writer.
                let on_disk = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
                let on_disk: BTreeMap<usize, String> = on_disk.split_inclusive('\n').filter_map(parse).collect();
                prop_assert_eq!(&on_disk, &expected);
            }
        }
    }
}
