//! `mappa run`: runs one experiment from beginning to end.

use super::observer::TerminalObserver;
use super::{importing, sweep_table, table};
use clap::Args;
use mappa::Result;
use mappa::artefact::FolderName;
use mappa::lab::{Experiment, Lab, NextStep, Report, SweepReport};
use mappa::model::{Compute, DeviceChoice, Precision};
use mappa::results::{SCORES_FILE, SWEEP_FILE, SweepRow};
use mappa::shown::shown;
use std::path::PathBuf;
use std::time::Instant;

/// Run all stages of one experiment: activations, probes, figures, steering.
///
/// Without a file, runs the bundled experiment (bundled model, six bundled datasets, no network).
/// Finished stages are reused; after a stop, the same command resumes.
///
/// Example: mappa run probes/mine.toml --lab results
#[derive(Args, Default)]
pub(super) struct Run {
    /// An experiment file; probes/atlas.toml is an example.
    experiment: Option<PathBuf>,
    /// A model in place of the experiment's: a name, a folder, a GGUF file, or a hub name.
    #[arg(long)]
    model: Option<String>,
    /// The model's name in folders and result rows [default: the name of its folder or file].
    #[arg(long, value_name = "NAME", value_parser = |name: &str| FolderName::new("--model-name", name))]
    model_name: Option<FolderName>,
    /// Data type of the weights: f32, f16, bf16, or auto (as stored) [default: auto for a GGUF file, otherwise f32].
    #[arg(long, value_name = "DTYPE")]
    dtype: Option<Precision>,
    /// Device: cpu, or cuda or metal in a program built with --features cuda or metal.
    #[arg(long, value_name = "DEVICE")]
    device: Option<DeviceChoice>,
    /// Data type of the blocks' matrix products: f32, bf16 (AVX-512 BF16), or q8 (8-bit, for quantised weights).
    ///
    /// q8 computes as llama.cpp does.
    #[arg(long, value_name = "NUMBERS")]
    compute: Option<Compute>,
}

impl Run {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        let started = Instant::now();
        let report = lab.run(&self.experiment()?, &mut TerminalObserver::default())?;
        report.pulled.iter().for_each(importing::print_pulled);
        report.sweeps.iter().for_each(print_sweep);
        print_report(&report, started);
        print_next_steps(lab, &report);
        Ok(())
    }

    /// The experiment; flags override the file's values.
    fn experiment(&self) -> Result<Experiment> {
        let mut experiment = match &self.experiment {
            Some(path) => Experiment::load(path)?,
            None => Experiment::bundled()?,
        };
        let settings = &mut experiment.model;
        if let Some(name) = &self.model {
            settings.name.clone_from(name);
        }
        settings.model_name = self.model_name.clone().or(settings.model_name.take());
        settings.dtype = self.dtype.or(settings.dtype);
        settings.device = self.device.unwrap_or(settings.device);
        settings.compute = self.compute.unwrap_or(settings.compute);
        Ok(experiment)
    }
}

fn print_report(report: &Report, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    match report.n_new {
        0 => say!("All stages were done before; these are the saved results ({seconds:.1} s)."),
        _ => say!("Done in {seconds:.0} s."),
    }
    if report.n_new == 0 && report.n_drawn > 0 {
        say!("Figures that were missing or differed, drawn now: {}.", report.n_drawn);
    }
    let labels = report.labels();
    table::print_scores(&labels);
    table::print_others(&labels);
    table::print_curves(&labels);
}

/// Prints the folders of the results, and commands to try with this model.
fn print_next_steps(lab: &Lab, report: &Report) {
    let (model, any) = (&report.model, FolderName::of_text("*"));
    let folder = report.probes.first().map_or(&any, |one| &one.probes.results);
    say!();
    say!("figures     {}", lab.figures(model, folder).display());
    say!("scores      {}", lab.probes(model, &any, folder).join(SCORES_FILE).display());
    if lab.sweeps(model).is_dir() {
        say!("sweeps      {}", lab.sweeps(model).join("*").join(SWEEP_FILE).display());
    }
    say!("activations {}", lab.join("activations").join(model).display());
    say!();
    say!("Try next:");
    for step in &report.next_steps {
        match step {
            NextStep::Steer(command) | NextStep::Sweep(command) => say!("  {command}"),
            NextStep::None(reason) => say!("  {reason}"),
        }
    }
    say!("  mappa run --model MODEL     a hub name, a Hugging Face folder or a GGUF file");
    say!("  mappa models families       the supported families");
}

/// Prints a sweep: texts at each dose for one layer, the recommendation for several.
fn print_sweep(sweep: &SweepReport) {
    let SweepReport { settings, layers, rows, .. } = sweep;
    let [layer] = &layers[..] else {
        let (n, target) = (settings.prompts.len(), shown(&settings.target));
        say!();
        say!("Steering {n} prompts along {target} ({}):", shown(settings.name()));
        sweep_table::print_recommendation(rows, settings.budget);
        return;
    };
    let Some(prompt) = settings.texts().first().cloned() else { return };
    say!();
    say!(
        "Steering \"{}\" along {} after block {layer} (dose, prediction at the last layer, text):",
        shown(&prompt),
        shown(&settings.target)
    );
    let last = rows.iter().map(|r| r.read_layer).max();
    let is_shown = |r: &&SweepRow| r.prompt == prompt && r.direction == "probe" && Some(r.read_layer) == last;
    let mut by_dose: Vec<&SweepRow> = rows.iter().filter(is_shown).collect();
    by_dose.sort_by(|a, b| a.dose.total_cmp(&b.dose));
    for row in by_dose {
        say!("  {:>+7.0}  {:>8.1}  {}{}", row.dose, row.reading, shown(&prompt), shown(&row.text));
    }
}
