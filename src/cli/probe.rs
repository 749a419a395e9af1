//! `mappa probe`: probes at every layer, their scores and their baselines.

use super::chosen::ChosenModel;
use super::dataset::find;
use super::found::Found;
use super::recording::ChosenTokens;
use super::settings::{Settings, at_least_two};
use super::stages::{Done, Job, draw};
use super::texts::Texts;
use super::{suggest, table};
use clap::Args;
use mappa::Result;
use mappa::activations::Unplaced;
use mappa::datasets::{Dataset, Entity, Prompt, TargetKind};
use mappa::hook_point::HookPoint;
use mappa::model::Model;
use mappa::probes::best_test_r2;
use mappa::results::{SCORES_FILE, load_rows};
use std::collections::HashMap;
use std::path::Path;

/// Fit probes at every layer and score them beside their baselines.
///
/// Extracts first where that is not done. Beside every score: a ridge on the names alone, the mean of the
/// entity's group, the embedding, an untrained model of the same shape, the model with its weights shuffled,
/// shuffled targets. docs/probes.md says what each score, split and baseline means.
///
/// With --hook-points, fits some layers and writes each as a part, so that many machines can share the
/// work; when all parts are there, --merge writes what one run would have written, byte for byte.
///
/// Examples:
///   mappa probe --model path/to/pythia-160m --dataset world_place
///   mappa probe --dataset world_place --split group:country       each country in turn is held out
///   mappa probe --dataset us_place --split blocks:5               parts of the map are held out
///   mappa probe --train us_place --test world_place               learnt in the one, read in the other
///   mappa probe --dataset art --method ols,pca,elastic-net        other readers beside the ridge
///   mappa probe --dataset world_place --classes continent --method logistic,mean-difference
///   mappa probe --dataset art --hook-points "embed,blocks.{0,1}.hook_resid_post"   on one machine,
///   mappa probe --dataset art --hook-points "blocks.{2,3,4,5}.hook_resid_post"     on another, then on one:
///   mappa probe --dataset art --merge                                              the same bytes as one run
#[derive(Args)]
#[command(verbatim_doc_comment, subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
pub struct Probe {
    #[command(subcommand)]
    command: Option<Found>,
    #[command(flatten)]
    model: ChosenModel,
    /// A dataset's name, or a CSV, TSV, JSON or Parquet file.
    #[arg(long, visible_alias = "test", value_name = "NAME|FILE", required = true)]
    dataset: Option<String>,
    #[command(flatten)]
    texts: Texts,
    #[command(flatten)]
    tokens: ChosenTokens,
    #[command(flatten)]
    settings: Settings,
    /// Seeds intervals, shuffled targets, the untrained and the shuffled model, and what readers draw.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Bootstrap resamples of each interval.
    #[arg(long, default_value_t = 500, value_parser = at_least_two())]
    resamples: usize,
    /// Fit only these of the hook points, by name or glob, with commas between several, as parts that
    /// --merge puts together.
    #[arg(long, value_name = "NAMES|GLOBS", conflicts_with = "merge")]
    hook_points: Vec<String>,
    /// Put the parts of all hook points into the files that one run would write.
    #[arg(long)]
    merge: bool,
}

/// The share of the greatest squared distance that a suggested target has at least.
const FAR_ENOUGH: f64 = 0.1;

impl Probe {
    /// Runs the command.
    pub fn run(&self, lab: &Path) -> Result<()> {
        if let Some(command) = &self.command {
            return command.run(lab);
        }
        self.settings.check()?;
        let dataset = find(lab, self.dataset())?;
        let model = self.texts.set_up(self.model.load(lab)?)?;
        let read = self.read(&model, dataset, &self.texts)?;
        let mut job = self.job((lab, &model), &read)?;
        let other = self.learnt_from(lab, &model)?;
        let from = other.as_ref().map(|other| self.job((lab, &model), other)).transpose()?;
        job.from = from.as_ref();
        job.extract()?;
        if !self.hook_points.is_empty() {
            return self.apart(&job);
        }
        println!("{}: {}", read.dataset.name, job.audit()?);
        let done = if self.merge { job.merge_probes()? } else { job.probe()? };
        if done == Done::Before {
            println!("found, probed before");
        }
        let scores = vec![(read.dataset.name.clone(), load_rows(&job.probe_folder().join(SCORES_FILE))?)];
        table::print_scores(&scores)?;
        table::print_others(&scores)?;
        table::print_curves(&scores);
        if self.settings.paper_metrics {
            println!("\npaper_… scores take longitude for latitude, as the paper's reference code does.");
        }
        let files = draw(lab, &model.name, &job.results(), std::slice::from_ref(&read.dataset.name))?;
        println!("\nprobes, scores, predictions: {}", job.probe_folder().display());
        files.iter().for_each(|file| println!("figure: {}", file.display()));
        if !model.transformer.generates() {
            return Ok(());
        }
        match best_test_r2(&scores[0].1)? {
            r2 if r2 > 0.0 => println!("next: {}", self.steer(lab, &job)),
            _ => println!(
                "Nothing of the target is read on the test rows, so that there is nothing to steer along."
            ),
        }
        Ok(())
    }

