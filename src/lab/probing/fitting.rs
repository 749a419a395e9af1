//! Fits the probes of a job: all hook points in one run, or some hook points per run, merged later.

use super::super::extraction::{Done, report_locked};
use super::baseline_model::BaselineModel;
use super::job::{Divided, PROBE_FILES, ProbingJob};
use super::model_baselines::layers_at_once;
use super::report::ProbeReport;
use crate::artefact::{Card, Lock};
use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::probes::{Baselines, Edge, Near, PartialProbe, ProbeSet, ScoredProbe, Scorer, TextScores};
use crate::probes::{PROBES_FILE, best_point};
use crate::progress::{Observer, Progress};
use crate::results::{
    PENALTY, PREDICTIONS_FILE, PredictionRow, RIDGE, SCORES_FILE, ScoreRow, TEST, save_rows,
};
use std::path::Path;

/// The card's note for the distance to a training entity within which a test entity counts as leaked.
const NEAR: &str = "near_is_within";

/// Fits and scores probes and baselines at every depth, unless the lab has their scores; extracts missing
/// activations first.
///
/// # Errors
/// Those of the extraction and of the fit.
pub fn fit_all(job: &ProbingJob, observer: &mut dyn Observer) -> Result<ProbeReport> {
    extract(job, observer)?;
    alone(job, observer, |observer| {
        let (divided, mut parts) = (job.divided()?, Vec::new());
        let scorer = job.scorer(&divided)?;
        let text = text_scores(job, &scorer, observer)?;
        let keep = &mut |part| {
            parts.push(part);
            Ok(())
        };
        fit(job, &scorer, &job.extraction.points(), &mut Fitting { keep, text: text.as_ref(), observer })?;
        finish(job, &Fitted { scorer: &scorer, divided: &divided, text: text.as_ref() }, parts)
    })
}

/// Fits the text baselines, unless baselines are omitted; notes the share of names with word vectors.
fn text_scores(job: &ProbingJob, scorer: &Scorer, observer: &mut dyn Observer) -> Result<Option<TextScores>> {
    if scorer.baselines == Baselines::Omitted {
        return Ok(None);
    }
    let dataset = &job.extraction.dataset().name;
    if let Some((vectors, names)) = job.vectors.zip(scorer.vectors.as_ref()) {
        let (found, all) = (names.n_found(), names.rarest.len());
        observer.info(&format!("{dataset}: {found} of {all} names have word vectors in {}", vectors.name));
    }
    observer.progress(&Progress::counted(&format!("{dataset}: text baselines"), 0, 1));
    let text = scorer.text_scores()?;
    if text.is_none() {
        observer.note(&format!(
            "{dataset}: no surplus is computed for a split of so many folds, or for so few groups"
        ));
    }
    Ok(text)
}

/// Merges all parts into the same files, byte for byte, that a single run writes, unless they exist; keeps the parts.
///
/// # Errors
/// [`crate::Error::BadFile`] naming a missing part.
pub fn merge_parts(job: &ProbingJob, observer: &mut dyn Observer) -> Result<ProbeReport> {
    job.check()?;
    if !job.is_done()? {
        job.parts()?.check(&job.extraction.points())?;
    }
    extract(job, observer)?;
    alone(job, observer, |observer| {
        let divided = job.divided()?;
        let scorer = job.scorer(&divided)?;
        let parts = job.parts()?.load(&job.extraction.points())?;
        let text = text_scores(job, &scorer, observer)?;
        finish(job, &Fitted { scorer: &scorer, divided: &divided, text: text.as_ref() }, parts)
    })
}

/// Fits and scores the given hook points and saves each as a part, unless the part exists.
///
/// A part does not depend on the other parts fitted in the same run.
///
/// # Errors
/// As [`fit_all`].
pub fn fit_parts(job: &ProbingJob, points: &[HookPoint], observer: &mut dyn Observer) -> Result<Done> {
    extract(job, observer)?;
    if job.is_done()? {
        return check(job, observer).map(|()| Done::Before);
    }
    let parts = job.parts()?;
    let (mut left, mut locks) = (Vec::new(), Vec::new());
    for &point in points {
        if !parts.is_done(point)? {
            locks.push(lock(&parts.folder(point), observer)?);
            if !parts.is_done(point)? {
                left.push(point);
            }
        }
    }
    if left.is_empty() {
        return check(job, observer).map(|()| Done::Before);
    }
    let divided = job.divided()?;
    let keep = &mut |part| parts.save(&part, &job.about());
    let scorer = job.scorer(&divided)?;
    let text = text_scores(job, &scorer, observer)?;
    fit(job, &scorer, &left, &mut Fitting { keep, text: text.as_ref(), observer })?;
    Ok(Done::Now)
}

