//! A sweep in its folder: layers that are done are found again, then rows, figures and a recommendation.

use super::drawing::save_figure;
use super::experiment::SweepPlan;
use super::stages::held_weights;
use super::terminal;
use mappa::artefact::{self, Card};
use mappa::datasets::{Dataset, Entity, TargetKind};
use mappa::figures::{dose_by_layer, dose_response, effect_by_kl, text_by_dose};
use mappa::hook_point::HookPoint;
use mappa::model::Model;
use mappa::probes::{PROBES_FILE, ProbeSet};
use mappa::results::{SWEEP_FILE, SweepPoint, SweepRow, load_rows, save_rows};
use mappa::steering::{Direction, Gazetteer, Layers, NameSet, Sweep, Vectors, Way, points, recommend, sweep};
use mappa::training::age;
use mappa::{Error, Result};
use std::path::{Path, PathBuf};

/// A plan with what it is carried out on.
pub struct Sweeping<'a> {
    /// The model.
    pub model: &'a Model,
    /// The dataset of the probes, whose columns give names and answers.
    pub dataset: &'a Dataset,
    /// The probes that steer and read, and their folder.
    pub probes: (&'a ProbeSet, &'a Path),
    /// What is varied.
    pub plan: &'a SweepPlan,
    /// The layers, each alone or joined, one after the other.
    pub layers: Vec<Layers>,
    /// A unit of a dictionary in place of the probe's direction.
    pub unit: Option<UnitVector>,
}

/// What a unit of a sparse dictionary writes after a block.
pub struct UnitVector {
    /// The dictionary and the unit.
    pub name: String,
    /// The block.
    pub layer: usize,
    /// The vector.
    pub vector: Vec<f64>,
}

impl Sweeping<'_> {
    /// The rows of all layers, saved in a folder layer by layer; what lies there is not computed again.
    ///
    /// The second value says how many layers were new.
    pub fn rows(&self, folder: &Path) -> Result<(Vec<SweepRow>, usize)> {
        let spec = self.model.spec();
        self.layers.iter().try_for_each(|layers| layers.check(spec.n_layers))?;
        let (card, card_file) = (self.card()?, folder.join("card.json"));
        let way_out = "--called NAME gives this sweep a folder of its own, or move the folder away";
        let mut is_begun = card.is_done(&card_file).map_err(|e| e.with_way_out(way_out))?;
        let (mut rows, mut n_new): (Vec<SweepRow>, usize) = (Vec::new(), 0);
        for layers in &self.layers {
            let file = folder.join("layers").join(format!("{layers}.csv"));
            if !file.is_file() {
                let rows = self.layer(layers)?;
                // Not before: what was refused must not keep its folder from what is right.
                if !std::mem::replace(&mut is_begun, true) {
                    card.save(&card_file)?;
                }
                save_rows(&file, &rows)?;
                n_new += 1;
            }
            rows.extend(load_rows::<SweepRow>(&file)?);
        }
        save_rows(&folder.join(SWEEP_FILE), &rows)?;
        Ok((rows, n_new))
    }

    /// What decides the rows of a layer.
    fn card(&self) -> Result<Card> {
        let (model, plan) = (self.model, self.plan);
        let card = held_weights(model, Card::new())
            .input("weights_sha256", &model.weights_sha256)
            .input("tokenizer_sha256", &model.tokenizer.sha256)
            .input("dataset_sha256", &self.dataset.sha256)
            .input("probes_sha256", artefact::hash_file(&self.probes.1.join(PROBES_FILE))?)
            .input("target", &plan.target)
            .input("doses", format!("{:?}", plan.doses))
            .input("along", format!("{:?}", plan.along))
            .input("at", format!("{:?}", plan.at))
            .input("random", plan.random)
            .input("tokens", plan.tokens)
            .input("names", plan.names.as_deref().unwrap_or_default())
            .input("read", plan.read.as_deref().unwrap_or_default())
            .input("chat", model.tokenizer.chat_sha256().is_some())
            .input("template", &plan.template)
            .input("prompts", plan.texts().join(" | "));
        let card = match &self.unit {
            Some(unit) => card.input("feature", &unit.name),
            None => card,
        };
        Ok(match &plan.direction {
            Some(file) => card.input("direction_sha256", artefact::hash(&artefact::load_bytes(file)?)),
            None => card,
        })
    }

    /// The directions at some layers.
    fn ways(&self, layers: &Layers) -> Result<Vec<Way>> {
        if let Some(unit) = &self.unit {
            return Ok(vec![Way::Along("probe".into(), [(unit.layer, Direction::of(&unit.vector)?)].into())]);
        }
        let Some(file) = &self.plan.direction else {
            return Ok(self.plan.along.iter().map(|along| Way::Probe(*along)).collect());
        };
        let vectors = Vectors::load(file, 0)?;
        let at_block = |&block: &usize| {
            let vector = vectors.get(self.model.spec(), HookPoint::ResidPost(block))?;
            Ok((block, Direction::of(vector)?))
        };
        Ok(vec![Way::Along("probe".into(), layers.blocks().iter().map(at_block).collect::<Result<_>>()?)])
    }

    /// The rows of one layer, or of several that are moved together.
    fn layer(&self, layers: &Layers) -> Result<Vec<SweepRow>> {
        let (dataset, plan, ways) = (self.dataset, self.plan, self.ways(layers)?);
        let names = plan.names.as_ref().map(|choice| name_set(dataset, choice)).transpose()?;
        let gazetteer = plan.read.as_ref().map(|column| gazetteer(dataset, column)).transpose()?;
        let whole = Sweep {
            kind: match dataset.kind {
                TargetKind::Place => "place",
                TargetKind::Year => "year",
                TargetKind::Quantity(_) => "quantity",
            },
            probes: self.probes.0,
            target: &plan.target,
            layers,
            ways: &ways,
            doses: &plan.doses,
            prompts: &plan.texts(),
            parts: &plan.parts(),
            at: plan.at.clone(),
            n_random: plan.random,
            n_tokens: plan.tokens,
            names: names.as_ref(),
            gazetteer: gazetteer.as_ref(),
        };
        let bar = terminal::bar(&format!("layer {layers}"), whole.len() as u64);
        let rows = sweep(self.model, &whole, &mut |p| bar.set_position(p.n_done as u64))?;
        bar.finish_and_clear();
        Ok(rows)
    }
}

