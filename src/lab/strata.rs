//! The surplus in strata of the test entities: by rank, tokens, script or group.

use super::extraction::{Done, ExtractionJob, report_locked};
use super::probing::{ProbeReport, ProbingJob, fit_all};
use crate::activations::place_texts;
use crate::artefact::{FolderName, Lock};
use crate::datasets::labels;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::probes::{Baselines, LEAST_ENTITIES, Strata, script_of};
use crate::progress::{Observer, Progress};
use crate::results::{STRATA_FILE, StratumRow, load_rows, save_rows};
use std::path::PathBuf;

/// Strata by the rank of the rarest word.
const RANK: &str = "rank";
/// Strata by the number of tokens.
const TOKENS: &str = "tokens";
/// Strata by the script of the letters.
const SCRIPT: &str = "script";

/// Settings of strata.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StrataSettings {
    /// The properties: `rank`, `tokens`, `script`, or columns; if empty, all three and the dataset's group columns.
    pub by: Vec<String>,
    /// The hook point, by name; by default the reported one.
    pub hook_point: Option<String>,
}

/// The surplus in strata.
#[derive(Debug, Clone)]
pub struct StrataReport {
    /// The rows of all text baselines and targets.
    pub rows: Vec<StratumRow>,
    /// The properties, in the order of the rows.
    pub by: Vec<String>,
    /// The file of the word vectors whose ranks are used.
    pub vectors: Option<String>,
    /// The hook point.
    pub point: HookPoint,
    /// The folder of the rows.
    pub folder: PathBuf,
    /// The origin of the rows: this run or an earlier one.
    pub done: Done,
    /// The probes.
    pub probes: ProbeReport,
}

impl StrataReport {
    /// The last folder of the figures' path: that of the probes, or another one for settings that are not the default.
    pub fn figures(&self) -> FolderName {
        let own = self.folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        self.probes.results.with(own.strip_prefix("strata").unwrap_or_default())
    }
}

/// Scores the surplus in strata of the test entities, unless the lab has these scores; fits missing probes first.
///
/// # Errors
/// [`Error::Invalid`] for a property that the dataset lacks, or settings without a surplus; those of the probes.
pub fn strata(
    job: &ProbingJob,
    settings: &StrataSettings,
    observer: &mut dyn Observer,
) -> Result<StrataReport> {
    let by = settings.by(job)?;
    let divided = job.divided()?;
    let scorer = job.scorer(&divided)?;
    if scorer.baselines == Baselines::Omitted {
        return Err(Error::invalid(
            "--no-baselines",
            "set",
            "text baselines, over which the surplus is computed",
        ));
    }
    if !scorer.has_surplus() {
        let expected = "a split of at most 20 folds, and at least 5 groups to resample";
        return Err(Error::invalid("--split or --cluster", "settings without a surplus", expected));
    }
    let chosen = settings.hook_point.as_ref().map(|name| one_point(name, job)).transpose()?;
    let n_before = divided.dataset.entities.len() - job.extraction.dataset().entities.len();
    let test: Vec<usize> = scorer.test_entities().iter().map(|entity| entity - n_before).collect();
    let strata = by.iter().map(|by| strata_by(by, job, &test)).collect::<Result<Vec<Strata>>>()?;
    let probes = fit_all(job, observer)?;
    let point = chosen.unwrap_or(probes.best.point);
    let folder = job.folder().join(settings.folder()?);
    let card = job.card()?.input("strata_by", by.join(", ")).input("strata_at", point);
    let card = card.input("least_test_entities", LEAST_ENTITIES);
    let vectors = job.vectors.map(|vectors| vectors.name.clone());
    let report = |rows, done| StrataReport { rows, by, vectors, point, folder: folder.clone(), done, probes };
    let card_file = folder.join("card.json");
    if card.has_made(&card_file, &[STRATA_FILE])? {
        return Ok(report(load_rows(&folder.join(STRATA_FILE))?, Done::Before));
    }
    let lock = Lock::take(&folder)?;
    report_locked(lock.is_held(), observer);
    let stage = format!("{}: strata at {point}", job.extraction.dataset().name);
    observer.progress(&Progress::counted(&stage, 0, 2));
    let Some(text) = scorer.text_scores()? else {
        return Err(Error::Internal("no text baselines for a split that has a surplus".into()));
    };
    observer.progress(&Progress::counted(&stage, 1, 2));
    let rows = scorer.strata_scores(&text, point, job.activations(point)?.view(), &strata)?;
    observer.progress(&Progress::counted(&stage, 2, 2));
    save_rows(&folder.join(STRATA_FILE), &rows)?;
    card.with_files(&folder, &[STRATA_FILE])?.save(&card_file)?;
    Ok(report(rows, Done::Now))
}

