//! `mappa extract`: every layer's stream at each entity's last token.

use super::chosen::ChosenModel;
use super::stages::{Done, Job};
use clap::Args;
use mappa::Result;
use mappa::datasets::{Prompt, find};
use std::path::Path;

/// Extract every layer's residual stream at each entity's last token.
///
/// Writes one safetensors file a hook point, [n_entities, d_model] in dataset order, and spans.csv.
///
/// Example: mappa extract --model path/to/pythia-160m --dataset world_place.csv --prompt "Where is {}"
#[derive(Args)]
pub struct Extract {
    #[command(flatten)]
    model: ChosenModel,
    /// A dataset's name or CSV file.
    #[arg(long, value_name = "NAME|FILE")]
    dataset: String,
    /// A text with {} for the name.
    #[arg(long, default_value = "{}")]
    prompt: String,
}

impl Extract {
    /// Runs the command.
    pub fn run(&self, lab: &Path) -> Result<()> {
        let (model, dataset) = (self.model.load(lab)?, find(lab, &self.dataset)?);
        let prompt = Prompt::new(&self.prompt)?;
        let job = Job { lab, model: &model, dataset: &dataset, prompt: &prompt, seed: 0, resamples: 0 };
        let done = job.extract()?;
        let how = if done == Done::Now { "extracted" } else { "found, extracted before" };
        println!("{how}: {} entities, {} hook points", dataset.entities.len(), model.spec().n_layers + 1);
        println!("activations: {}", job.activations().folder.display());
        println!("next: mappa probe --model {} --dataset {}", self.model.name, self.dataset);
        Ok(())
    }
}
