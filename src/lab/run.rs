//! Runs an experiment from beginning to end: activations, probes, figures, sweeps; reuses completed stages.

use super::datasets::{Pulled, find};
use super::drawn::Drawn;
use super::experiment::Experiment;
use super::extraction::{Done, ExtractionSettings, refuse_shared};
use super::figures::{Canvas, draw_probes, draw_sweep, is_drawn, saved_beside};
use super::folders::Lab;
use super::next_step::{Given, NextStep};
use super::probing::{PreparedRequest, ProbeReport, ProbeRequest, ProbingJob};
use super::saved_probes::SavedProbes;
use super::suggest;
use super::sweeps::{PlannedSweep, SweepJob, SweepReport};
use crate::artefact::FolderName;
use crate::datasets::{Dataset, TargetKind};
use crate::error::Result;
use crate::figures::dose_response;
use crate::hook_point::HookPoint;
use crate::model::Model;
use crate::progress::Observer;
use crate::results::SweepRow;
use crate::shown::shown;
use std::collections::BTreeSet;

/// The results of an experiment.
pub struct Report {
    /// The model's name in folders.
    pub model: FolderName,
    /// The flags that open the model again.
    pub model_flags: String,
    /// The number of the model's blocks.
    pub n_layers: usize,
    /// True if the model can generate text.
    pub generates: bool,
    /// The downloaded datasets.
    pub pulled: Vec<Pulled>,
    /// One entry per dataset and prompt.
    pub probes: Vec<Labelled>,
    /// The sweeps.
    pub sweeps: Vec<SweepReport>,
    /// The next steps: one for places and one for years, if the model generates text and has such probes.
    pub next_steps: Vec<NextStep>,
    /// The number of stages computed by this run.
    pub n_new: usize,
    /// The number of figures drawn by this run, because they were missing or differed.
    pub n_drawn: usize,
}

/// Probes with their prompt, as the experiment writes it.
pub struct Labelled {
    /// The prompt.
    pub asked: String,
    /// The probes.
    pub probes: ProbeReport,
}

impl Report {
    /// The probes with their labels: the dataset's name, followed by the prompt if the dataset has several.
    pub fn labels(&self) -> Vec<(String, &ProbeReport)> {
        let of_dataset = |name: &str| self.probes.iter().filter(|one| one.probes.dataset == name).count();
        let label = |one: &Labelled| match of_dataset(&one.probes.dataset) {
            1 => one.probes.dataset.to_string(),
            _ => format!("{}, {}", one.probes.dataset, shown(&one.asked)),
        };
        self.probes.iter().map(|one| (label(one), &one.probes)).collect()
    }
}

/// A dataset with one of its prompts.
struct Task {
    request: ProbeRequest,
    /// The prompt, as the experiment writes it.
    asked: String,
    dataset: Dataset,
    /// The dataset, as the experiment writes it.
    given: String,
}

/// Lists the tasks of an experiment and checks them, before any weights are read.
fn tasks(lab: &Lab, experiment: &Experiment, observer: &mut dyn Observer) -> Result<Vec<Task>> {
    let mut tasks = Vec::new();
    for name in &experiment.datasets {
        let dataset = find(lab, name, observer)?;
        for asked in experiment.prompts_of(name) {
            let prompting = experiment.prompting(&asked);
            prompting.prompt(&dataset)?;
            experiment.probing.check_on(&dataset)?;
            let extraction = ExtractionSettings { prompting, ..experiment.extraction.clone() };
            let request = ProbeRequest { extraction, probing: experiment.probing.clone() };
            tasks.push(Task { request, asked, dataset: dataset.clone(), given: name.clone() });
        }
    }
    Ok(tasks)
}

/// A task with its prompted datasets.
struct PreparedTask {
    task: Task,
    prepared: PreparedRequest,
}

