//! `mappa steer sweep`: layers × doses × prompts × directions, and which of them to take.

use super::super::chosen::ChosenModel;
use super::super::experiment::SweepPlan;
use super::super::notes;
use super::super::probed::{ChosenProbes, Probed};
use super::super::sweeping::{
    Sweeping, UnitVector, draw_sweep, entities, print_points, print_recommendation,
};
use super::feature::Feature;
use clap::Args;
use mappa::artefact::folder_name;
use mappa::datasets::Dataset;
use mappa::hook_point::HookPoint;
use mappa::model::{ChatDate, Model};
use mappa::steering::{Basis, LayerSet, RequiredTarget, TokenChoice};
use mappa::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Steer at several layers by several doses: what the probes read, what the text says, what it costs.
///
/// Beside the probe's direction stand random ones of the same length. Layers with + between them are steered
/// together. Rows lie in steering/MODEL/NAME/sweep.csv; a layer that is done is not computed again. The last line
/// says which layer and dose have the most effect at a budget of divergence.
///
/// Examples:
///   mappa steer sweep --target longitude --doses=-90,-60,-30,0,30,60,90 --prompts Warsaw,Athens,Lisbon
///   mappa steer sweep --target longitude --doses 0,60,90 --prompts Vienna,Athens,Lisbon --template "{} is in" --layers 0,0+1+2 --read country
///   mappa steer sweep --target longitude --doses 0,60,90 --entities continent=Europe --template "{} is in" --layers 0+1+2 --read country
///   mappa steer sweep --target year --dataset historical_figure --doses=-600,0,600 --prompts Plutarch --read age
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Sweep {
    #[command(flatten)]
    model: ChosenModel,
    /// The target that is moved: latitude, longitude, year or another that was probed.
    #[arg(long)]
    target: String,
    #[command(flatten)]
    from: ChosenProbes,
    /// How far, in the target's unit, with 0 among them; for --direction and --feature in rms.
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true, required = true)]
    doses: Vec<f64>,
    /// The blocks whose outputs are moved, one after the other; together with + between them: 0,3,0+1+2
    /// [default: each; with --feature, the dictionary's].
    #[arg(long, value_delimiter = ',')]
    layers: Vec<LayerSet>,
    /// The texts to continue, with commas between them.
    #[arg(long, value_delimiter = ',')]
    prompts: Vec<String>,
    /// In place of --prompts: the dataset's test entities with this value in a column, or of this age.
    #[arg(long, value_name = "COLUMN=VALUE", conflicts_with = "prompts")]
    entities: Vec<String>,
    /// The text around each prompt or entity.
    #[arg(long, default_value = "{}", value_name = "TEMPLATE")]
    template: String,
    /// Along the probe's pattern, its weights, or both with a comma.
    #[arg(long, value_delimiter = ',', default_value = "pattern")]
    along: Vec<Basis>,
    /// A file of vectors in place of the probe's direction.
    #[arg(long, value_name = "FILE")]
    direction: Option<PathBuf>,
    /// What a unit of a sparse dictionary writes, in place of the probe's direction.
    #[arg(long, value_name = "DICT:UNIT", conflicts_with = "direction")]
    feature: Option<Feature>,
    /// Which tokens are changed: prompt, generated, all, last, bos, entity, or span:"a phrase"; several with commas.
    #[arg(long = "at", default_value = "all", value_name = "POSITIONS")]
    positions: TokenChoice,
    /// How many random directions stand beside.
    #[arg(long, default_value_t = 3)]
    random: u64,
    /// How many tokens to generate.
    #[arg(long, default_value_t = 12)]
    tokens: usize,
    /// Follow how likely the text goes on with an entity of this value, or with the value: country=Japan,
    /// age=Roman.
    #[arg(long, value_name = "COLUMN=VALUE")]
    names: Option<String>,
    /// Read the answer out of the text: a column whose values have a middle, such as country; or age.
    #[arg(long, value_name = "COLUMN|age")]
    read: Option<String>,
    /// Divergence of the next token that the recommendation may cost, in nats.
    #[arg(long, default_value_t = 2.0)]
    budget: f64,
    /// Put each prompt in the user's turn of the model's chat template.
    #[arg(long)]
    chat: bool,
    /// What its folder is called [default: the target].
    #[arg(long = "called", value_name = "NAME")]
    called: Option<String>,
}

