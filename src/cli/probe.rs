//! `mappa probe`: ridge probes at every layer, their scores and their baselines.

use super::chosen::ChosenModel;
use super::recording::ChosenTokens;
use super::stages::{Done, Job, draw};
use super::table;
use super::texts::Texts;
use clap::Args;
use mappa::Result;
use mappa::datasets::find;
use mappa::hook_point::HookPoint;
use mappa::results::load_rows;
use std::path::Path;

/// Fit ridge probes at every layer and score them beside their baselines.
///
/// Extracts first where that is not done. Baselines: a ridge on the names alone, the mean of the
/// entity's group, the embedding, an untrained model of the same shape, shuffled targets.
///
/// With --hook-points, fits some layers and writes each as a part, so that many machines can share the
/// work; when all parts are there, --merge writes what one run would have written, byte for byte.
///
/// Examples:
///   mappa probe --model path/to/pythia-160m --dataset world_place
///   mappa probe --dataset art --hook-points "embed,blocks.{0,1}.hook_resid_post"   on one machine,
///   mappa probe --dataset art --hook-points "blocks.{2,3,4,5}.hook_resid_post"     on another, then on one:
///   mappa probe --dataset art --merge                                              the same bytes as one run
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Probe {
    #[command(flatten)]
    model: ChosenModel,
    /// A dataset's name or CSV file.
    #[arg(long, value_name = "NAME|FILE")]
    dataset: String,
    #[command(flatten)]
    texts: Texts,
    #[command(flatten)]
    tokens: ChosenTokens,
    /// Seeds intervals, shuffled targets and the untrained model.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Bootstrap resamples of each interval.
    #[arg(long, default_value_t = 500)]
    resamples: usize,
    /// Fit only these of the hook points, by name or glob, with commas between several, as parts that
    /// --merge puts together.
    #[arg(long, value_name = "NAMES|GLOBS", conflicts_with = "merge")]
    hook_points: Vec<String>,
    /// Put the parts of all hook points into the files that one run would write.
    #[arg(long)]
    merge: bool,
}

impl Probe {
    /// Runs the command.
    pub fn run(&self, lab: &Path) -> Result<()> {
        let (dataset, recording) = (find(lab, &self.dataset)?, self.tokens.one_row()?);
        let prompt = self.texts.prompt(&dataset)?;
        let model = self.texts.set_up(self.model.load(lab)?)?;
        let reads = (&model.tokenizer, model.spec());
        let (dataset, unplaced) = self.texts.placeable(reads, dataset, (&prompt, recording))?;
        let job = Job {
            lab,
            model: &model,
            dataset: &dataset,
            unplaced: &unplaced,
            prompt: &prompt,
            recording,
            seed: self.seed,
            resamples: self.resamples,
        };
        job.extract()?;
        if !self.hook_points.is_empty() {
            return self.apart(&job);
        }
        let done = if self.merge { job.merge_probes()? } else { job.probe()? };
        if done == Done::Before {
            println!("found, probed before");
        }
        let scores = vec![(dataset.name.clone(), load_rows(&job.probe_folder().join("scores.csv"))?)];
        table::print_scores(&scores)?;
        table::print_curves(&scores);
        let files = draw(lab, &model.name, &job.folder(), std::slice::from_ref(&dataset.name))?;
        println!("\nprobes, scores, predictions: {}", job.probe_folder().display());
        files.iter().for_each(|file| println!("figure: {}", file.display()));
        if model.transformer.generates() {
            println!("next: mappa steer --model {} --dataset {} --prompt …", self.model.name, dataset.name);
        }
        Ok(())
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
