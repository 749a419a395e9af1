//! `mappa features list`: each unit by the entities on which it is active, and the group it tells.

use super::super::dataset::find;
use super::super::settings::Settings;
use super::super::stages::Job;
use super::super::table::print_columns;
use super::{Source, folder, groups, tokens, unit, usual_column};
use clap::Args;
use mappa::activations::{Division, Recording};
use mappa::artefact::{Card, hash};
use mappa::datasets::Dataset;
use mappa::features::{Activation, Active, Dictionary, Groups, Match};
use mappa::model::Model;
use mappa::results::{FeatureGroupRow, FeatureRow, TOKENS_FILE, UNITS_FILE, save_rows};
use mappa::{Error, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Entities that a line of the table names.
const NAMED: usize = 3;

/// Show what the units of a sparse dictionary are active on.
///
/// Encodes a dataset's activations at the dictionary's hook point (extracted first where that is not done). For
/// each unit: on which share of the entities it is active, its greatest activation, its top entities, and the
/// group of --column that it tells best. Group and threshold are chosen by F1 on training entities; precision,
/// recall, F1 and average precision are counted on test entities. Rows lie in
/// features/MODEL/DICTIONARY/DATASET/PROMPT: units.csv, by_COLUMN.csv, tokens.csv.
///
/// DICT is a SAELens folder (cfg.json and sae_weights.safetensors) or a Gemma Scope .npz.
///
/// Examples:
///   mappa features list features/atlas/blocks.3.hook_resid_post.2048.k16 --dataset world_place --column country
///   mappa features list DICT --dataset historical_figure --column age --unit 40
///   mappa features list params.npz --model path/to/gemma-2-2b --hook-point blocks.12.hook_resid_post \
///     --dataset world_place --text book.txt
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct List {
    #[command(flatten)]
    source: Source,
    /// Groups with fewer training entities are left out: a unit that fits three may do so by chance.
    #[arg(long, default_value_t = 5, value_name = "N")]
    smallest: usize,
    /// Show one unit in detail.
    #[arg(long, value_name = "N")]
    unit: Option<usize>,
    /// A text whose tokens are encoded as well: where in it units are most active.
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// How many top entities and tokens are kept of each unit.
    #[arg(long, default_value_t = 10)]
    top: usize,
    /// How many units the table lists.
    #[arg(long, default_value_t = 20)]
    units: usize,
}

/// A dictionary, what its units do on a dataset, and the groups of one column.
pub struct Listed<'a> {
    /// The model.
    pub model: &'a Model,
    /// The dictionary.
    pub dictionary: &'a Dictionary,
    /// The dataset.
    pub dataset: Dataset,
    /// Where what is found lies.
    pub folder: PathBuf,
    /// What its units do on the dataset's entities.
    pub active: Active,
    /// The column.
    pub column: String,
    /// Its groups.
    pub groups: Groups,
    /// Units with groups, the best of F1 on training entities first.
    pub matches: Vec<Match>,
}

impl List {
    /// Runs the command.
    pub fn run(&self, lab: &Path) -> Result<()> {
        let (model, dictionary) = self.source.load(lab)?;
        if let Some(unit) = self.unit.filter(|unit| *unit >= dictionary.d_sae()) {
            return Err(Error::invalid("--unit", unit, format!("0 to {}", dictionary.d_sae() - 1)));
        }
        let (listed, card) = listed(lab, (&model, &dictionary), &self.source, self.smallest)?;
        let folder = &listed.folder;
        card.is_done(&folder.join("card.json"))?;
        card.save(&folder.join("card.json"))?;
        save_rows(&folder.join(UNITS_FILE), &unit_rows(&listed, self.top))?;
        save_rows(&folder.join(format!("by_{}.csv", listed.column)), &group_rows(&listed))?;
        let text = match &self.text {
            Some(file) => Some(tokens::top(&listed, (file, self.top))?),
            None => None,
        };
        if let Some(rows) = &text {
            save_rows(&folder.join(TOKENS_FILE), rows)?;
        }
        print_summary(&listed);
        match self.unit {
            Some(unit) => unit::print(&listed, unit, self.top)?,
            None => self.print_units(&listed),
        }
        if let Some(rows) = &text {
            tokens::print(rows, self.unit, self.units);
        }
        println!("\nrows: {}", folder.display());
        Ok(())
    }

    fn print_units(&self, listed: &Listed) {
        let Listed { active, groups, .. } = listed;
        let rows: Vec<Vec<String>> = group_rows(listed)
            .iter()
            .filter(|row| row.chosen_for == "unit")
            .take(self.units)
            .map(|row| {
                let top = active.of_unit(row.unit).iter().take(NAMED);
                let top: Vec<&str> =
                    top.map(|(entity, _)| listed.dataset.entities[*entity].name.as_str()).collect();
                let mut cells = vec![
                    row.unit.to_string(),
                    format!("{:.4}", active.density(row.unit)),
                    format!("{:.2}", active.greatest(row.unit)),
                ];
                cells.extend(cells_of(row));
                cells.push(top.join(", "));
                cells
            })
            .collect();
        println!(
            "\nunits by the {} they tell best of {}: chosen on training entities, measured on test entities",
            listed.column,
            groups.names().len()
        );
        let mut heads = vec!["unit", "density", "greatest"];
        heads.extend(HEADS);
        heads.push("top entities");
        print_columns(&heads, &rows);
    }
}

/// The heads of what [`cells_of`] gives.
pub const HEADS: [&str; 8] =
    ["group", "F1 train", "test: n", "precision", "recall", "F1", "average precision", "by chance"];

