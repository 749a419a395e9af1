//! `mappa figure`: draws figures again from saved rows.

use super::observer::TerminalObserver;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use mappa::artefact::FolderName;
use mappa::datasets::{Prompt, name_of};
use mappa::figures::FIGURES;
use mappa::lab::{
    Lab, SavedNames, draw_saved, draw_saved_causes, name_in_lab, probed_datasets, saved_causes, saved_lenses,
    saved_sweeps, scored_datasets,
};
use mappa::model::BUNDLED_MODEL;
use mappa::results::SCORES_FILE;
use mappa::{Error, Result};

/// Draw figures again from saved rows, without computing any results.
///
/// Figures of datasets are saved in figures/MODEL/PROMPT; those of a sweep or a lens in its own
/// folder, steering/MODEL/NAME or lenses/MODEL/NAME.
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
    /// Datasets, each by its name or its file; repeat for several [default: all datasets with scores, all sweeps
    /// and all lenses].
    #[arg(long = "dataset", value_name = "NAME|FILE")]
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
        let names = self.scored(lab, model, &folder)?;
        let sweeps = if self.datasets.is_empty() { saved_sweeps(lab, model)? } else { Vec::new() };
        let lenses = if self.datasets.is_empty() { saved_lenses(lab, model)? } else { Vec::new() };
        let causes = if self.datasets.is_empty() { saved_causes(lab, model) } else { Vec::new() };
        if names.is_empty() && sweeps.is_empty() && lenses.is_empty() && causes.is_empty() {
            let found = format!("no scores in {}", lab.probes_of(model).display());
            return Err(Error::invalid(
                "model",
                found,
                "a probed model; run `mappa probe` or `mappa run` first",
            ));
        }
        let (model, figures) = (model.clone(), self.figures.clone());
        let names = SavedNames { model, results: folder, datasets: names, sweeps, lenses, figures };
        let mut files = draw_saved(lab, &names, &mut TerminalObserver::default())?;
        if self.figures.is_empty() || self.figures.iter().any(|name| name == "used_by_layer") {
            files.extend(draw_saved_causes(lab, &causes, &mut TerminalObserver::default())?);
        }
        if files.is_empty() {
            let expected = "rows of `mappa probe`, `mappa neurons`, `mappa cause`, `mappa steer sweep` or `mappa lens fit`";
            return Err(Error::invalid("figures", "no saved rows for them", expected));
        }
        for file in files {
            say!("{}", file.display());
        }
        Ok(())
    }

    /// The datasets to draw, which have scores in the folder of this name.
    fn scored(&self, lab: &Lab, model: &FolderName, folder: &FolderName) -> Result<Vec<FolderName>> {
        let is_scored = |name: &FolderName| lab.probes(model, name, folder).join(SCORES_FILE).is_file();
        let one = |given: &String| {
            // As everywhere, the file of a dataset stands for its name.
            let name = FolderName::new("--dataset", &name_of(given))?;
            if is_scored(&name) {
                return Ok(name);
            }
            let found = format!("{given}, which has no scores of {model} in {folder}");
            let expected = match &probed_datasets(lab, model)[..] {
                [] => "`mappa probe` first".to_string(),
                some => {
                    format!("one of {}; --prompt chooses among their folders", folders_of(lab, model, some))
                }
            };
            Err(Error::invalid("--dataset", found, expected))
        };
        match &self.datasets[..] {
            [] => Ok(scored_datasets(lab, model, folder)),
            names => names.iter().map(one).collect(),
        }
    }

    /// The last folder of the results' path.
    fn folder(&self, lab: &Lab, model: &FolderName) -> Result<FolderName> {
        let mut datasets = probed_datasets(lab, model).into_iter();
        match FolderName::new("--prompt", &self.prompt) {
            Ok(name) if datasets.any(|dataset| lab.probes(model, &dataset, &name).is_dir()) => Ok(name),
            _ => Prompt::name_of(&self.prompt),
        }
    }
}

/// The folders with scores of some datasets, as DATASET/FOLDER.
fn folders_of(lab: &Lab, model: &FolderName, datasets: &[FolderName]) -> String {
    let of_one = |dataset: &FolderName| {
        let entries = std::fs::read_dir(lab.probes_of(model).join(dataset)).into_iter().flatten().flatten();
        let scored = entries.filter(|entry| entry.path().join(SCORES_FILE).is_file());
        let mut names: Vec<String> =
            scored.map(|entry| format!("{dataset}/{}", entry.file_name().to_string_lossy())).collect();
        names.sort();
        names
    };
    datasets.iter().flat_map(of_one).collect::<Vec<String>>().join(", ")
}

/// The possible names of figures, each with a description.
fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(FIGURES.map(|figure| PossibleValue::new(figure.name).help(figure.about)))
}
