//! Probes of single hook points, fitted separately, possibly on many machines, and merged later.

use super::probe_set::{PROBES_FILE, ProbeSet, ProbeSetAbout, StoredProbe};
use crate::artefact::Card;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::results::{SCORES_FILE, ScoreRow, load_rows, save_rows};
use std::path::{Path, PathBuf};

/// The files of a part.
const PART_FILES: [&str; 2] = [PROBES_FILE, SCORES_FILE];

/// The probe of one hook point with its scores.
#[derive(Debug, Clone, PartialEq)]
pub struct PartialProbe {
    /// The hook point.
    pub point: HookPoint,
    /// The probe.
    pub probe: StoredProbe,
    /// The score rows of the probe and of the baselines that use a model.
    pub rows: Vec<ScoreRow>,
}

/// The partial probes in a probe folder: `.parts/<hook point>/`, each with its own card.
#[derive(Debug, Clone)]
pub struct PartialProbes {
    folder: PathBuf,
    /// The card of the whole folder; the card of each part adds the hook point.
    card: Card,
}

impl PartialProbes {
    /// The partial probes in `probe_folder`; `card` holds the inputs of the whole folder.
    pub fn new(probe_folder: &Path, card: Card) -> PartialProbes {
        PartialProbes { folder: probe_folder.join(".parts"), card }
    }

    /// The folder that contains all parts.
    pub fn root(&self) -> &Path {
        &self.folder
    }

    /// The folder of one hook point's part.
    pub fn folder(&self, point: HookPoint) -> PathBuf {
        self.folder.join(point.to_string())
    }

    /// The card of a hook point's part.
    fn card(&self, point: HookPoint) -> Card {
        self.card.clone().input("hook_point", point)
    }

    /// Returns true if the part of a hook point exists.
    ///
    /// # Errors
    /// [`Error::CardMismatch`] if it exists with other inputs.
    pub fn is_done(&self, point: HookPoint) -> Result<bool> {
        self.card(point).has_made(&self.folder(point).join("card.json"), &PART_FILES)
    }

    /// Saves a part, its card last.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn save(&self, part: &PartialProbe, about: &ProbeSetAbout) -> Result<()> {
        let folder = self.folder(part.point);
        let mut set = ProbeSet::new(about.clone());
        set.insert(part.point, part.probe.clone());
        set.save(&folder.join(PROBES_FILE))?;
        save_rows(&folder.join(SCORES_FILE), &part.rows)?;
        self.card(part.point).with_files(&folder, &PART_FILES)?.save(&folder.join("card.json"))
    }

    /// Checks that the parts of the given hook points exist, unchanged.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming every hook point without a part; [`Error::CardMismatch`] for a part with other
    /// inputs; [`Error::BadFile`] for a changed one.
    pub fn check(&self, points: &[HookPoint]) -> Result<()> {
        let mut missing = Vec::new();
        for &point in points {
            if !self.is_done(point)? {
                missing.push(point.to_string());
            }
        }
        if !missing.is_empty() {
            let found = format!("no part for {}", missing.join(", "));
            let expected = format!(
                "one part for each of {} hook points; `mappa probe --hook-points NAME` with the same flags makes a part",
                points.len()
            );
            return Err(Error::invalid(format!("parts in {}", self.folder.display()), found, expected));
        }
        Ok(())
    }

    /// Loads the parts of the given hook points.
    ///
    /// # Errors
    /// As [`PartialProbes::check`]; the error of a file, naming it.
    pub fn load(&self, points: &[HookPoint]) -> Result<Vec<PartialProbe>> {
        self.check(points)?;
        points.iter().map(|&point| self.load_one(point)).collect()
    }

    fn load_one(&self, point: HookPoint) -> Result<PartialProbe> {
        let folder = self.folder(point);
        let probe = ProbeSet::load(&folder.join(PROBES_FILE))?.get(point)?.clone();
        Ok(PartialProbe { point, probe, rows: load_rows(&folder.join(SCORES_FILE))? })
    }
}

#[cfg(test)]
mod tests {
    use super::super::probe_set::StreamMoments;
    use super::*;
    use crate::probes::Probe;
    use crate::probes::fixture::noise;
    use crate::results::RIDGE;

    fn about() -> ProbeSetAbout {
        ProbeSetAbout {
            dataset: "years".into(),
            model: "small".into(),
            prompt: "empty".into(),
            targets: vec!["year".into()],
            unit: String::new(),
        }
    }

    fn part(point: HookPoint) -> PartialProbe {
        let (weights, pattern) = (noise([1, 4], 3), noise([1, 4], 4));
        let probe = Probe { bias: weights.column(1).to_owned(), penalty: 1.0 / 3.0, weights };
        let stream = StreamMoments { mean: pattern.row(0).to_owned(), resid_rms: 0.1 + 0.2, pattern };
        let row = ScoreRow {
            dataset: "years".into(),
            model: "small".into(),
            prompt: "empty".into(),
            hook_point: point.to_string(),
            layer: point.label(),
            method: RIDGE.into(),
            split: "test".into(),
            metric: "r2".into(),
            target: "year".into(),
            value: 0.1 + 0.7,
            low: -1e-300,
            high: f64::INFINITY,
        };
        PartialProbe { point, probe: StoredProbe { probe, stream }, rows: vec![row] }
    }

    #[test]
    fn saved_parts_load_unchanged_in_the_requested_order() {
        let folder = tempfile::tempdir().unwrap();
        let parts = PartialProbes::new(folder.path(), Card::new().input("seed", 0));
        let mut points = HookPoint::stream(3);
        for point in &points {
            assert!(!parts.is_done(*point).unwrap());
            parts.save(&part(*point), &about()).unwrap();
            assert!(parts.is_done(*point).unwrap());
        }
        points.reverse();
        let loaded = parts.load(&points).unwrap();
        assert_eq!(loaded, points.iter().map(|p| part(*p)).collect::<Vec<_>>());
    }

    #[test]
    fn all_missing_parts_are_named_and_parts_of_other_inputs_refused() {
        let folder = tempfile::tempdir().unwrap();
        let parts = PartialProbes::new(folder.path(), Card::new().input("seed", 0));
        let points = HookPoint::stream(2);
        parts.save(&part(points[1]), &about()).unwrap();
        let error = parts.load(&points).unwrap_err().to_string();
        for said in ["blocks.0.hook_resid_pre", "blocks.1.hook_resid_post", "3 hook points", "--hook-points"]
        {
            assert!(error.contains(said), "`{said}` is not in: {error}");
        }
        assert!(!error.contains("blocks.0.hook_resid_post"), "{error}");
        let other = PartialProbes::new(folder.path(), Card::new().input("seed", 1));
        let error = other.load(&points).unwrap_err().to_string();
        assert!(error.contains("seed") && error.contains("blocks.0.hook_resid_post"), "{error}");
    }

    #[test]
    fn a_broken_part_is_refused_naming_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let parts = PartialProbes::new(folder.path(), Card::new());
        let point = HookPoint::ResidPost(0);
        parts.save(&part(point), &about()).unwrap();
        for name in [PROBES_FILE, SCORES_FILE] {
            let path = parts.folder(point).join(name);
            let whole = std::fs::read(&path).unwrap();
            std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
            let error = parts.load(&[point]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("blocks.0.hook_resid_post"), "{error}");
            std::fs::write(&path, whole).unwrap();
        }
    }
}