/// Checks the settings, and extracts all activations, including those of a separate training dataset.
fn extract(job: &ProbingJob, observer: &mut dyn Observer) -> Result<()> {
    job.check()?;
    if let Some(train) = job.train {
        train.provide_stream(observer)?;
    }
    job.extraction.provide_stream(observer).map(drop)
}

/// Compares the activations of finished probes with their hashes, since no other step reads these activations again.
fn check(job: &ProbingJob, observer: &mut dyn Observer) -> Result<()> {
    let mut all = job.train.into_iter().chain([job.extraction]);
    all.try_for_each(|extraction| extraction.check(&extraction.points(), observer))
}

/// The rows computed by a run.
struct Computed {
    scores: Vec<ScoreRow>,
    predictions: Vec<PredictionRow>,
}

/// Fills the probe folder under a lock, unless it is complete.
fn alone(
    job: &ProbingJob,
    observer: &mut dyn Observer,
    fill: impl FnOnce(&mut dyn Observer) -> Result<Computed>,
) -> Result<ProbeReport> {
    if job.is_done()? {
        return found(job, observer);
    }
    let _lock = lock(&job.folder(), observer)?;
    // The process that held the lock before may have filled the folder.
    if job.is_done()? {
        return found(job, observer);
    }
    let Computed { scores, predictions } = fill(observer)?;
    ProbeReport::new(job, Done::Now, scores, Some(predictions))
}

/// A running fit: the receiver of each hook point's result, the text baselines, and the observer.
struct Fitting<'a> {
    keep: &'a mut dyn FnMut(PartialProbe) -> Result<()>,
    text: Option<&'a TextScores>,
    observer: &'a mut dyn Observer,
}

/// The scorer, the split and the text baselines, which do not depend on a hook point.
struct Fitted<'a> {
    scorer: &'a Scorer<'a>,
    divided: &'a Divided<'a>,
    text: Option<&'a TextScores>,
}

/// Fits and scores as many hook points at once as fit into memory: first on the model baselines, then on the model.
fn fit(job: &ProbingJob, scorer: &Scorer, points: &[HookPoint], fitting: &mut Fitting) -> Result<()> {
    let stage = format!("{}: probes", job.extraction.dataset().name);
    let baselines: &[BaselineModel] =
        if scorer.baselines == Baselines::Included { &BaselineModel::ALL } else { &[] };
    // Holds only as many layers of a model baseline as fit into memory.
    for some in points.chunks(layers_at_once(job)) {
        let mut beside = vec![Vec::new(); some.len()];
        for baseline in baselines {
            let arrays = baseline.activations(job, some, fitting.observer)?;
            let stage = format!("{stage} of {}", baseline.words());
            for (at, (rows, point)) in beside.iter_mut().zip(some).enumerate() {
                show(&stage, at, some.len(), fitting.observer);
                rows.extend(scorer.other_model(baseline.name(), *point, arrays[point].view())?.rows);
            }
            show(&stage, some.len(), some.len(), fitting.observer);
        }
        for (at, (&point, beside)) in some.iter().zip(beside).enumerate() {
            show(&stage, at, some.len(), fitting.observer);
            let activations = job.activations(point)?;
            let scored = scorer.fit_and_score(point, activations.view())?;
            let surplus = match fitting.text {
                Some(text) => scorer.surplus(text, point, activations.view())?,
                None => Vec::new(),
            };
            report_edge(point, &scored, fitting.observer);
            let probe = scored.stored();
            (fitting.keep)(PartialProbe { point, probe, rows: [scored.rows, surplus, beside].concat() })?;
        }
        show(&stage, some.len(), some.len(), fitting.observer);
    }
    Ok(())
}

fn show(stage: &str, done: usize, total: usize, observer: &mut dyn Observer) {
    let (done, total) = (done as u64, total as u64);
    observer.progress(&Progress::counted(stage, done, total));
}