/// Draws a sweep's figures into a folder; gives the files.
pub fn draw_sweep(rows: &[SweepRow], folder: &Path) -> Result<Vec<PathBuf>> {
    let (points, of) = points(rows);
    let unit = match rows.first().map(|row| row.kind.as_str()) {
        Some("place") => " (degrees)",
        Some("year") => " (years)",
        _ => "",
    };
    let what = match of {
        "names" => "change of log-probability (nats)".to_string(),
        "text" => format!("how far the text moved{unit}"),
        _ => format!("how far the reading moved{unit}"),
    };
    let drawn: Vec<SweepRow> =
        rows.iter().filter(|r| r.direction == "probe" || r.direction == "random").cloned().collect();
    let has_probe = drawn.iter().any(|row| row.direction == "probe");
    let mut files = Vec::new();
    if has_probe {
        files.extend(save_figure((folder, "dose_response"), |format| dose_response(&drawn, format))?);
    }
    // Where no unsteered text names anything, there is nothing to move from.
    let is_named = |row: &SweepRow| row.dose == 0.0 && row.named_value.is_some();
    if has_probe && of == "text" && drawn.iter().any(is_named) {
        files.extend(save_figure((folder, "text_by_dose"), |format| text_by_dose(&drawn, format))?);
    }
    files.extend(save_figure((folder, "dose_by_layer"), |format| dose_by_layer(&points, &what, format))?);
    files.extend(save_figure((folder, "effect_by_kl"), |format| effect_by_kl(&points, &what, format))?);
    Ok(files)
}

/// Prints what each direction did at each layer and dose.
pub fn print_points(rows: &[SweepRow]) {
    let (points, of) = points(rows);
    println!("effect along the dose, of the {of} (mean over prompts), and KL of the next token in nats:");
    let widest = points.iter().map(|p| p.layers.len()).max().unwrap_or(0).max(5);
    let counts = if of == "text" { "  along / against / nothing named, of texts" } else { "" };
    println!("{:>widest$}  {:<10} {:>9} {:>10} {:>8}{counts}", "layer", "direction", "dose", "effect", "KL");
    for p in points.iter().filter(|p| p.dose != 0.0) {
        let counts = match of {
            "text" => format!("  {} / {} / {} of {}", p.along, p.against, p.nothing, p.n),
            _ => String::new(),
        };
        println!(
            "{:>widest$}  {:<10} {:>+9} {:>10.2} {:>8.3}{counts}",
            p.layers, p.direction, p.dose, p.effect, p.kl
        );
    }
}

/// Prints the layer and dose with the most effect within a budget of divergence.
pub fn print_recommendation(rows: &[SweepRow], budget: f64) {
    match recommend(rows, budget) {
        Some(best) => {
            let random = best.random.map_or(String::new(), |r| format!(" (random directions: {r:.2})"));
            println!(
                "best within {budget} nats: layer {}, dose {:+} along {}: the {} moves by {:.2}{random}, KL {:.2}",
                best.layers, best.dose, best.direction, best.effect_of, best.effect, best.kl
            );
        }
        None => {
            let (points, of) = points(rows);
            let steered = |p: &&SweepPoint| p.direction != "random" && p.dose != 0.0;
            match points.iter().filter(steered).any(|p| p.kl <= budget) {
                true => println!(
                    "no dose within {budget} nats moves the {of}: take larger ones, other layers or prompts"
                ),
                false => {
                    println!("no dose stays within {budget} nats: take smaller ones, or a larger --budget")
                }
            }
        }
    }
}

/// The group that an entity belongs to.
type Group<'a> = Box<dyn Fn(&Entity) -> &'a str + 'a>;

/// What each entity has in a column, or the age of its year.
fn groups<'a>(dataset: &'a Dataset, column: &str) -> Result<Group<'a>> {
    if let ("age", TargetKind::Year) = (column, &dataset.kind) {
        return Ok(Box::new(|entity| age(&dataset.name, entity.target.values()[0])));
    }
    match dataset.table.column(column) {
        Some(place) => Ok(Box::new(move |entity| dataset.table.cell(entity.row, place).unwrap_or_default())),
        None => {
            let age = if dataset.kind == TargetKind::Year { ", or age" } else { "" };
            let expected = format!("one of {}{age}", dataset.table.columns().join(", "));
            Err(Error::invalid(format!("column of {}", dataset.name), column, expected))
        }
    }
}

/// The names of a dataset's entities that have a value in a column, and are wanted.
pub fn entities(dataset: &Dataset, choice: &str, is_wanted: impl Fn(&Entity) -> bool) -> Result<Vec<String>> {
    let Some((column, value)) = choice.split_once('=') else {
        return Err(Error::invalid("entities", choice, "COLUMN=VALUE, such as country=Japan or age=Roman"));
    };
    let group = groups(dataset, column.trim())?;
    let meant = dataset.entities.iter().filter(|entity| is_wanted(entity) && group(entity) == value.trim());
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
    Gazetteer::of_groups(dataset, groups(dataset, column)?)
}