impl StrataSettings {
    /// The properties; those that were named must suit the dataset.
    fn by(&self, job: &ProbingJob) -> Result<Vec<String>> {
        let dataset = job.extraction.dataset();
        if self.by.is_empty() {
            let rank = job.vectors.map(|_| RANK.to_string());
            let always = [TOKENS, SCRIPT].map(String::from);
            let groups = dataset.group_columns.iter().cloned();
            return Ok(rank.into_iter().chain(always).chain(groups).collect());
        }
        let mut by: Vec<String> = Vec::new();
        for name in self.by.iter().map(|name| name.trim()) {
            match name {
                RANK if job.vectors.is_none() => {
                    let expected = "word vectors, in which words are ranked: --vectors FILE";
                    return Err(Error::invalid("--by", RANK, expected));
                }
                RANK | TOKENS | SCRIPT => {}
                column => drop(labels(dataset, column)?),
            }
            if !by.iter().any(|known| known == name) {
                by.push(name.to_string());
            }
        }
        Ok(by)
    }

    /// The folder's name, which has the settings that are not the default.
    fn folder(&self) -> Result<FolderName> {
        let plain = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        let plain = |words: &str| words.chars().map(plain).collect::<String>();
        let by = match &self.by[..] {
            [] => String::new(),
            some => format!(".by_{}", some.iter().map(|by| plain(by.trim())).collect::<Vec<_>>().join("+")),
        };
        let at = self.hook_point.as_ref().map_or(String::new(), |point| format!(".at_{}", plain(point)));
        FolderName::new("--by", &format!("strata{by}{at}"))
    }
}

/// The only hook point of this name that has probes.
fn one_point(name: &str, job: &ProbingJob) -> Result<HookPoint> {
    match HookPoint::choose(name, &job.extraction.points())?[..] {
        [point] => Ok(point),
        ref several => {
            let found = format!("`{name}`, which means {} hook points", several.len());
            Err(Error::invalid("--hook-point", found, "the name of a single hook point"))
        }
    }
}

/// The strata of the test entities by one property.
fn strata_by(by: &str, job: &ProbingJob, test: &[usize]) -> Result<Strata> {
    let ExtractionJob { model, prompted, recording, .. } = job.extraction;
    let dataset = &prompted.dataset;
    let names = test.iter().map(|&entity| dataset.entities[entity].name.as_str());
    Ok(match by {
        RANK => {
            let rank = |name| job.vectors.and_then(|vectors| vectors.rarest_rank(name));
            Strata::by_rank(&names.map(rank).collect::<Vec<_>>())
        }
        TOKENS => {
            let placed = place_texts(&model.tokenizer, model.spec(), prompted.texts(), recording)?;
            let spans = placed.require_all(dataset)?;
            Strata::by_tokens(&test.iter().map(|&entity| spans[entity].tokens().len()).collect::<Vec<_>>())
        }
        SCRIPT => Strata::by_label(SCRIPT, &names.map(script_of).collect::<Vec<_>>()),
        column => {
            let all = labels(dataset, column)?;
            Strata::by_label(column, &test.iter().map(|&entity| all[entity].clone()).collect::<Vec<_>>())
        }
    })
}