    /// A command that steers a text about a test entity towards where or when another is, far from it.
    fn steer(&self, lab: &Path, job: &Job) -> String {
        let dataset = job.dataset;
        let mut counts: HashMap<&str, usize> = HashMap::new();
        dataset.entities.iter().for_each(|entity| *counts.entry(&entity.name).or_default() += 1);
        let unique = || dataset.entities.iter().filter(|entity| counts[&*entity.name] == 1);
        let mut rest = format!("--dataset {}", suggest::quoted(self.dataset()));
        if job.results() != Prompt::empty().name {
            rest += &format!(" --probes {}", suggest::quoted(&job.results()));
        }
        let from = unique().find(|entity| entity.is_test);
        let far = |a: &Entity, b: &Entity| {
            let both = a.target.values().into_iter().zip(b.target.values());
            both.map(|(a, b)| (a - b).powi(2)).sum::<f64>()
        };
        // The first that is far enough, as the farthest of all is mostly a place that nobody knows.
        let to = from.and_then(|from| {
            let farthest = unique().map(|entity| far(from, entity)).fold(0.0, f64::max);
            unique().find(|entity| far(from, entity) >= FAR_ENOUGH * farthest)
        });
        if let (Some(Entity { name: from, .. }), Some(to)) = (from, to) {
            let prompt = match dataset.kind {
                TargetKind::Place => format!("I know that {from} is in the country of"),
                TargetKind::Year => format!("I know that {from} is from the year"),
                TargetKind::Quantity(_) => from.clone(),
            };
            let (at, to) = (suggest::quoted(&format!("span:\"{from}\"")), suggest::quoted(&to.name));
            rest += &format!(" --prompt {} --toward {to} --at {at}", suggest::quoted(&prompt));
        }
        suggest::command(lab, &self.model.flags(), ("steer", &rest))
    }

    /// The dataset, which is required where there is no subcommand.
    fn dataset(&self) -> &str {
        self.dataset.as_deref().unwrap_or_default()
    }

    /// What of a dataset the model reads.
    fn read(&self, model: &Model, dataset: Dataset, texts: &Texts) -> Result<Read> {
        let (prompt, recording) = (texts.prompt(&dataset)?, self.tokens.one_row()?);
        let reads = (&model.tokenizer, model.spec());
        let (dataset, unplaced) = texts.placeable(reads, dataset, (&prompt, recording))?;
        Ok(Read { dataset, unplaced, prompt })
    }

    /// What is learnt from, where it is another dataset or prompt than that which is read.
    fn learnt_from(&self, lab: &Path, model: &Model) -> Result<Option<Read>> {
        let Settings { train, train_prompt, .. } = &self.settings;
        if train.is_none() && train_prompt.is_none() {
            return Ok(None);
        }
        let dataset = find(lab, train.as_deref().unwrap_or(self.dataset()))?;
        let prompt = train_prompt.clone().unwrap_or_else(|| self.texts.prompt.clone());
        self.read(model, dataset, &Texts { prompt, ..self.texts.clone() }).map(Some)
    }

    fn job<'a>(&'a self, (lab, model): (&'a Path, &'a Model), read: &'a Read) -> Result<Job<'a>> {
        Ok(Job {
            lab,
            model,
            dataset: &read.dataset,
            unplaced: &read.unplaced,
            prompt: &read.prompt,
            recording: self.tokens.one_row()?,
            seed: self.seed,
            resamples: self.resamples,
            settings: &self.settings,
            from: None,
        })
    }

    /// Fits some hook points, and says where their parts lie.
    fn apart(&self, job: &Job) -> Result<()> {
        let points = HookPoint::choose(&self.hook_points.join(","), &job.points())?;
        let how = match job.probe_apart(&points)? {
            Done::Now => "probed",
            Done::Before => "found, probed before",
        };
        points.iter().for_each(|point| println!("{how}: {point}"));
        println!("parts: {}", job.parts()?.root().display());
        println!("next: mappa probe --merge, when all {} hook points are there", job.points().len());
        Ok(())
    }
}

/// A dataset as the model reads it.
struct Read {
    dataset: Dataset,
    unplaced: Vec<Unplaced>,
    prompt: Prompt,
}
