//! `mappa steer sweep`: layers × doses × prompts × directions, and which of them to take.

use super::super::chosen::ChosenModel;
use super::super::stages::{FORMATS, held_weights};
use super::super::terminal;
use super::chosen::load_probes;
use super::feature::Feature;
use clap::Args;
use mappa::artefact::{self, Card};
use mappa::datasets::{Dataset, TargetKind, find};
use mappa::figures::{dose_by_layer, dose_response, effect_by_kl};
use mappa::hook_point::HookPoint;
use mappa::model::{ChatDate, Model};
use mappa::probes::ProbeSet;
use mappa::results::{SweepRow, load_rows, save_rows};
use mappa::steering::{
    Along, Direction, Gazetteer, NameSet, Sweep as Plan, Vectors, Way, Where, points, recommend, sweep,
};
use mappa::training::age;
use mappa::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Steer at several layers by several doses: what the probes read, what the text says, what it costs.
///
/// Beside the probe's direction stand random ones of the same length. Rows lie in steering/MODEL/NAME/sweep.csv;
/// a layer that is done is not computed again. The last line says which layer and dose have the most effect at a
/// budget of divergence.
///
/// Examples:
///   mappa steer sweep --target longitude --doses=-90,-60,-30,0,30,60,90 --prompts Warsaw,Athens,Lisbon
///   mappa steer sweep --target longitude --doses 0,30,60,90 --entities country=France --read country
///   mappa steer sweep --target year --dataset historical_figure --doses=-600,0,600 --prompts Plutarch --read age
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Sweep {
    #[command(flatten)]
    model: ChosenModel,
    /// latitude, longitude or year.
    #[arg(long)]
    target: String,
    /// The dataset whose probe steers and reads.
    #[arg(long, default_value = "world_place", value_name = "NAME")]
    dataset: String,
    /// How far, in the target's unit, with 0 among them; for --direction and --feature in rms.
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true, required = true)]
    doses: Vec<f64>,
    /// The blocks whose outputs are moved [default: all; with --feature, the dictionary's].
    #[arg(long, value_delimiter = ',')]
    layers: Vec<usize>,
    /// The texts to continue, with commas between them.
    #[arg(long, value_delimiter = ',')]
    prompts: Vec<String>,
    /// In place of --prompts: the dataset's test entities with this value in a column.
    #[arg(long, value_name = "COLUMN=VALUE", conflicts_with = "prompts")]
    entities: Vec<String>,
    /// The text around each entity.
    #[arg(long, default_value = "{}", value_name = "TEMPLATE", requires = "entities")]
    template: String,
    /// Along the probe's pattern, its weights, or both with a comma.
    #[arg(long, value_delimiter = ',', default_value = "pattern")]
    along: Vec<Along>,
    /// A file of vectors in place of the probe's direction.
    #[arg(long, value_name = "FILE")]
    direction: Option<PathBuf>,
    /// What a unit of a sparse dictionary writes, in place of the probe's direction.
    #[arg(long, value_name = "DICT:UNIT", conflicts_with = "direction")]
    feature: Option<Feature>,
    /// Which tokens are changed: prompt, generated, all, last, bos, or span:"a phrase"; several with commas.
    #[arg(long = "at", default_value = "all", value_name = "POSITIONS")]
    positions: Where,
    /// How many random directions stand beside.
    #[arg(long, default_value_t = 3)]
    random: u64,
    /// How many tokens to generate.
    #[arg(long, default_value_t = 12)]
    tokens: usize,
    /// Follow how likely the text goes on with an entity of this value, or with the value: country=Japan.
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
        let dataset = find(lab, &self.dataset)?;
        let probes = load_probes(lab, &model, &self.dataset)?;
        let prompts = self.texts(&dataset)?;
        let name = self.called.as_ref().unwrap_or(&self.target);
        let folder = lab.join("steering").join(&model.name).join(name);
        let card = self.card(&model, &dataset, &prompts)?;
        card.is_done(&folder.join("card.json"))?;
        let mut rows: Vec<SweepRow> = Vec::new();
        for layer in self.layers(&model)? {
            let file = folder.join("layers").join(format!("{layer}.csv"));
            if !file.is_file() {
                let of_layer = self.layer(&model, (&dataset, &probes), (&prompts, layer))?;
                // Not before: what is refused shall leave no card that refuses the mended command.
                card.save(&folder.join("card.json"))?;
                save_rows(&file, &of_layer)?;
            }
            rows.extend(load_rows::<SweepRow>(&file)?);
        }
        save_rows(&folder.join("sweep.csv"), &rows)?;
        self.draw(&rows, &folder)?;
        self.report(&rows);
        println!("{} rows in {} ({:.1} s)", rows.len(), folder.display(), started.elapsed().as_secs_f64());
        Ok(())
    }

    fn layers(&self, model: &Model) -> Result<Vec<usize>> {
        let n_layers = model.spec().n_layers;
        if let Some(feature) = &self.feature {
            let given = match self.layers[..] {
                [layer] => Some(HookPoint::ResidPost(layer)),
                _ => None,
            };
            return match feature.vector(model, given)?.0 {
                HookPoint::ResidPost(layer) => Ok(vec![layer]),
                other => {
                    Err(Error::invalid("dictionary", format!("one of {other}"), "one of a block's output"))
                }
            };
        }
        match self.layers.iter().find(|layer| **layer >= n_layers) {
            Some(layer) => {
                Err(Error::invalid("--layers", layer, format!("blocks from 0 to {}", n_layers - 1)))
            }
            None if self.layers.is_empty() => Ok((0..n_layers).collect()),
            None => Ok(self.layers.clone()),
        }
    }

    fn texts(&self, dataset: &Dataset) -> Result<Vec<String>> {
        if self.entities.is_empty() {
            return match self.prompts.is_empty() {
                true => Err(Error::invalid("texts to continue", "none", "--prompts or --entities")),
                false => Ok(self.prompts.clone()),
            };
        }
        let mut texts = Vec::new();
        for choice in &self.entities {
            let names = entities(dataset, choice, |entity| entity.is_test)?;
            texts.extend(names.into_iter().map(|name| self.template.replace("{}", &name)));
        }
        Ok(texts)
    }

    fn card(&self, model: &Model, dataset: &Dataset, prompts: &[String]) -> Result<Card> {
        let card = held_weights(model, Card::new())
            .input("weights_sha256", &model.weights_sha256)
            .input("tokenizer_sha256", &model.tokenizer.sha256)
            .input("dataset_sha256", &dataset.sha256)
            .input("target", &self.target)
            .input("doses", format!("{:?}", self.doses))
            .input("along", format!("{:?}", self.along))
            .input("at", format!("{:?}", self.positions))
            .input("random", self.random)
            .input("tokens", self.tokens)
            .input("names", self.names.as_deref().unwrap_or_default())
            .input("read", self.read.as_deref().unwrap_or_default())
            .input("chat", self.chat)
            .input("prompts", prompts.join(" | "));
        let card = match &self.feature {
            Some(feature) => card.input("feature", feature),
            None => card,
        };
        Ok(match &self.direction {
            Some(file) => card.input("direction_sha256", artefact::hash(&artefact::load_bytes(file)?)),
            None => card,
        })
    }

    /// The rows of one layer.
    fn layer(
        &self,
        model: &Model,
        (dataset, probes): (&Dataset, &ProbeSet),
        (prompts, layer): (&[String], usize),
    ) -> Result<Vec<SweepRow>> {
        let point = HookPoint::ResidPost(layer);
        let ways: Vec<Way> = match (&self.direction, &self.feature) {
            (None, Some(feature)) => {
                let (_, vector) = feature.vector(model, Some(point))?;
                vec![Way::Along("probe".into(), Direction::of(&vector)?)]
            }
            (Some(file), _) => {
                let vectors = Vectors::load(file, 0)?;
                let vector = vectors.get(model.spec(), point)?;
                vec![Way::Along("probe".into(), Direction::of(vector)?)]
            }
            (None, None) => self.along.iter().map(|along| Way::Probe(*along)).collect(),
        };
        let names = self.names.as_ref().map(|choice| name_set(dataset, choice)).transpose()?;
        let gazetteer = self.read.as_ref().map(|column| gazetteer(dataset, column)).transpose()?;
        let plan = Plan {
            kind: match dataset.kind {
                TargetKind::Place => "place",
                TargetKind::Year => "year",
                TargetKind::Quantity(_) => "quantity",
            },
            probes,
            target: &self.target,
            layer,
            ways: &ways,
            doses: &self.doses,
            prompts,
            at: self.positions.clone(),
            n_random: self.random,
            n_tokens: self.tokens,
            names: names.as_ref(),
            gazetteer: gazetteer.as_ref(),
        };
        let bar = terminal::bar(&format!("layer {layer}"), plan.len() as u64);
        let rows = sweep(model, &plan, &mut |p| bar.set_position(p.n_done as u64))?;
        bar.finish_and_clear();
        Ok(rows)
    }

    fn draw(&self, rows: &[SweepRow], folder: &Path) -> Result<()> {
        let (points, of) = points(rows);
        let drawn: Vec<SweepRow> =
            rows.iter().filter(|r| r.direction == "probe" || r.direction == "random").cloned().collect();
        let what = match of {
            "names" => "change of log-probability (nats)",
            "text" => "how far the text moved",
            _ => "how far the reading moved",
        };
        for (format, ending) in FORMATS {
            if drawn.iter().any(|row| row.direction == "probe") {
                let bytes = dose_response(&drawn, format)?;
                artefact::save_bytes(&folder.join(format!("dose_response.{ending}")), &bytes)?;
            }
            let bytes = dose_by_layer(&points, what, format)?;
            artefact::save_bytes(&folder.join(format!("dose_by_layer.{ending}")), &bytes)?;
            let bytes = effect_by_kl(&points, what, format)?;
            artefact::save_bytes(&folder.join(format!("effect_by_kl.{ending}")), &bytes)?;
        }
        Ok(())
    }

    /// What each direction did at each layer and dose, and the best of it.
    fn report(&self, rows: &[SweepRow]) {
        let (points, of) = points(rows);
        println!("effect along the dose, of the {of} (mean over prompts), and KL of the next token in nats:");
        println!("{:>5}  {:<10} {:>9} {:>10} {:>8}", "layer", "direction", "dose", "effect", "KL");
        for p in points.iter().filter(|p| p.dose != 0.0) {
            println!("{:>5}  {:<10} {:>+9} {:>10.2} {:>8.3}", p.layer, p.direction, p.dose, p.effect, p.kl);
        }
        match recommend(rows, self.budget) {
            Some(best) => {
                let random = best.random.map_or(String::new(), |r| format!(" (random directions: {r:.2})"));
                println!(
                    "best within {} nats: layer {}, dose {:+} along {}: the {} moves by {:.2}{random}, KL {:.2}",
                    self.budget, best.layer, best.dose, best.direction, best.effect_of, best.effect, best.kl
                );
            }
            None => {
                println!("no dose stays within {} nats: take smaller ones, or a larger --budget", self.budget)
            }
        }
    }
}

