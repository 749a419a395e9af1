//! `mappa steer sweep`: layers × doses × prompts × directions, with a recommendation.

use super::super::model_flags::ModelFlags;
use super::super::observer::TerminalObserver;
use super::super::saved_probe_flags::ProbeFlags;
use super::super::sweep_table::{print_points, print_recommendation};
use super::super::within::within;
use clap::Args;
use mappa::Result;
use mappa::artefact::FolderName;
use mappa::lab::{Lab, Latent, SweepReport, SweepSettings, sweep};
use mappa::limits::{ANY, RANDOM};
use mappa::steering::{Basis, LayerSet, TokenChoice};
use mappa::tokenizer::ChatDate;
use std::path::PathBuf;
use std::time::Instant;

/// Steer at several layers by several doses; measure the effect on predictions and text, and the KL divergence.
///
/// For comparison, random directions of the same length are swept as well. Layers joined by + are steered
/// together. Rows are saved in steering/MODEL/NAME/sweep.csv; finished layers are reused. The command
/// recommends the layer and dose with the largest effect whose KL divergence is within the budget.
///
/// Examples:
///   mappa steer sweep --target longitude --doses=-90,-60,-30,0,30,60,90 --prompts Warsaw,Athens,Lisbon
///   mappa steer sweep --target longitude --doses 0,60,90 --prompts Vienna,Athens,Lisbon --template "{} is in" --layers 0,0+1+2 --read country
///   mappa steer sweep --target longitude --doses 0,60,90 --entities continent=Europe --template "{} is in" --layers 0+1+2 --read country
///   mappa steer sweep --target year --dataset historical_figure --doses=-600,0,600 --prompts Plutarch --read age
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Sweep {
    #[command(flatten)]
    model: ModelFlags,
    /// The target to move: latitude, longitude, year or another probed target.
    #[arg(long)]
    target: String,
    #[command(flatten)]
    from: ProbeFlags,
    /// Doses in the target's unit, including 0; for --direction and --feature in rms.
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true, required = true)]
    doses: Vec<f64>,
    /// The blocks whose outputs are changed [default: each block; with --feature, the dictionary's block].
    ///
    /// They are changed one after the other, unless + joins blocks that are changed together: 0,3,0+1+2.
    #[arg(long, value_delimiter = ',')]
    layers: Vec<LayerSet>,
    /// The texts to continue, separated by commas.
    #[arg(long, value_delimiter = ',')]
    prompts: Vec<String>,
    /// In place of --prompts: the dataset's test entities with this value in a column, or of this historical age.
    #[arg(long, value_name = "COLUMN=VALUE", conflicts_with = "prompts")]
    entities: Vec<String>,
    /// The text around each prompt or entity.
    #[arg(long, default_value = "{}", value_name = "TEMPLATE")]
    template: String,
    /// The direction: the probe's pattern, its weights, or both separated by a comma.
    #[arg(long, value_delimiter = ',', default_value = "pattern")]
    along: Vec<Basis>,
    /// A file of vectors, which replaces the probe's direction.
    #[arg(long, value_name = "FILE")]
    direction: Option<PathBuf>,
    /// A latent of a sparse dictionary, whose decoder vector replaces the probe's direction.
    #[arg(long, value_name = "DICT:LATENT", conflicts_with = "direction")]
    feature: Option<Latent>,
    /// The tokens to change: prompt, generated, all, last, bos, entity, or span:"a phrase"; separated by commas.
    #[arg(long = "at", default_value = "all", value_name = "POSITIONS")]
    positions: TokenChoice,
    /// Number of random directions for comparison.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(..=RANDOM.most))]
    random: u64,
    /// Number of tokens to generate.
    #[arg(long, default_value_t = 12, value_parser = within(ANY))]
    tokens: usize,
    /// Measure the probability that the text continues with this value, or with the name of an entity that has it.
    ///
    /// Examples: country=Japan, age=Roman.
    #[arg(long, value_name = "COLUMN=VALUE")]
    names: Option<String>,
    /// Find the answer in the generated text: the first named value of this column, or the first named historical age.
    ///
    /// Examples: country, age.
    #[arg(long, value_name = "COLUMN|age")]
    read: Option<String>,
    /// Maximum KL divergence of the next token for the recommendation, in nats.
    #[arg(long, default_value_t = 2.0)]
    budget: f64,
    /// Put each prompt in the user's turn of the model's chat template.
    #[arg(long)]
    chat: bool,
    /// Name of the sweep's folder [default: the target].
    #[arg(long = "called", value_name = "NAME", value_parser = |name: &str| FolderName::new("--called", name))]
    called: Option<FolderName>,
}

impl Sweep {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        let (started, observer) = (Instant::now(), &mut TerminalObserver::default());
        let mut model = self.model.open(lab, observer)?;
        if self.chat {
            model.tokenizer = model.tokenizer.with_chat(ChatDate::default())?;
        }
        let SweepReport { rows, folder, .. } = sweep(lab, &model, &self.settings(), observer)?;
        print_points(&rows);
        print_recommendation(&rows, self.budget);
        say!("{} rows in {} ({:.1} s)", rows.len(), folder.display(), started.elapsed().as_secs_f64());
        Ok(())
    }

    fn settings(&self) -> SweepSettings {
        let probes = self.from.settings();
        SweepSettings {
            called: self.called.clone().map(String::from),
            kind: None,
            dataset: probes.dataset.unwrap_or_default(),
            probes: probes.probes,
            target: self.target.clone(),
            doses: self.doses.clone(),
            prompts: self.prompts.clone(),
            entities: self.entities.clone(),
            template: self.template.clone(),
            layer: None,
            layers: self.layers.clone(),
            along: self.along.clone(),
            direction: self.direction.clone(),
            feature: self.feature.clone(),
            at: self.positions.clone(),
            random: self.random,
            tokens: self.tokens,
            names: self.names.clone(),
            read: self.read.clone(),
            budget: self.budget,
        }
    }
}
