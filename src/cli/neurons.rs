//! `mappa neurons`: MLP neurons that correlate with a target, and the effect of holding them at their mean.

use super::model_flags::ModelFlags;
use super::observer::TerminalObserver;
use super::prompt_flags::PromptFlags;
use super::table::print_columns;
use super::within::within;
use clap::Args;
use mappa::Result;
use mappa::lab::{
    Canvas, ExtractionJob, ExtractionSettings, Lab, NeuronReport, NeuronSettings, ProbingSettings,
    draw_neurons, find_dataset, neurons as find_neurons,
};
use mappa::limits::{RANDOM, RESAMPLES};
use mappa::results::{AblationRow, NeuronRow};
use mappa::shown::shown;

/// A sort key of neurons.
type By = fn(&NeuronRow) -> f64;
/// The listed neurons: a name of the list, its length, and its sort key.
const LISTED: [(&str, usize, By); 3] = [
    ("correlation", 8, |row| row.rho),
    ("input", 3, |row| row.input_cosine),
    ("output", 3, |row| row.output_cosine),
];

/// Find MLP neurons that correlate with a target, hold them at their mean, and measure the effect.
///
/// Correlates every neuron of every block (blocks.*.mlp.hook_post) with the target over the training entities:
/// Spearman's rank correlation, its p-value, and the p-value adjusted for all neurons (Benjamini and Hochberg).
/// Computes cosines between each neuron's input and output weights and the probes of the stream. Then holds sets
/// of k neurons at their mean (mean ablation): the k that correlate most, the k whose input weights align most, the
/// k whose output weights align most, and random sets of the same blocks. For each set, measures the probe's R² on
/// test entities, and the model's loss on entity texts and on control sentences. Fits missing probes first.
///
/// Examples:
///   mappa neurons --dataset world_place --top 20
///   mappa neurons --model path/to/pythia-160m --dataset historical_figure --prompt when --top 50 --seeds 3
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Neurons {
    #[command(flatten)]
    model: ModelFlags,
    /// A dataset's name, or a CSV, TSV, JSON or Parquet file.
    #[arg(long, value_name = "NAME|FILE")]
    dataset: String,
    #[command(flatten)]
    texts: PromptFlags,
    /// Number of neurons to hold at their mean; at most half of a block's neurons, so that as many random ones remain.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// Number of random sets of neurons, for comparison.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=RANDOM.most))]
    seeds: u64,
    /// Seed of the probes, as in `mappa probe`.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Number of bootstrap resamples of the probes' intervals, as in `mappa probe`.
    #[arg(long, default_value_t = 500, value_parser = within(RESAMPLES))]
    resamples: usize,
}

impl Neurons {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        let observer = &mut TerminalObserver::default();
        let dataset = find_dataset(lab, &self.dataset, observer)?;
        let extraction =
            ExtractionSettings { prompting: self.texts.settings(), ..ExtractionSettings::default() };
        extraction.prompting.prompt(&dataset)?;
        let model = extraction.prompting.set_up(self.model.open(lab, observer)?, observer)?;
        let prompted = extraction.apply(dataset, &model)?;
        let probing = ProbingSettings { seed: self.seed, resamples: self.resamples, ..Default::default() };
        let settings = NeuronSettings { top: self.top as usize, seeds: self.seeds, probing };
        let (prompted, recording) = (&prompted, extraction.recording());
        let job = ExtractionJob { lab, model: &model, prompted, recording };
        let found = find_neurons(job, &settings, observer)?;
        let NeuronReport { neurons: rows, ablations, folder, probes } = &found;
        for target in prompted.dataset.kind.names() {
            print_units(rows, target);
            print_ablations(ablations, target);
        }
        say!();
        say!("neurons, ablations: {}", folder.display());
        let mut canvas = Canvas::new(lab.figures(&model.name, &probes.results), observer);
        for file in draw_neurons(&model.name, &probes.dataset, rows, &mut canvas)? {
            say!("figure: {}", file.display());
        }
        Ok(())
    }
}

fn print_units(rows: &[NeuronRow], target: &str) {
    let mut of_target: Vec<&NeuronRow> = rows.iter().filter(|row| row.target == target).collect();
    let sure = of_target.iter().filter(|row| row.q < 0.01).count();
    say!();
    say!(
        "{}: {sure} of {} neurons correlate with it (false discovery rate at most 1 %)",
        shown(target),
        of_target.len()
    );
    let cells = |first_by: &str, row: &NeuronRow| {
        let (rho, q) = (format!("{:+.3}", row.rho), format!("{:.1e}", row.q));
        let (input, output) = (format!("{:+.2}", row.input_cosine), format!("{:+.2}", row.output_cosine));
        vec![first_by.to_string(), row.layer.to_string(), row.unit.to_string(), rho, q, input, output]
    };
    let mut listed = Vec::new();
    for (first_by, n, by) in LISTED {
        of_target.sort_by(|a, b| by(b).abs().total_cmp(&by(a).abs()));
        listed.extend(of_target.iter().take(n).map(|row| cells(first_by, row)));
    }
    let heads = ["first by", "layer", "neuron", "rank correlation", "q", "input cosine", "output cosine"];
    print_columns(&heads, &listed);
}

fn print_ablations(rows: &[AblationRow], target: &str) {
    let of_target: Vec<&AblationRow> = rows.iter().filter(|row| row.target == target).collect();
    let Some(plain) = of_target.iter().find(|row| row.units == "none") else { return };
    say!();
    say!(
        "{} predicted at {}: R² {:.3} without ablation; with neurons held at their mean:",
        shown(target),
        plain.hook_point,
        plain.r2
    );
    let cells = |row: &&&AblationRow| {
        let name = if row.units == "random" { format!("random {}", row.seed) } else { row.units.clone() };
        let change = |now: f64, before: f64| match now - before {
            // A model that cannot generate text has no loss.
            change if change.is_nan() => "–".into(),
            change => format!("{change:+.3}"),
        };
        vec![
            name,
            row.k.to_string(),
            change(row.r2, plain.r2),
            change(row.entity_loss, plain.entity_loss),
            change(row.control_loss, plain.control_loss),
        ]
    };
    let rows: Vec<Vec<String>> =
        of_target.iter().filter(|row| row.units != "none").map(|row| cells(&row)).collect();
    print_columns(&["held", "k", "change of R²", "of the loss on entities", "on control sentences"], &rows);
}