/// A match as cells of a table.
pub fn cells_of(row: &FeatureGroupRow) -> Vec<String> {
    let number = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.2}"));
    let share = row.share.map_or("–".into(), |share| format!("{share:.3}"));
    vec![
        row.group.clone(),
        format!("{:.2}", row.train_f1),
        row.n_test.to_string(),
        number(row.precision),
        number(row.recall),
        number(row.f1),
        number(row.average_precision),
        share,
    ]
}

/// What a dictionary's units do on a dataset; gives the card of what it is made from too.
pub fn listed<'a>(
    lab: &Path,
    (model, dictionary): (&'a Model, &'a Dictionary),
    source: &Source,
    smallest: usize,
) -> Result<(Listed<'a>, Card)> {
    let (texts, dataset) = (&source.texts, find(lab, &source.dataset)?);
    let (prompt, recording) = (texts.prompt(&dataset)?, Recording::default());
    let reads = (&model.tokenizer, model.spec());
    let (dataset, unplaced) = texts.placeable(reads, dataset, (&prompt, recording))?;
    let column = source.column.clone().unwrap_or_else(|| usual_column(&dataset));
    let groups = groups(&dataset, &column)?;
    let job = Job {
        lab,
        model,
        dataset: &dataset,
        unplaced: &unplaced,
        prompt: &prompt,
        recording,
        seed: 0,
        resamples: 0,
        settings: &Settings::default(),
        from: None,
    };
    job.record(&[dictionary.hook_point], Division::of(&model.transformer))?;
    let rows = job.activations()?.load(dictionary.hook_point)?;
    let active = Active::of(dictionary, rows.view())?;
    let card = job.card()?.input("dictionary_sha256", fingerprint(dictionary));
    let matches = groups.matches(&active, smallest);
    let of = (&*model.name, &*dataset.name, &*prompt.name);
    let folder = folder(lab, (&source.dictionary, dictionary.hook_point), of);
    Ok((Listed { model, dictionary, dataset, folder, active, column, groups, matches }, card))
}

/// The hash of a dictionary's numbers, whatever file they came in.
fn fingerprint(dictionary: &Dictionary) -> String {
    let Dictionary { w_enc, b_enc, w_dec, b_dec, activation, .. } = dictionary;
    let thresholds: &[f32] = match activation {
        Activation::JumpRelu(each) => each,
        _ => &[],
    };
    let all = w_enc.iter().chain(b_enc).chain(w_dec).chain(b_dec).chain(thresholds);
    let mut bytes: Vec<u8> = all.flat_map(|x| x.to_le_bytes()).collect();
    bytes.extend(kind(dictionary).bytes());
    bytes.push(u8::from(dictionary.subtracts_b_dec));
    hash(&bytes)
}

fn kind(dictionary: &Dictionary) -> String {
    match &dictionary.activation {
        Activation::Relu => "relu".into(),
        Activation::TopK(k) => format!("topk, k {k}"),
        Activation::JumpRelu(_) => "jumprelu".into(),
    }
}

fn print_summary(listed: &Listed) {
    let Listed { dictionary, dataset, active, .. } = listed;
    println!(
        "{} units ({}) of {}, {} wide",
        dictionary.d_sae(),
        kind(dictionary),
        dictionary.hook_point,
        dictionary.d_in()
    );
    println!(
        "on the {} entities of {}: {} units are active on some, {} never; {:.1} on an entity; {:.1} % of the \
         variance explained",
        active.n_rows(),
        dataset.name,
        active.alive().len(),
        active.n_units() - active.alive().len(),
        active.per_row(),
        100.0 * active.explained()
    );
}

fn unit_rows(listed: &Listed, top: usize) -> Vec<FeatureRow> {
    let active = &listed.active;
    let of_unit = |unit: usize| {
        active.of_unit(unit).iter().take(top).zip(1..).map(move |((entity, activation), rank)| FeatureRow {
            unit,
            density: active.density(unit),
            greatest: f64::from(active.greatest(unit)),
            rank,
            entity: listed.dataset.entities[*entity].name.clone(),
            activation: f64::from(*activation),
        })
    };
    active.alive().into_iter().flat_map(of_unit).collect()
}

/// The best group of each unit, and the best unit of each group, by F1 on training entities.
pub fn group_rows(listed: &Listed) -> Vec<FeatureGroupRow> {
    let (mut units, mut groups) = (BTreeSet::new(), BTreeSet::new());
    let mut rows = Vec::new();
    for found in &listed.matches {
        let firsts = [("unit", units.insert(found.unit)), ("group", groups.insert(found.group))];
        let firsts = firsts.into_iter().filter(|(_, is_first)| *is_first);
        rows.extend(firsts.map(|(chosen_for, _)| FeatureGroupRow {
            chosen_for: chosen_for.into(),
            ..group_row(listed, found)
        }));
    }
    rows
}

/// A match as a row.
pub fn group_row(listed: &Listed, found: &Match) -> FeatureGroupRow {
    let test = listed.groups.test(&listed.active, found);
    FeatureGroupRow {
        chosen_for: String::new(),
        unit: found.unit,
        column: listed.column.clone(),
        group: listed.groups.names()[found.group].clone(),
        threshold: f64::from(found.threshold),
        train_f1: found.train_f1,
        precision: test.map(|t| t.precision),
        recall: test.map(|t| t.recall),
        f1: test.map(|t| t.f1),
        average_precision: test.map(|t| t.average_precision),
        share: test.map(|t| t.share),
        n_test: test.map_or(0, |t| t.n),
    }
}
