//! Parts of a probe folder: hook points that were fitted apart, perhaps on many machines, until they are merged.

use super::store::{ProbeSet, ProbeSetAbout, StoredProbe};
use crate::artefact::Card;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::results::{ScoreRow, load_rows, save_rows};
use std::path::{Path, PathBuf};

/// What one hook point adds to a probe folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The hook point.
    pub point: HookPoint,
    /// Its probe.
    pub probe: StoredProbe,
    /// Its rows of scores.csv: the probe, and the baselines that read a model.
    pub rows: Vec<ScoreRow>,
}

/// The parts beside a probe folder's files: `.parts/<hook point>/`, each with a card of its own.
#[derive(Debug, Clone)]
pub struct Parts {
    folder: PathBuf,
    /// What the files of the whole folder are made from; a part's card says the hook point as well.
    card: Card,
}

impl Parts {
    /// The parts of a probe folder that are made from what the folder's card says.
    pub fn new(probe_folder: &Path, card: Card) -> Parts {
        Parts { folder: probe_folder.join(".parts"), card }
    }

    /// Where the parts lie.
    pub fn root(&self) -> &Path {
        &self.folder
    }

    /// Where the part of a hook point lies.
    pub fn folder(&self, point: HookPoint) -> PathBuf {
        self.folder.join(point.to_string())
    }

    fn card(&self, point: HookPoint) -> Card {
        self.card.clone().input("hook_point", point)
    }

    /// Whether a part was made from the same inputs.
    ///
    /// # Errors
    /// [`Error::CardMismatch`] if one made from other inputs lies there.
    pub fn is_done(&self, point: HookPoint) -> Result<bool> {
        self.card(point).is_done(&self.folder(point).join("card.json"))
    }

    /// Writes a part, its card last.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn save(&self, part: &Part, about: &ProbeSetAbout) -> Result<()> {
        let folder = self.folder(part.point);
        let mut set = ProbeSet::new(about.clone());
        set.insert(part.point, part.probe.clone());
        set.save(&folder.join("probes.safetensors"))?;
        save_rows(&folder.join("scores.csv"), &part.rows)?;
        self.card(part.point).save(&folder.join("card.json"))
    }

    /// Reads the parts of some hook points.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming every hook point that has no part; [`Error::CardMismatch`] if one was made
    /// from other inputs; what is wrong with a file, by its name.
    pub fn load(&self, points: &[HookPoint]) -> Result<Vec<Part>> {
        let mut missing = Vec::new();
        for &point in points {
            if !self.is_done(point)? {
                missing.push(point.to_string());
            }
        }
        if !missing.is_empty() {
            let found = format!("none for {}", missing.join(", "));
            let expected = format!(
                "one for each of {} hook points; `mappa probe --hook-points NAME` makes one",
                points.len()
            );
            return Err(Error::invalid(format!("parts in {}", self.folder.display()), found, expected));
        }
        points.iter().map(|&point| self.load_one(point)).collect()
    }

    fn load_one(&self, point: HookPoint) -> Result<Part> {
        let folder = self.folder(point);
        let probe = ProbeSet::load(&folder.join("probes.safetensors"))?.get(point)?.clone();
        Ok(Part { point, probe, rows: load_rows(&folder.join("scores.csv"))? })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::noise;
    use super::super::{Probe, StreamMoments};
    use super::*;
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

    fn part(point: HookPoint) -> Part {
        let (weights, pattern) = (noise((1, 4), 3), noise((1, 4), 4));
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
        Part { point, probe: StoredProbe { probe, stream }, rows: vec![row] }
    }

    #[test]
    fn parts_come_back_to_the_bit_in_the_order_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let parts = Parts::new(folder.path(), Card::new().input("seed", 0));
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
    fn missing_parts_are_all_named_and_parts_of_other_inputs_refused() {
        let folder = tempfile::tempdir().unwrap();
        let parts = Parts::new(folder.path(), Card::new().input("seed", 0));
        let points = HookPoint::stream(2);
        parts.save(&part(points[1]), &about()).unwrap();
        let error = parts.load(&points).unwrap_err().to_string();
        for said in ["blocks.0.hook_resid_pre", "blocks.1.hook_resid_post", "3 hook points", "--hook-points"]
        {
            assert!(error.contains(said), "`{said}` is not in: {error}");
        }
        assert!(!error.contains("blocks.0.hook_resid_post"), "{error}");
        let other = Parts::new(folder.path(), Card::new().input("seed", 1));
        let error = other.load(&points).unwrap_err().to_string();
        assert!(error.contains("seed") && error.contains("blocks.0.hook_resid_post"), "{error}");
    }

    #[test]
    fn a_broken_part_is_named_by_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let parts = Parts::new(folder.path(), Card::new());
        let point = HookPoint::ResidPost(0);
        parts.save(&part(point), &about()).unwrap();
        for name in ["probes.safetensors", "scores.csv"] {
            let path = parts.folder(point).join(name);
            let whole = std::fs::read(&path).unwrap();
            std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
            let error = parts.load(&[point]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("blocks.0.hook_resid_post"), "{error}");
            std::fs::write(&path, whole).unwrap();
        }
    }
}
