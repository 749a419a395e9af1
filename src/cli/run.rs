//! `mappa run`: the whole line for one experiment; what is done already is found again.

use super::dataset::find;
use super::drawing::{figure_files, save_figure};
use super::experiment::{Experiment, SweepPlan};
use super::stages::{Done, Job, draw, probe_folder};
use super::sweeping::{Sweeping, draw_sweep, print_recommendation};
use super::texts::Texts;
use super::{chosen, suggest, table, terminal};
use clap::Args;
use mappa::Result;
use mappa::activations::Recording;
use mappa::artefact::folder_name;
use mappa::datasets::{Dataset, Prompt, TargetKind};
use mappa::figures::dose_response;
use mappa::hook_point::HookPoint;
use mappa::model::{Compute, DeviceChoice, LoadOptions, Model, Precision};
use mappa::probes::{PROBES_FILE, ProbeSet, best_point};
use mappa::results::{SCORES_FILE, SWEEP_FILE, ScoreRow, SweepRow, load_rows};
use mappa::steering::Layers;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Divergence of the next token that a recommendation may cost, in nats.
const BUDGET: f64 = 2.0;

/// Run the whole line for one experiment: activations, probes, figures, steering.
///
/// Without a file, runs the bundled experiment (bundled model, six bundled datasets, no network).
/// What was done before is found again; the same command goes on where it was stopped.
///
/// Example: mappa run probes/mine.toml --lab results
#[derive(Args, Default)]
pub struct Run {
    /// An experiment file; see probes/atlas.toml for one.
    experiment: Option<PathBuf>,
    /// Another model than the experiment's: a name, a folder, or a hub name.
    #[arg(long)]
    model: Option<String>,
    /// The model's name in folders and rows of results [default: that of its folder or file].
    #[arg(long, value_name = "NAME", value_parser = |name: &str| folder_name("--model-name", name))]
    model_name: Option<String>,
    /// Numbers that weights lie in: f32, f16, bf16, or auto (as they are stored); auto for a GGUF file, else f32.
    #[arg(long, value_name = "DTYPE")]
    dtype: Option<Precision>,
    /// Where the model computes: cpu, or cuda or metal in a program built with --features cuda or metal.
    #[arg(long, value_name = "DEVICE")]
    device: Option<DeviceChoice>,
    /// Numbers that blocks multiply in: f32, bf16 (AVX-512 BF16), or q8 (8 bits beside quantised weights, as llama.cpp).
    #[arg(long, value_name = "NUMBERS")]
    compute: Option<Compute>,
}

impl Run {
    fn options(&self) -> LoadOptions {
        LoadOptions {
            precision: self.dtype,
            device: self.device.unwrap_or_default(),
            compute: self.compute.unwrap_or_default(),
        }
    }

    /// Runs the command.
    pub fn run(&self, lab: &Path) -> Result<()> {
        let started = Instant::now();
        let mut experiment = match &self.experiment {
            Some(path) => Experiment::load(path)?,
            None => Experiment::bundled()?,
        };
        if let Some(model) = &self.model {
            experiment.model = model.clone();
        }
        experiment.settings().check()?;
        experiment.pull.iter().try_for_each(|source| source.pull(lab))?;
        let tasks = tasks(lab, &experiment)?;
        let texts = experiment.texts(&experiment.prompt);
        let mut model = texts.set_up(chosen::load(lab, &experiment.model, self.options())?)?;
        if let Some(name) = &self.model_name {
            model.name.clone_from(name);
        }
        let mut n_new = 0;
        let mut probed: Vec<Probed> = Vec::new();
        for Task { texts, asked, dataset, prompt } in tasks {
            let (reads, recording) = ((&model.tokenizer, model.spec()), Recording::default());
            let (dataset, unplaced) = texts.placeable(reads, dataset, (&prompt, recording))?;
            let (seed, resamples) = (experiment.seed, experiment.resamples);
            let (dataset, prompt, unplaced) = (&dataset, &prompt, &unplaced[..]);
            let (model, settings) = (&model, &experiment.settings());
            let job = Job {
                lab,
                model,
                dataset,
                unplaced,
                prompt,
                recording,
                seed,
                resamples,
                settings,
                from: None,
            };
            n_new += i32::from(job.probe_after_extraction()? == Done::Now);
            let scores = load_rows(&job.probe_folder().join(SCORES_FILE))?;
            let (name, kind) = (dataset.name.clone(), dataset.kind.clone());
            probed.push(Probed { dataset: name, kind, asked, folder: job.results(), scores });
        }
        draw_all((lab, &model.name), &probed, n_new)?;
        n_new += steer(lab, &model, &experiment, &probed)?;
        report(&labelled(&probed), n_new, started)?;
        next_steps(lab, &model, &probed);
        Ok(())
    }
}

