//! `mappa figure`: draws figures again from saved rows.

use super::observer::TerminalObserver;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use mappa::artefact::FolderName;
use mappa::datasets::{BUNDLED, Prompt};
use mappa::figures::FIGURES;
use mappa::lab::{Lab, SavedNames, draw_saved, name_in_lab, saved_sweeps, scored_datasets};
use mappa::model::BUNDLED_MODEL;
use mappa::{Error, Result};

/// Draw figures again from saved rows, without computing any results.
///
/// Figures of datasets are saved in figures/MODEL/PROMPT; those of a sweep in the sweep's folder, steering/MODEL/NAME.
///
/// Examples:
///   mappa figure --model pythia-160m --dataset world_place
///   mappa figure dose_by_layer effect_by_kl
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Figure {
    /// The names of the figures [default: all figures whose rows are saved].
    #[arg(value_name = "FIGURE", value_parser = names())]
    figures: Vec<String>,
    /// The model as it was given to `mappa probe`, or its name below probes/.
    #[arg(long, default_value = BUNDLED_MODEL)]
    model: String,
    /// Datasets; repeat for several [default: all datasets with scores, and all sweeps].
    #[arg(long = "dataset", value_name = "NAME")]
    datasets: Vec<String>,
    /// A prompt as mappa extract takes it, or its folder's name, such as empty-chat.
    #[arg(long, default_value = "empty", value_name = "NAME|TEMPLATE")]
    prompt: String,
}

impl Figure {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        let model = &name_in_lab(lab, &self.model)?;
        let folder = self.folder(lab, model)?;
        let names: Vec<FolderName> = match &self.datasets[..] {
            [] => scored_datasets(lab, model, &folder),
            names => names.iter().map(|name| FolderName::new("--dataset", name)).collect::<Result<_>>()?,
        };
        let sweeps = if self.datasets.is_empty() { saved_sweeps(lab, model)? } else { Vec::new() };
        if names.is_empty() && sweeps.is_empty() {
            let found = format!("no scores in {}", lab.probes_of(model).display());
            return Err(Error::invalid(
                "model",
                found,
                "a probed model; run `mappa probe` or `mappa run` first",
            ));
        }
        let (model, figures) = (model.clone(), self.figures.clone());
        let names = SavedNames { model, results: folder, datasets: names, sweeps, figures };
        let files = draw_saved(lab, &names, &mut TerminalObserver::default())?;
        if files.is_empty() {
            let expected = "rows of `mappa probe`, `mappa neurons` or `mappa steer sweep`";
            return Err(Error::invalid("figures", "no saved rows for them", expected));
        }
        for file in files {
            say!("{}", file.display());
        }
        Ok(())
    }

    /// The last folder of the results' path.
    fn folder(&self, lab: &Lab, model: &FolderName) -> Result<FolderName> {
        let datasets = BUNDLED.into_iter().chain(self.datasets.iter().map(String::as_str));
        let mut datasets = datasets.map(FolderName::of_text);
        match FolderName::new("--prompt", &self.prompt) {
            Ok(name) if datasets.any(|dataset| lab.probes(model, &dataset, &name).is_dir()) => Ok(name),
            _ => Prompt::name_of(&self.prompt),
        }
    }
}

/// The possible names of figures, each with a description.
fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(FIGURES.map(|figure| PossibleValue::new(figure.name).help(figure.about)))
}
