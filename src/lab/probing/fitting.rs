//! The probes of a job: every hook point in one run, or some of them a run, and merged.

use super::super::extraction::{Done, report_locked};
use super::baseline_model::BaselineModel;
use super::job::{Divided, ProbingJob};
use super::model_baselines::layers_at_once;
use super::report::ProbeReport;
use crate::activations::Lock;
use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::probes::{Baselines, Edge, Near, PartialProbe, ProbeSet, ScoredProbe, Scorer};
use crate::probes::{PROBES_FILE, best_point};
use crate::progress::{Observer, Progress, ProgressUnit};
use crate::results::{PREDICTIONS_FILE, PredictionRow, RIDGE, SCORES_FILE, ScoreRow, TEST, save_rows};
use std::path::Path;

/// Fits and scores probes and baselines at every depth, unless their scores are there; extracts first.
///
/// # Errors
/// Those of the extraction and of the fit.
pub fn fit_all(job: &ProbingJob, observer: &mut dyn Observer) -> Result<ProbeReport> {
    extract(job, observer)?;
    alone(job, observer, |observer| {
        let (divided, mut parts) = (job.divided()?, Vec::new());
        let scorer = job.scorer(&divided)?;
        let keep = &mut |part| {
            parts.push(part);
            Ok(())
        };
        fit(job, &scorer, &job.extraction.points(), &mut Fitting { keep, observer })?;
        finish(job, &scorer, &divided, parts)
    })
}

/// Merges all parts into the files that one run would write, byte for byte, unless they are there; the parts stay.
///
/// # Errors
/// [`crate::Error::BadFile`] naming a part that is missing.
pub fn merge_parts(job: &ProbingJob, observer: &mut dyn Observer) -> Result<ProbeReport> {
    extract(job, observer)?;
    alone(job, observer, |_| {
        let divided = job.divided()?;
        finish(job, &job.scorer(&divided)?, &divided, job.parts()?.load(&job.extraction.points())?)
    })
}

/// Fits and scores some of the hook points and saves each as a part, unless it is there.
///
/// A part does not depend on the others that are fitted with it.
///
/// # Errors
/// As [`fit_all`].
pub fn fit_parts(job: &ProbingJob, points: &[HookPoint], observer: &mut dyn Observer) -> Result<Done> {
    extract(job, observer)?;
    if job.is_done()? {
        return Ok(Done::Before);
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
        return Ok(Done::Before);
    }
    let divided = job.divided()?;
    let keep = &mut |part| parts.save(&part, &job.about());
    fit(job, &job.scorer(&divided)?, &left, &mut Fitting { keep, observer })?;
    Ok(Done::Now)
}

/// Extracts the activations, those to train on included.
fn extract(job: &ProbingJob, observer: &mut dyn Observer) -> Result<()> {
    if let Some(train) = job.train {
        train.extract(observer)?;
    }
    job.extraction.extract(observer).map(drop)
}

/// The rows that a run has computed.
struct Computed {
    scores: Vec<ScoreRow>,
    predictions: Vec<PredictionRow>,
}

/// Fills the probe folder while no other process does, unless it is filled already.
fn alone(
    job: &ProbingJob,
    observer: &mut dyn Observer,
    fill: impl FnOnce(&mut dyn Observer) -> Result<Computed>,
) -> Result<ProbeReport> {
    if job.is_done()? {
        return ProbeReport::load(job);
    }
    let _lock = lock(&job.folder(), observer)?;
    // The process that had the lock before may have filled it.
    if job.is_done()? {
        return ProbeReport::load(job);
    }
    let Computed { scores, predictions } = fill(observer)?;
    ProbeReport::new(job, Done::Now, scores, Some(predictions))
}

/// A fit under way: where each hook point goes, and the observer.
struct Fitting<'a> {
    keep: &'a mut dyn FnMut(PartialProbe) -> Result<()>,
    observer: &'a mut dyn Observer,
}