/// A dataset with one of its prompts.
struct Task {
    texts: Texts,
    /// The prompt as the experiment names it.
    asked: String,
    dataset: Dataset,
    prompt: Prompt,
}

/// A dataset and prompt with its scores.
struct Probed {
    dataset: String,
    kind: TargetKind,
    /// The prompt as the experiment names it.
    asked: String,
    /// What the prompt's folders are called.
    folder: String,
    scores: Vec<ScoreRow>,
}

/// What is to be probed, checked before any weights are read.
fn tasks(lab: &Path, experiment: &Experiment) -> Result<Vec<Task>> {
    let mut tasks = Vec::new();
    for name in &experiment.datasets {
        let dataset = find(lab, name)?;
        for asked in experiment.prompts_of(name) {
            let texts = experiment.texts(&asked);
            let prompt = texts.prompt(&dataset)?;
            tasks.push(Task { texts, asked, dataset: dataset.clone(), prompt });
        }
    }
    Ok(tasks)
}

/// Draws the figures of each prompt with all datasets that have it, unless they are there.
fn draw_all((lab, model): (&Path, &str), probed: &[Probed], n_new: i32) -> Result<()> {
    let folders: BTreeSet<&str> = probed.iter().map(|one| one.folder.as_str()).collect();
    for folder in folders {
        let of_prompt = probed.iter().filter(|one| one.folder == folder);
        let names: Vec<String> = of_prompt.map(|one| one.dataset.clone()).collect();
        let figures = lab.join("figures").join(model).join(folder);
        let files = [figures.join("r2_by_layer.svg"), figures.join("r2_by_layer.png")];
        if n_new > 0 || files.iter().any(|file| !file.is_file()) {
            draw(lab, model, folder, &names)?;
        }
    }
    Ok(())
}

/// Scores under their dataset's name, and their prompt's where there are several.
fn labelled(probed: &[Probed]) -> Vec<(String, Vec<ScoreRow>)> {
    let label = |one: &Probed| match probed.iter().filter(|other| other.dataset == one.dataset).count() {
        1 => one.dataset.clone(),
        _ => format!("{}, {}", one.dataset, one.asked),
    };
    probed.iter().map(|one| (label(one), one.scores.clone())).collect()
}

/// Prints the folders of the results, and commands to try with this model.
fn next_steps(lab: &Path, model: &Model, probed: &[Probed]) {
    let folder = probed.first().map_or("*", |first| first.folder.as_str());
    let show = |parts: &[&str]| {
        parts.iter().fold(lab.to_path_buf(), |path, part| path.join(part)).display().to_string()
    };
    println!("\nfigures     {}", show(&["figures", &model.name, folder]));
    println!("scores      {}", show(&["probes", &model.name, "*", folder, SCORES_FILE]));
    if lab.join("steering").join(&model.name).is_dir() {
        println!("sweeps      {}", show(&["steering", &model.name, "*", SWEEP_FILE]));
    }
    println!("activations {}", show(&["activations", &model.name]));
    println!("\nTry next:");
    let steers = |kind: TargetKind, rest: &str| {
        // Only where a probe reads it, after the middle block, where the bundled model's text follows.
        if model.transformer.generates() && probed.iter().any(|one| one.kind == kind) {
            let rest = format!("{rest} --layer {}", model.spec().n_layers / 2);
            println!("  {}", suggest::command(lab, &suggest::of_model(model), ("steer", &rest)));
        }
    };
    steers(TargetKind::Place, "--prompt Nairobi --toward lat=35,lon=139");
    steers(TargetKind::Year, "--prompt 'Plutarch is from the age of' --toward year=1500");
    println!("  mappa run --model MODEL     a hub name, a Hugging Face folder or a GGUF file");
    println!("  mappa models families       which of them are read");
}

impl Job<'_> {
    /// Probes need activations only where their scores are not there yet.
    fn probe_after_extraction(&self) -> Result<Done> {
        self.extract()?;
        self.probe()
    }
}