/// Prepares all tasks and checks them, before the first forward pass.
fn prepared(
    lab: &Lab,
    model: &Model,
    tasks: Vec<Task>,
    observer: &mut dyn Observer,
) -> Result<Vec<PreparedTask>> {
    let mut all = Vec::new();
    for task in tasks {
        let prepared = task.request.prepare(lab, model, task.dataset.clone(), observer)?;
        all.push(PreparedTask { task, prepared });
    }
    let jobs: Vec<ProbingJob> = (all.iter())
        .map(|PreparedTask { task, prepared }| prepared.job(lab, model, &task.request.probing))
        .collect();
    refuse_shared(jobs.iter().flat_map(|job| job.train.into_iter().chain([job.extraction])))?;
    jobs.iter().try_for_each(ProbingJob::check)?;
    Ok(all)
}

/// Runs all stages of an experiment.
///
/// # Errors
/// Those of its stages; completed stages are kept.
pub(super) fn run(lab: &Lab, experiment: &Experiment, observer: &mut dyn Observer) -> Result<Report> {
    experiment.probing.check()?;
    experiment.extraction.one_row()?;
    let pulled = experiment.pull.map_or(Ok(Vec::new()), |source| source.pull(lab, observer))?;
    let tasks = tasks(lab, experiment, observer)?;
    let model = experiment.model.open(lab, observer)?;
    let model = experiment.extraction.prompting.set_up(model, observer)?;
    let sweeps = planned(lab, experiment, &model, observer)?;
    let prepared = prepared(lab, &model, tasks, observer)?;
    let mut report = Report {
        model: model.name.clone(),
        model_flags: suggest::of_model(&model),
        n_layers: model.spec().n_layers,
        generates: model.transformer.generates(),
        pulled,
        probes: Vec::new(),
        sweeps: Vec::new(),
        next_steps: Vec::new(),
        n_new: 0,
        n_drawn: 0,
    };
    let mut given = Vec::new();
    for PreparedTask { task, prepared } in prepared {
        let probes = task.request.probe_prepared(lab, &prepared, &model, observer)?;
        given.push((task.dataset, task.given));
        report.n_new += usize::from(probes.done == Done::Now);
        report.probes.push(Labelled { asked: task.asked, probes });
    }
    draw_all(lab, &mut report, observer)?;
    steer(lab, sweeps, &mut Steering { model: &model, report: &mut report }, observer)?;
    report.next_steps = next_steps(lab, &model, &report, &given);
    Ok(report)
}

/// One step for places and one for years, with the first probes that predict them, otherwise the first probes.
fn next_steps(lab: &Lab, model: &Model, report: &Report, given: &[(Dataset, String)]) -> Vec<NextStep> {
    let of_kind = |kind: TargetKind| {
        let mut of_kind = report.probes.iter().zip(given).filter(|(one, _)| one.probes.kind == kind);
        let first = of_kind.clone().next();
        let (one, (dataset, name)) = of_kind.find(|(one, _)| one.probes.predicts()).or(first)?;
        Some(NextStep::after(lab, model, &one.probes, &Given { dataset, name }))
    };
    match report.generates {
        true => [TargetKind::Place, TargetKind::Year].into_iter().filter_map(of_kind).collect(),
        false => Vec::new(),
    }
}

/// Draws the figures of each prompt with all its datasets.
///
/// Every run does this; a figure is skipped only if its files already show exactly these rows and datasets.
fn draw_all(lab: &Lab, report: &mut Report, observer: &mut dyn Observer) -> Result<()> {
    let folders: BTreeSet<&FolderName> = report.probes.iter().map(|one| &one.probes.results).collect();
    for results in folders {
        let of_prompt = report.probes.iter().filter(|one| one.probes.results == *results);
        let drawn = of_prompt.clone().map(|one| one.probes.drawn()).collect::<Result<Vec<Drawn>>>()?;
        let beside = of_prompt.clone().next().map(|one| saved_beside(&one.probes.folder)).unwrap_or_default();
        let mut canvas = Canvas::new(lab.figures(&report.model, results), observer).with_beside(beside);
        draw_probes(&report.model, &drawn, &mut canvas)?;
        report.n_drawn += canvas.n_drawn();
    }
    Ok(())
}

