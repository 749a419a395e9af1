//! `mappa probe`: ridge probes at every layer, their scores and their baselines.

use super::chosen::ChosenModel;
use super::recording::ChosenTokens;
use super::stages::{Done, Job, draw};
use super::table;
use super::texts::Texts;
use clap::Args;
use mappa::Result;
use mappa::datasets::find;
use mappa::results::load_rows;
use std::path::Path;

/// Fit ridge probes at every layer and score them beside their baselines.
///
/// Extracts first where that is not done. Baselines: a ridge on the names alone, the mean of the
/// entity's group, the embedding, an untrained model of the same shape, shuffled targets.
///
/// Example: mappa probe --model path/to/pythia-160m --dataset world_place
#[derive(Args)]
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
        if job.probe()? == Done::Before {
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
}