/// Fits and scores hook points one by one, and the same on the model baselines.
fn fit(job: &ProbingJob, scorer: &Scorer, points: &[HookPoint], fitting: &mut Fitting) -> Result<()> {
    let stage = format!("{}: probes", job.extraction.dataset().name);
    let baselines: &[BaselineModel] =
        if scorer.baselines == Baselines::Included { &BaselineModel::ALL } else { &[] };
    // No more layers of a model baseline are held than fit into memory.
    for some in points.chunks(layers_at_once(job)) {
        let mut beside = vec![Vec::new(); some.len()];
        for baseline in baselines {
            let arrays = baseline.activations(job, some, fitting.observer)?;
            let stage = format!("{stage} of {}", baseline.name().replace('_', " "));
            for (at, (rows, point)) in beside.iter_mut().zip(some).enumerate() {
                show(&stage, at, some.len(), fitting.observer);
                rows.extend(scorer.other_model(baseline.name(), *point, arrays[point].view())?.rows);
            }
            show(&stage, some.len(), some.len(), fitting.observer);
        }
        for (at, (&point, beside)) in some.iter().zip(beside).enumerate() {
            show(&stage, at, some.len(), fitting.observer);
            let scored = scorer.fit_and_score(point, job.activations(point)?.view())?;
            report_edge(point, &scored, fitting.observer);
            let probe = scored.stored();
            (fitting.keep)(PartialProbe { point, probe, rows: [scored.rows, beside].concat() })?;
        }
        show(&stage, some.len(), some.len(), fitting.observer);
    }
    Ok(())
}

fn show(stage: &str, done: usize, total: usize, observer: &mut dyn Observer) {
    let (done, total) = (done as u64, total as u64);
    observer.progress(&Progress { stage, done, total, unit: ProgressUnit::Count, detail: "" });
}

/// Adds the baselines without a model and the predictions at the best layer, and writes all; the card last.
fn finish(
    job: &ProbingJob,
    scorer: &Scorer,
    divided: &Divided,
    parts: Vec<PartialProbe>,
) -> Result<Computed> {
    let folder = job.folder();
    let mut set = ProbeSet::new(job.about());
    let mut scores = Vec::new();
    for part in parts {
        set.insert(part.point, part.probe);
        scores.extend(part.rows);
    }
    let predictions = predictions(job, scorer, &set, &scores)?;
    if scorer.baselines == Baselines::Included {
        scores.extend(scorer.baselines_without_model()?);
    }
    set.save(&folder.join(PROBES_FILE))?;
    save_rows(&folder.join(PREDICTIONS_FILE), &predictions)?;
    save_rows(&folder.join(SCORES_FILE), &scores)?;
    let leakage = divided.leakage(job.settings.leak_within);
    let card = job
        .card()?
        .note("n_folds", divided.split.folds.len())
        .note("n_test", leakage.n_test)
        .note("n_test_with_name_of_train", leakage.n_same_name);
    let card = match leakage.near {
        Some(Near { n, within, unit }) => {
            card.note("n_test_near_train", n).note("near_is_within", format!("{within} {unit}").trim_end())
        }
        None => card,
    };
    card.save(&folder.join("card.json"))?;
    Ok(Computed { scores, predictions })
}

/// The predictions at the layer to draw, which is chosen without a look at the test rows.
fn predictions(
    job: &ProbingJob,
    scorer: &Scorer,
    set: &ProbeSet,
    rows: &[ScoreRow],
) -> Result<Vec<PredictionRow>> {
    let point = best_point(rows)?;
    let readings = scorer.predictions(&set.get(point)?.probe, job.activations(point)?.view())?;
    let mut rows = scorer.prediction_rows(point, readings.view());
    if job.train.is_some() {
        // The training entities belong to another dataset or prompt.
        rows.retain(|row| row.split == TEST);
    }
    Ok(rows)
}

/// Reports a penalty at the end of its grid.
fn report_edge(point: HookPoint, scored: &ScoredProbe, observer: &mut dyn Observer) {
    let penalty = scored.rows.iter().find(|row| row.method == RIDGE && row.metric == "penalty");
    let Some(row) = penalty.filter(|_| scored.edge != Edge::Inside || scored.n_grown > 0) else { return };
    let grown = match scored.n_grown {
        0 => String::new(),
        n => format!(", {n} decades more than at first"),
    };
    let edge = match scored.edge {
        Edge::Inside => "",
        Edge::Lowest => ", the lowest: less shrinkage might do better",
        Edge::Highest => ", the highest: there may be nothing of the target here",
    };
    observer.info(&format!(
        "{point}: λ {:.1e}{edge}; tried {:.1e} to {:.1e}{grown}",
        row.value, row.low, row.high
    ));
}

/// Keeps other processes out of a folder; notes a file system where that cannot be done.
fn lock(folder: &Path, observer: &mut dyn Observer) -> Result<Lock> {
    let lock = Lock::take(folder)?;
    report_locked(lock.is_held(), observer);
    Ok(lock)
}
