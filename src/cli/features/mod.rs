//! `mappa features`: sparse dictionaries.
//!
//! - `list`: latents and the entities they are active on; `latent` shows one latent, `cells` formats table rows
//! - `train`: trains a dictionary on a model's activations
//! - `clamp`: the effect of clamped latents on the probability of names

mod cells;
mod clamp;
mod latent;
mod list;
mod train;

use super::model_flags::ModelFlags;
use super::observer::TerminalObserver;
use super::prompt_flags::PromptFlags;
use clap::Subcommand;
use mappa::Result;
use mappa::features::Dictionary;
use mappa::hook_point::HookPoint;
use mappa::lab::{ExtractionSettings, Lab, ListingSettings, Prompted, find_dataset, load_dictionary};
use mappa::model::Model;
use std::path::PathBuf;

/// Sparse dictionaries (sparse autoencoders): the entities of their latents, and the effect of clamping them.
#[derive(clap::Args)]
pub(super) struct Features {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(Box<list::List>),
    #[command(alias = "press")]
    Clamp(Box<clamp::Clamp>),
    Train(Box<train::TrainDictionary>),
}

impl Features {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        match &self.command {
            Command::List(args) => args.run(lab),
            Command::Clamp(args) => args.run(lab),
            Command::Train(args) => args.run(lab),
        }
    }
}

/// Flags of a dictionary and of the dataset to list it on.
#[derive(clap::Args)]
pub(super) struct Source {
    /// The dictionary: a SAELens folder or a Gemma Scope .npz.
    #[arg(value_name = "DICT")]
    dictionary: PathBuf,
    #[command(flatten)]
    model: ModelFlags,
    /// A dataset's name, or a CSV, TSV, JSON or Parquet file.
    #[arg(long, default_value = "world_place", value_name = "NAME|FILE")]
    dataset: String,
    #[command(flatten)]
    texts: PromptFlags,
    /// The dictionary's hook point, if its file does not name it.
    #[arg(long, value_name = "NAME")]
    hook_point: Option<HookPoint>,
    /// The column whose groups are matched [default: age for years, otherwise the dataset's first group column].
    ///
    /// Datasets of years also have the columns century, decade and age.
    #[arg(long)]
    column: Option<String>,
}

/// A loaded dictionary with its model and dataset.
pub(super) struct Loaded {
    model: Model,
    dictionary: Dictionary,
    prompted: Prompted,
    settings: ListingSettings,
}

impl Source {
    /// Loads the model, the dictionary and the dataset.
    fn load(&self, lab: &Lab, smallest: usize, observer: &mut TerminalObserver) -> Result<Loaded> {
        let prompting = self.texts.settings();
        let model = prompting.set_up(self.model.open(lab, observer)?, observer)?;
        let dictionary = load_dictionary(&self.dictionary, self.hook_point, &model, observer)?;
        let dataset = find_dataset(lab, &self.dataset, observer)?;
        let extraction = ExtractionSettings { prompting, ..ExtractionSettings::default() };
        let prompted = extraction.apply(dataset, &model)?;
        let (path, column) = (self.dictionary.clone(), self.column.clone());
        let settings = ListingSettings { dictionary: path, column, smallest };
        Ok(Loaded { model, dictionary, prompted, settings })
    }
}
