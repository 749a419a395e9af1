//! `mappa extract`: every layer's stream at each entity's last token.

use super::chosen::{self, ChosenModel};
use super::show;
use super::stages::{Done, Job};
use super::texts::{Texts, load_prompts};
use clap::Args;
use mappa::Result;
use mappa::datasets::{Dataset, find};
use mappa::model::{Model, Outline};
use std::path::{Path, PathBuf};

/// Extract every layer's residual stream at each entity's last token.
///
/// Writes one safetensors file a hook point, [n_entities, d_model] in dataset order, and spans.csv, which has
/// each row's number in the dataset, its tokens, and the place that was read.
///
/// Examples:
///   mappa extract --model path/to/pythia-160m --dataset world_place.csv --prompt "Where is {}"
///   mappa extract --dataset us_place --prompt "{}, {state_name}" --show-texts 5
///   mappa extract --model path/to/pythia-160m --dataset art --prompt release --names paper --bos always
///   mappa extract --model path/to/Qwen3-0.6B --dataset world_place --prompt coords --chat
///   mappa extract --dataset nyc_place --prompts prompts.toml
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Extract {
    #[command(flatten)]
    model: ChosenModel,
    /// A dataset's name or CSV file.
    #[arg(long, value_name = "NAME|FILE")]
    dataset: String,
    #[command(flatten)]
    texts: Texts,
    /// Several prompts, one after the other: a TOML file with lines such as where = "Where is {}?".
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    prompts: Option<PathBuf>,
    /// Show the first N texts with their tokens and the place that would be read, and those that have none;
    /// nothing is extracted, and no weights are read.
    #[arg(long, value_name = "N")]
    show_texts: Option<usize>,
}

impl Extract {
    /// Runs the command.
    pub fn run(&self, lab: &Path) -> Result<()> {
        let dataset = find(lab, &self.dataset)?;
        let all = match &self.prompts {
            Some(path) => load_prompts(path, &self.texts)?,
            None => vec![self.texts.clone()],
        };
        // A prompt that does not suit the dataset is known before the first weights are read.
        all.iter().try_for_each(|texts| texts.prompt(&dataset)?.texts(&dataset).map(drop))?;
        if let Some(n) = self.show_texts {
            let outline = Outline::of(&chosen::find(lab, &self.model.name)?)?;
            return all.iter().try_for_each(|texts| show::texts(texts, &outline, (&dataset, n)));
        }
        let mut model = self.model.load(lab)?;
        for texts in &all {
            model = self.extract((lab, texts), model, dataset.clone())?;
        }
        println!("next: mappa probe --model {} --dataset {}", self.model.name, self.dataset);
        Ok(())
    }

    fn extract(&self, (lab, texts): (&Path, &Texts), model: Model, dataset: Dataset) -> Result<Model> {
        let prompt = texts.prompt(&dataset)?;
        let model = texts.set_up(model)?;
        let (dataset, unplaced) = texts.placeable((&model.tokenizer, model.spec()), dataset, &prompt)?;
        let (seed, resamples) = (0, 0);
        let (dataset, unplaced) = (&dataset, &unplaced[..]);
        let job = Job { lab, model: &model, dataset, unplaced, prompt: &prompt, seed, resamples };
        let done = job.extract()?;
        let how = if done == Done::Now { "extracted" } else { "found, extracted before" };
        println!("{how}: {} entities, {} hook points", dataset.entities.len(), model.spec().n_layers + 1);
        println!("activations: {}", job.activations().folder.display());
        Ok(model)
    }
}
