//! `mappa probe`: probes at every layer, their scores and baselines.

use super::compare::Analysis;
use super::model_flags::ModelFlags;
use super::observer::TerminalObserver;
use super::probing_flags::ProbingFlags;
use super::prompt_flags::PromptFlags;
use super::table;
use super::token_flags::TokenFlags;
use clap::Args;
use mappa::Result;
use mappa::hook_point::HookPoint;
use mappa::lab::{
    Canvas, Done, Given, Lab, NextStep, ProbeReport, ProbeRequest, ProbingJob, draw_probes, find_dataset,
    fit_all, fit_parts, merge_parts, saved_beside,
};

/// Fit probes at every layer and score them together with baselines.
///
/// Extracts missing activations first. Each score has baselines: a ridge on the names alone, the embedding, an
/// untrained model of the same shape, the model with shuffled weights, and shuffled targets; and an oracle, the mean
/// of the entity's true group. docs/probes.md explains each score, split and baseline.
///
/// With --hook-points, fits only these hook points and saves each as a part, so that many machines can share the
/// work; when all parts exist, --merge writes the same files, byte for byte, as a single run.
///
/// Examples:
///   mappa probe --model path/to/pythia-160m --dataset world_place
///   mappa probe --dataset world_place --split group:country       holds out each country in turn
///   mappa probe --dataset us_place --split blocks:5               holds out blocks of the map
///   mappa probe --train us_place --test world_place               trains on one, tests on the other
///   mappa probe --dataset art --method ols,pca,elastic-net        methods in addition to the ridge probe
///   mappa probe --dataset world_place --method circle,k-sparse:16 longitude as an angle; the best 1, 2, … 16 dimensions
///   mappa probe --dataset world_place --classes continent --method logistic,mean-difference
///   mappa probe --dataset art --hook-points "embed,blocks.{0,1}.hook_resid_post"   on one machine,
///   mappa probe --dataset art --hook-points "blocks.{2,3,4,5}.hook_resid_post"     on another; at the end, on one:
///   mappa probe --dataset art --merge                                              the same bytes as a single run
#[derive(Args)]
#[command(verbatim_doc_comment, subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
pub(super) struct ProbeCommand {
    #[command(subcommand)]
    command: Option<Analysis>,
    #[command(flatten)]
    model: ModelFlags,
    /// A dataset's name, or a CSV, TSV, JSON or Parquet file.
    #[arg(long, visible_alias = "test", value_name = "NAME|FILE", required = true)]
    dataset: Option<String>,
    #[command(flatten)]
    texts: PromptFlags,
    #[command(flatten)]
    tokens: TokenFlags,
    #[command(flatten)]
    probing: ProbingFlags,
    /// Fit only these hook points, by name or glob, separated by commas, as parts that
    /// --merge joins.
    #[arg(long, value_name = "NAMES|GLOBS", conflicts_with = "merge")]
    hook_points: Vec<String>,
    /// Join the parts of all hook points into the same files as a single run.
    #[arg(long)]
    merge: bool,
}

impl ProbeCommand {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        if let Some(command) = &self.command {
            return command.run(lab);
        }
        let observer = &mut TerminalObserver::default();
        let request = self.request();
        request.probing.check()?;
        let dataset = find_dataset(lab, self.dataset(), observer)?;
        let model = self.model.open(lab, observer)?;
        let model = request.extraction.prompting.set_up(model, observer)?;
        let prepared = request.prepare(lab, &model, dataset, observer)?;
        let job = prepared.job(lab, &model, &request.probing);
        if !self.hook_points.is_empty() {
            return self.fit_parts(&job, observer);
        }
        let report = if self.merge { merge_parts(&job, observer)? } else { fit_all(&job, observer)? };
        self.print(&report, request.probing.paper_metrics)?;
        let beside = saved_beside(&report.folder);
        let mut canvas =
            Canvas::new(lab.figures(&report.model, &report.results), observer).with_beside(beside);
        let files = draw_probes(&report.model, &[report.drawn()?], &mut canvas)?;
        say!();
        say!("probes, scores, predictions: {}", report.folder.display());
        files.iter().for_each(|file| say!("figure: {}", file.display()));
        if model.transformer.generates() {
            let given = Given { dataset: job.extraction.dataset(), name: self.dataset() };
            print_next_step(&NextStep::after(lab, &model, &report, &given));
        }
        Ok(())
    }

    fn request(&self) -> ProbeRequest {
        ProbeRequest {
            extraction: self.tokens.settings(self.texts.settings(), None),
            probing: self.probing.settings(),
        }
    }

    fn print(&self, report: &ProbeReport, has_paper_metrics: bool) -> Result<()> {
        say!("{}: {}", report.dataset, report.audit);
        if report.done == Done::Before {
            say!("found, probed before");
        }
        let all = [(report.dataset.to_string(), report)];
        table::print_scores(&all);
        table::print_others(&all);
        table::print_curves(&all);
        if has_paper_metrics {
            say!();
            say!("paper_… scores swap longitude and latitude, as the paper's reference code does.");
        }
        Ok(())
    }

    /// The dataset, which clap requires if there is no subcommand.
    fn dataset(&self) -> &str {
        self.dataset.as_deref().unwrap_or_default()
    }

    /// Fits the given hook points, and prints the folder of their parts.
    fn fit_parts(&self, job: &ProbingJob, observer: &mut TerminalObserver) -> Result<()> {
        let all = job.extraction.points();
        let points = HookPoint::choose(&self.hook_points.join(","), &all)?;
        let how = match fit_parts(job, &points, observer)? {
            Done::Now => "probed",
            Done::Before => "found, probed before",
        };
        points.iter().for_each(|point| say!("{how}: {point}"));
        say!("parts: {}", job.parts()?.root().display());
        say!(
            "next, when all {} hook points have parts: the same flags with --merge for --hook-points",
            all.len()
        );
        Ok(())
    }
}

/// Prints the next step after probes.
fn print_next_step(step: &NextStep) {
    match step {
        NextStep::Steer(command) => say!("next: {command}"),
        NextStep::Sweep(command) => {
            say!("Every change that was tried breaks the text; a sweep measures which doses do not.");
            say!("next: {command}");
        }
        NextStep::None(reason) => say!("{reason}"),
    }
}