impl Sweep {
    /// Runs the command.
    pub fn run(&self, lab: &Path) -> Result<()> {
        let started = Instant::now();
        let mut model = self.model.load(lab)?;
        if self.chat {
            model.tokenizer = model.tokenizer.with_chat(ChatDate::default())?;
        }
        let probed = self.from.newest(lab, &model, &RequiredTarget::of_target(&self.target))?;
        let dataset = self.from.dataset(lab, &probed)?;
        let plan = self.plan(&dataset)?;
        plan.prompts.iter().for_each(|prompt| notes::doubled_bos(&model.tokenizer, prompt));
        let unit = self.unit(&model)?;
        let layers = match &unit {
            Some(unit) => vec![LayerSet::one(unit.layer)],
            None if self.layers.is_empty() => (0..model.spec().n_layers).map(LayerSet::one).collect(),
            None => self.layers.clone(),
        };
        let Probed { folder: from, set: probes, .. } = &probed;
        let (model, dataset, plan) = (&model, &dataset, &plan);
        let sweeping = Sweeping { model, dataset, probes: (probes, from), plan, layers, unit };
        let folder = lab.join("steering").join(&model.name).join(folder_name("--called", plan.name())?);
        let (rows, _) = sweeping.rows(&folder)?;
        draw_sweep(&rows, &folder)?;
        print_points(&rows);
        print_recommendation(&rows, self.budget);
        println!("{} rows in {} ({:.1} s)", rows.len(), folder.display(), started.elapsed().as_secs_f64());
        Ok(())
    }

    /// What the unit of a dictionary writes, and after which block.
    fn unit(&self, model: &Model) -> Result<Option<UnitVector>> {
        let Some(feature) = &self.feature else { return Ok(None) };
        let given = match &self.layers[..] {
            [layers] if layers.blocks().len() == 1 => Some(HookPoint::ResidPost(layers.first())),
            _ => None,
        };
        match feature.vector(model, given)? {
            (HookPoint::ResidPost(layer), vector) => {
                Ok(Some(UnitVector { name: feature.to_string(), layer, vector }))
            }
            (other, _) => {
                Err(Error::invalid("dictionary", format!("one of {other}"), "one of a block's output"))
            }
        }
    }

    fn plan(&self, dataset: &Dataset) -> Result<SweepPlan> {
        Ok(SweepPlan {
            called: Some(self.called.clone().unwrap_or_else(|| self.target.clone())),
            kind: String::new(),
            dataset: dataset.name.clone(),
            target: self.target.clone(),
            doses: self.doses.clone(),
            prompts: self.prompts(dataset)?,
            template: self.template.clone(),
            layer: None,
            layers: vec![],
            along: self.along.clone(),
            direction: self.direction.clone(),
            at: self.positions.clone(),
            random: self.random,
            tokens: self.tokens,
            names: self.names.clone(),
            read: self.read.clone(),
        })
    }

    fn prompts(&self, dataset: &Dataset) -> Result<Vec<String>> {
        match (self.entities.is_empty(), self.prompts.is_empty()) {
            (true, true) => Err(Error::invalid("texts to continue", "none", "--prompts or --entities")),
            (true, false) => Ok(self.prompts.clone()),
            (false, _) => {
                let each = self.entities.iter().map(|choice| entities(dataset, choice, |e| e.is_test));
                Ok(each.collect::<Result<Vec<_>>>()?.concat())
            }
        }
    }
}
