//! `mappa figure`: the figures of saved rows, drawn again.

use super::observer::TerminalObserver;
use clap::Args;
use mappa::datasets::{BUNDLED, Prompt};
use mappa::lab::{Lab, SavedNames, draw_saved, name_in_lab};
use mappa::model::BUNDLED_MODEL;
use mappa::{Error, Result};

/// Draw R² by layer and predictions again from saved scores; nothing is computed.
///
/// Example: mappa figure --model pythia-160m --dataset world_place
#[derive(Args)]
pub struct Figure {
    /// The model as it was given to `mappa probe`, or its name below probes/.
    #[arg(long, default_value = BUNDLED_MODEL)]
    model: String,
    /// Datasets; repeat for several. Default: every bundled one that has scores.
    #[arg(long = "dataset", value_name = "NAME")]
    datasets: Vec<String>,
    /// A prompt as mappa extract takes it, or its folder's name, such as empty-chat.
    #[arg(long, default_value = "empty", value_name = "NAME|TEMPLATE")]
    prompt: String,
}

impl Figure {
    /// Runs the command.
    pub fn run(&self, lab: &Lab) -> Result<()> {
        let model = &name_in_lab(lab, &self.model);
        let folder = self.folder(lab, model)?;
        let scored = |name: &&str| lab.probes(model, name, &folder).join("scores.csv").is_file();
        let names: Vec<String> = match &self.datasets[..] {
            [] => BUNDLED.into_iter().filter(scored).map(String::from).collect(),
            names => names.to_vec(),
        };
        if names.is_empty() {
            let found = format!("no scores in {}", lab.probes_of(model).display());
            return Err(Error::invalid(
                "model",
                found,
                "one that was probed; run `mappa probe` or `mappa run` first",
            ));
        }
        let names = SavedNames { model: model.clone(), results: folder, datasets: names };
        for file in draw_saved(lab, &names, &mut TerminalObserver::default())? {
            println!("{}", file.display());
        }
        Ok(())
    }

    /// The folder that the prompt's results lie in.
    fn folder(&self, lab: &Lab, model: &str) -> Result<String> {
        let datasets = BUNDLED.into_iter().chain(self.datasets.iter().map(String::as_str));
        let mut folders = datasets.map(|name| lab.probes(model, name, &self.prompt));
        match folders.any(|folder| folder.is_dir()) {
            true => Ok(self.prompt.clone()),
            false => Prompt::name_of(&self.prompt),
        }
    }
}