/// A model to steer, and the report that receives its sweeps.
struct Steering<'a> {
    model: &'a Model,
    report: &'a mut Report,
}

/// Checks the experiment's sweeps early, because they may begin only after hours of other work.
fn planned(
    lab: &Lab,
    experiment: &Experiment,
    model: &Model,
    observer: &mut dyn Observer,
) -> Result<Vec<PlannedSweep>> {
    if !model.transformer.generates() && !experiment.sweeps.is_empty() {
        let reason = "it is bidirectional or has no language-model head, so it cannot generate text";
        let n = experiment.sweeps.len();
        observer.note(&format!("the {n} sweeps are left out for {}: {reason}", model.name));
        return Ok(Vec::new());
    }
    let mut sweeps = Vec::new();
    for settings in &experiment.sweeps {
        let dataset = find(lab, &settings.dataset, observer)?;
        sweeps.push(PlannedSweep::new(settings, model, dataset, observer)?);
    }
    Ok(sweeps)
}

/// Runs the experiment's sweeps and draws them.
fn steer(
    lab: &Lab,
    sweeps: Vec<PlannedSweep>,
    Steering { model, report }: &mut Steering,
    observer: &mut dyn Observer,
) -> Result<()> {
    for planned in sweeps {
        // If a dataset has several prompts, the probes of the first prompt steer.
        let of_dataset = report.probes.iter().find(|one| one.probes.dataset == planned.dataset.name);
        let Some(Labelled { probes, .. }) = of_dataset else { continue };
        let layers = planned.layers(default_layer(probes, model));
        let PlannedSweep { settings, dataset, latent } = planned;
        let folder = settings.probes.clone().unwrap_or_else(|| probes.folder.clone());
        let probes = &SavedProbes::load(folder)?;
        let (dataset, settings) = (&dataset, &settings);
        let job = SweepJob { model, dataset, probes, settings, layers, latent };
        let sweep = SweepReport::of(lab, job, observer)?;
        report.n_new += sweep.n_new;
        report.sweeps.push(sweep);
    }
    draw_sweeps(lab, report, observer)
}

/// Draws each sweep of several layers in its own folder, and the sweeps of one layer together.
fn draw_sweeps(lab: &Lab, report: &mut Report, observer: &mut dyn Observer) -> Result<()> {
    let mut single: Vec<SweepRow> = Vec::new();
    for sweep in &report.sweeps {
        if sweep.layers.len() == 1 {
            single.extend(sweep.rows.iter().filter(|row| is_drawn(row)).cloned());
            continue;
        }
        let folder =
            lab.figures(&report.model, &FolderName::of_text("steering")).join(sweep.settings.folder()?);
        let mut canvas = Canvas::new(folder, observer);
        draw_sweep(&sweep.rows, &mut canvas)?;
        report.n_drawn += canvas.n_drawn();
    }
    let Some(first) = report.probes.first().filter(|_| !single.is_empty()) else { return Ok(()) };
    let mut canvas = Canvas::new(lab.figures(&report.model, &first.probes.results), observer);
    canvas.save("dose_response", |format| dose_response(&single, format))?;
    report.n_drawn += canvas.n_drawn();
    Ok(())
}

/// The block of the best probe, or an earlier one, so that at least two blocks follow; the latest such block if the
/// best probe is not at the output of a block.
fn default_layer(probes: &ProbeReport, model: &Model) -> usize {
    let latest = model.spec().n_layers.saturating_sub(3);
    match probes.best.point {
        HookPoint::ResidPost(l) => l.min(latest),
        _ => latest,
    }
}
