//! `mappa figure`: the figures of saved rows, drawn again.

use super::stages::{draw, probe_folder};
use clap::Args;
use mappa::datasets::{BUNDLED, Prompt};
use mappa::model::BUNDLED_MODEL;
use mappa::{Error, Result};
use std::path::Path;

/// Draw R² by layer and predictions again from saved scores; nothing is computed.
///
/// Example: mappa figure --model pythia-160m --dataset world_place
#[derive(Args)]
pub struct Figure {
    /// The model's name, as probes/ has it.
    #[arg(long, default_value = BUNDLED_MODEL)]
    model: String,
    /// Datasets; repeat for several. Default: every bundled one that has scores.
    #[arg(long = "dataset", value_name = "NAME")]
    datasets: Vec<String>,
    /// A text with {} for the name.
    #[arg(long, default_value = "{}")]
    prompt: String,
}

impl Figure {
    /// Runs the command.
    pub fn run(&self, lab: &Path) -> Result<()> {
        let prompt = Prompt::new(&self.prompt)?;
        let scored =
            |name: &&str| probe_folder(lab, &self.model, name, &prompt.name).join("scores.csv").is_file();
        let names: Vec<String> = match &self.datasets[..] {
            [] => BUNDLED.into_iter().filter(scored).map(String::from).collect(),
            names => names.to_vec(),
        };
        if names.is_empty() {
            let found = format!("no scores in {}", lab.join("probes").join(&self.model).display());
            return Err(Error::invalid(
                "model",
                found,
                "one that was probed; run `mappa probe` or `mappa run` first",
            ));
        }
        for file in draw(lab, &self.model, &prompt.name, &names)? {
            println!("{}", file.display());
        }
        Ok(())
    }
}
