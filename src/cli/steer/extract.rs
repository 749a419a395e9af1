//! `mappa steer extract`: a direction of probes, a class or texts, as a file with its card.

use super::super::chosen::ChosenModel;
use super::super::dataset::find;
use super::super::probed::ChosenProbes;
use super::super::settings::Settings;
use super::super::stages::{Job, held_weights};
use super::super::{suggest, terminal};
use clap::Args;
use mappa::activations::Recording;
use mappa::artefact::{self, Card};
use mappa::datasets::Prompt;
use mappa::hook_point::HookPoint;
use mappa::model::Model;
use mappa::steering::{Basis, ContrastMethod, ContrastPairs, RequiredTarget, Vectors};
use mappa::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Make a file of directions, one a layer: of a probe, of a class of entities, or of texts.
///
/// Examples:
///   mappa steer extract --probe longitude --out steering/east.safetensors      1x is one degree
///   mappa steer extract --class country=Japan --out steering/japan.safetensors
///   mappa steer extract --pairs pairs.jsonl --method pca --out steering/formal.safetensors
///   mappa steer extract --positive warm.txt --negative cold.txt --out steering/warm.safetensors
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Extract {
    #[command(flatten)]
    model: ChosenModel,
    /// A target of the dataset's probe: latitude, longitude or year.
    #[arg(long, value_name = "TARGET", conflicts_with_all = ["class", "pairs", "positive"])]
    probe: Option<String>,
    /// For --probe: along its pattern or its weights.
    #[arg(long, default_value = "pattern", value_name = "pattern|weights")]
    along: Basis,
    /// Entities of the dataset with this value in a column, against all others: country=Japan.
    #[arg(long, value_name = "COLUMN=VALUE", conflicts_with_all = ["pairs", "positive"])]
    class: Option<String>,
    #[command(flatten)]
    from: ChosenProbes,
    /// A JSONL file with `positive` and `negative` in each line.
    #[arg(long, value_name = "FILE", conflicts_with = "positive")]
    pairs: Option<PathBuf>,
    /// A file of texts, one a line: what is moved to.
    #[arg(long, value_name = "FILE", requires = "negative")]
    positive: Option<PathBuf>,
    /// A file of texts, one a line: what is moved from.
    #[arg(long, value_name = "FILE", requires = "positive")]
    negative: Option<PathBuf>,
    /// For texts: mean (difference of means) or pca (first principal component of paired differences).
    #[arg(long, default_value = "mean", value_name = "mean|pca")]
    method: ContrastMethod,
    /// Other places than the blocks' outputs, for texts.
    #[arg(long, default_value = "blocks.*.hook_resid_post", value_name = "NAMES|GLOBS")]
    hook_points: String,
    /// The safetensors file to write; a card is written beside it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Extract {
    /// Runs the command.
    pub fn run(&self, lab: &Path) -> Result<()> {
        let model = self.model.load(lab)?;
        let card = held_weights(&model, Card::new())
            .input("model", &model.name)
            .input("weights_sha256", &model.weights_sha256);
        let mut dataset = self.from.dataset.clone().unwrap_or_else(|| "world_place".into());
        let (vectors, card) = match (&self.probe, &self.class, &self.pairs, &self.positive, &self.negative) {
            (Some(target), ..) => {
                (self.of_probe((lab, &model), target, &mut dataset)?, card.input("probe", target))
            }
            (_, Some(class), ..) => (self.of_class(lab, &model, class)?, card.input("class", class)),
            (_, _, Some(file), ..) => {
                let hash = artefact::hash(&artefact::load_bytes(file)?);
                (self.of_texts(&model, &ContrastPairs::load(file)?)?, card.input("pairs_sha256", hash))
            }
            (_, _, _, Some(positive), Some(negative)) => {
                let pairs = ContrastPairs::load_two(positive, negative)?;
                let both = [artefact::load_bytes(positive)?, artefact::load_bytes(negative)?].concat();
                (self.of_texts(&model, &pairs)?, card.input("texts_sha256", artefact::hash(&both)))
            }
            _ => {
                let expected = "--probe, --class, --pairs, or --positive with --negative";
                return Err(Error::invalid("direction to extract", "none", expected));
            }
        };
        vectors.save(&self.out)?;
        let card = card.input("dataset", dataset).note("vectors", vectors.points().count());
        card.save(&self.out.with_extension("json"))?;
        println!("wrote {} vectors to {}", vectors.points().count(), self.out.display());
        let verb = format!("steer inspect {}", suggest::quoted(&self.out.to_string_lossy()));
        println!("next: {}", suggest::command(lab, &self.model.flags(), (&verb, "")));
        if model.transformer.generates() {
            let file = suggest::quoted(&self.out.to_string_lossy());
            let rest = format!("--prompt 'My favourite city is' --direction {file} --dose 1x");
            println!("      {}", suggest::command(lab, &self.model.flags(), ("steer", &rest)));
        }
        Ok(())
    }

    /// The vectors that move a target's reading by one unit.
    fn of_probe(&self, (lab, model): (&Path, &Model), target: &str, dataset: &mut String) -> Result<Vectors> {
        let probes = self.from.newest(lab, model, &RequiredTarget::of_target(target))?.set;
        dataset.clone_from(&probes.about.dataset);
        let row = probes.target(target)?;
        let mut at = BTreeMap::new();
        for point in probes.points().filter(|point| matches!(point, HookPoint::ResidPost(_))) {
            let stored = probes.get(point)?;
            let vector = match self.along {
                Basis::Pattern => stored.stream.pattern.row(row).to_vec(),
                Basis::Weights => stored.probe.least_changes()?.row(row).to_vec(),
            };
            at.insert(point, vector);
        }
        Ok(Vectors::new(at))
    }

    /// From the mean of all other training entities to the mean of the class's.
    fn of_class(&self, lab: &Path, model: &Model, class: &str) -> Result<Vectors> {
        let dataset = find(lab, self.from.dataset.as_deref().unwrap_or("world_place"))?;
        let expected = format!("COLUMN=VALUE with one of {}", dataset.table.columns().join(", "));
        let (column, value) = class
            .split_once('=')
            .and_then(|(column, value)| Some((dataset.table.column(column.trim())?, value.trim())))
            .ok_or_else(|| Error::invalid("--class", class, expected))?;
        let is_member = |i: &usize| dataset.table.cell(dataset.entities[*i].row, column) == Some(value);
        let train: Vec<usize> =
            (0..dataset.entities.len()).filter(|i| !dataset.entities[*i].is_test).collect();
        let (members, others): (Vec<usize>, Vec<usize>) = train.into_iter().partition(is_member);
        if members.is_empty() || others.is_empty() {
            let found = format!("{} training rows with it and {} without", members.len(), others.len());
            return Err(Error::invalid(format!("--class {class}"), found, "at least one of each"));
        }
        let prompt = Prompt::empty();
        let job = Job {
            lab,
            model,
            dataset: &dataset,
            unplaced: &[],
            prompt: &prompt,
            recording: Recording::default(),
            seed: 0,
            resamples: 0,
            settings: &Settings::default(),
            from: None,
        };
        job.extract()?;
        let bar = terminal::bar("means", model.spec().n_layers as u64);
        let mut at = BTreeMap::new();
        for point in (0..model.spec().n_layers).map(HookPoint::ResidPost) {
            let rows = job.activations()?.load(point)?;
            at.insert(point, ContrastMethod::MeanDifference.of_rows(rows.view(), &members, &others)?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(Vectors::new(at))
    }

    fn of_texts(&self, model: &Model, pairs: &ContrastPairs) -> Result<Vectors> {
        let spec = model.spec();
        let mut present = HookPoint::all(spec.n_layers);
        present.retain(|point| spec.width_at(*point).is_some());
        pairs.vectors(model, &HookPoint::choose(&self.hook_points, &present)?, self.method)
    }
}