/// The names of a dataset's entities with a value in a column.
fn entities(
    dataset: &Dataset,
    choice: &str,
    is_wanted: impl Fn(&mappa::datasets::Entity) -> bool,
) -> Result<Vec<String>> {
    let columns = dataset.table.columns().join(", ");
    let wrong =
        |found: &str| Error::invalid("entities", found, format!("COLUMN=VALUE with one of {columns}"));
    let (column, value) = choice.split_once('=').ok_or_else(|| wrong(choice))?;
    let place = dataset.table.column(column.trim()).ok_or_else(|| wrong(column))?;
    let meant = dataset.entities.iter().filter(|entity| is_wanted(entity));
    let meant = meant.filter(|entity| dataset.table.cell(entity.row, place) == Some(value.trim()));
    let names: Vec<String> = meant.map(|entity| entity.name.clone()).collect();
    if names.is_empty() {
        let expected = format!("a value that rows of {} have there", dataset.name);
        return Err(Error::invalid(format!("entities {choice}"), "none", expected));
    }
    Ok(names)
}

/// A value of a column and the names of all entities that have it.
fn name_set(dataset: &Dataset, choice: &str) -> Result<NameSet> {
    let mut names = entities(dataset, choice, |_| true)?;
    names.extend(choice.split_once('=').map(|(_, value)| value.trim().to_string()));
    NameSet::new(names)
}

fn gazetteer(dataset: &Dataset, column: &str) -> Result<Gazetteer> {
    match (column, &dataset.kind) {
        ("age", TargetKind::Year) => {
            Gazetteer::of_groups(dataset, |entity| age(&dataset.name, entity.target.values()[0]))
        }
        _ => Gazetteer::of_column(dataset, column),
    }
}