/// Adds the baselines without a model and the predictions at the best layer, and writes all files, the card last.
fn finish(job: &ProbingJob, fitted: &Fitted, parts: Vec<PartialProbe>) -> Result<Computed> {
    let Fitted { scorer, divided, text } = *fitted;
    let folder = job.folder();
    let mut set = ProbeSet::new(job.about());
    let mut scores = Vec::new();
    for part in parts {
        set.insert(part.point, part.probe);
        scores.extend(part.rows);
    }
    let predictions = predictions(job, scorer, &set, &scores)?;
    let nested = scorer.nested(&scores, text, &mut |point| Ok(job.activations(point)?.to_owned()))?;
    scores.extend(nested);
    if scorer.baselines == Baselines::Included {
        scores.extend(scorer.baselines_without_model()?);
        scores.extend(text.into_iter().flat_map(|text| text.rows.clone()));
    }
    set.save(&folder.join(PROBES_FILE))?;
    save_rows(&folder.join(PREDICTIONS_FILE), &predictions)?;
    save_rows(&folder.join(SCORES_FILE), &scores)?;
    let card = with_leakage(job, job.card()?, divided);
    card.with_files(&folder, &PROBE_FILES)?.save(&folder.join("card.json"))?;
    Ok(Computed { scores, predictions })
}

/// The report of an earlier run. If `leak_within` has changed since then, the leaked entities are counted again and the
/// card is updated.
fn found(job: &ProbingJob, observer: &mut dyn Observer) -> Result<ProbeReport> {
    check(job, observer)?;
    let path = job.folder().join("card.json");
    if let Some(card) = Card::load(&path)? {
        let now = with_leakage(job, card.clone(), &job.divided()?);
        if now.notes.get(NEAR) != card.notes.get(NEAR) {
            now.save(&path)?;
        }
    }
    ProbeReport::load(job)
}

/// Adds the counts of entities that leak from training to test.
fn with_leakage(job: &ProbingJob, card: Card, divided: &Divided) -> Card {
    let leakage = divided.leakage(job.settings.leak_within);
    let card = card
        .note("n_folds", divided.split.folds.len())
        .note("n_test", leakage.n_test)
        .note("n_test_with_name_of_train", leakage.n_same_name);
    match leakage.near {
        Some(Near { n, within, unit }) => {
            card.note("n_test_near_train", n).note(NEAR, format!("{within} {unit}").trim_end())
        }
        None => card,
    }
}

/// The predictions at the best layer, which is chosen without the test rows.
fn predictions(
    job: &ProbingJob,
    scorer: &Scorer,
    set: &ProbeSet,
    rows: &[ScoreRow],
) -> Result<Vec<PredictionRow>> {
    let point = best_point(rows)?;
    let predicted = scorer.predictions(&set.get(point)?.probe, job.activations(point)?.view())?;
    let mut rows = scorer.prediction_rows(point, predicted.view());
    if job.train.is_some() {
        // With separate training data, only test rows belong to this dataset and prompt.
        rows.retain(|row| row.split == TEST);
    }
    Ok(rows)
}

/// Reports the chosen penalty if it is at an edge of its grid, or if the grid grew.
fn report_edge(point: HookPoint, scored: &ScoredProbe, observer: &mut dyn Observer) {
    let penalty = scored.rows.iter().find(|row| row.method == RIDGE && row.metric == PENALTY);
    let Some(row) = penalty.filter(|_| scored.edge != Edge::Inside || scored.n_grown > 0) else { return };
    let grown = match scored.n_grown {
        0 => String::new(),
        1 => ", after the grid grew by 1 decade".into(),
        n => format!(", after the grid grew by {n} decades"),
    };
    let edge = match scored.edge {
        Edge::Inside => "",
        Edge::Lowest => ", the lowest: a lower penalty might be better",
        Edge::Highest => ", the highest: the activations may not contain the target",
    };
    observer.info(&format!(
        "{point}: λ {:.1e}{edge}; tried {:.1e} to {:.1e}{grown}",
        row.value, row.low, row.high
    ));
}

/// Locks a folder against other processes; adds a note if the file system has no locks.
fn lock(folder: &Path, observer: &mut dyn Observer) -> Result<Lock> {
    let lock = Lock::take(folder)?;
    report_locked(lock.is_held(), observer);
    Ok(lock)
}