fn report(scores: &[(String, Vec<ScoreRow>)], n_new: i32, started: Instant) -> Result<()> {
    if n_new == 0 {
        println!("All was done before; here it is again ({:.1} s).", started.elapsed().as_secs_f64());
    } else {
        println!("Done in {:.0} s.", started.elapsed().as_secs_f64());
    }
    table::print_scores(scores)?;
    table::print_others(scores)?;
    table::print_curves(scores);
    Ok(())
}

/// Runs the experiment's sweeps that are not done yet and draws them; gives how many were new.
fn steer(lab: &Path, model: &Model, experiment: &Experiment, probed: &[Probed]) -> Result<i32> {
    if !model.transformer.generates() && !experiment.sweeps.is_empty() {
        let reason = "it sees both ways or came without a language-model head, so it does not generate";
        terminal::note(&format!(
            "the {} sweeps are left out for {}: {reason}",
            experiment.sweeps.len(),
            model.name
        ));
        return Ok(0);
    }
    let (mut single, mut n_new) = (Vec::new(), 0);
    for plan in &experiment.sweeps {
        let dataset = find(lab, &plan.dataset)?;
        // A dataset's first prompt is the one that steers.
        let Some(probed) = probed.iter().find(|one| one.dataset == dataset.name) else { continue };
        let layers = match (&plan.layers[..], plan.layer) {
            ([], Some(layer)) => vec![Layers::one(layer)],
            ([], None) => vec![Layers::one(default_layer(&probed.scores, model)?)],
            (several, _) => several.to_vec(),
        };
        let from = probe_folder(lab, &model.name, &dataset.name, &probed.folder);
        let probes = &ProbeSet::load(&from.join(PROBES_FILE))?;
        let probes = (probes, &*from);
        let sweeping = Sweeping { model, dataset: &dataset, probes, plan, layers, unit: None };
        let (rows, n_layers) = sweeping.rows(&lab.join("steering").join(&model.name).join(plan.name()))?;
        n_new += n_layers as i32;
        if let [layer] = &sweeping.layers[..] {
            print_sweep(plan, layer, &rows);
            single.extend(rows);
        } else {
            println!("\nSteering {} prompts along {} ({}):", plan.prompts.len(), plan.target, plan.name());
            print_recommendation(&rows, BUDGET);
            draw_anew(
                &lab.join("figures").join(&model.name).join("steering").join(plan.name()),
                (&rows, n_layers),
            )?;
        }
    }
    let Some(first) = probed.first().filter(|_| !single.is_empty()) else { return Ok(n_new) };
    let (folder, name) = (lab.join("figures").join(&model.name).join(&first.folder), "dose_response");
    if n_new > 0 || figure_files(&folder, name).iter().any(|file| !file.is_file()) {
        save_figure((&folder, name), |format| dose_response(&single, format))?;
    }
    Ok(n_new)
}

/// Draws a sweep of several layers, unless nothing is new and its figures are there.
fn draw_anew(folder: &Path, (rows, n_new): (&[SweepRow], usize)) -> Result<()> {
    if n_new > 0 || !folder.join("dose_by_layer.png").is_file() {
        draw_sweep(rows, folder)?;
    }
    Ok(())
}

/// The best layer, but early enough that two blocks can still act on what was changed.
fn default_layer(rows: &[ScoreRow], model: &Model) -> Result<usize> {
    let latest = model.spec().n_layers.saturating_sub(3);
    Ok(match best_point(rows)? {
        HookPoint::ResidPost(l) => l.min(latest),
        _ => latest,
    })
}

/// What the first prompt became at each dose of the probe's direction.
fn print_sweep(plan: &SweepPlan, layer: &Layers, rows: &[SweepRow]) {
    let Some(prompt) = &plan.texts().first().cloned() else { return };
    println!(
        "\nSteering \"{prompt}\" along {} after block {layer} (dose, reading at the last layer, text):",
        plan.target
    );
    let last = rows.iter().map(|r| r.read_layer).max();
    for row in
        rows.iter().filter(|r| r.prompt == *prompt && r.direction == "probe" && Some(r.read_layer) == last)
    {
        println!("  {:>+7.0}  {:>8.1}  {prompt}{}", row.dose, row.reading, row.text);
    }
}
