//! `mappa features`: sparse dictionaries: what their units stand for, and what pressing them does.
//!
//! - `list`: the units, by what they are active on; `unit` shows one, `tokens` where in a text
//! - `train`: one is learnt
//! - `press`: what comes out when units are pressed, beside random ones

mod list;
mod press;
mod tokens;
mod train;
mod unit;

use super::chosen::ChosenModel;
use super::terminal;
use super::texts::Texts;
use clap::Subcommand;
use mappa::datasets::{Dataset, TargetKind, labels};
use mappa::features::{Dictionary, Groups};
use mappa::hook_point::HookPoint;
use mappa::model::Model;
use mappa::{Error, Result};
use std::path::{Path, PathBuf};

/// Sparse dictionaries (sparse autoencoders): what their units stand for, and what pressing them does.
#[derive(clap::Args)]
pub struct Features {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(Box<list::List>),
    Press(Box<press::Press>),
    Train(Box<train::Train>),
}

impl Features {
    /// Runs the command.
    pub fn run(&self, lab: &Path) -> Result<()> {
        match &self.command {
            Command::List(args) => args.run(lab),
            Command::Press(args) => args.run(lab),
            Command::Train(args) => args.run(lab),
        }
    }
}

/// A dictionary that fits a model; `given` says where its rows are read if its file does not.
pub fn load(path: &Path, given: Option<HookPoint>, model: &Model) -> Result<Dictionary> {
    let dictionary = Dictionary::load(path, given)?;
    let (point, d_in) = (dictionary.hook_point, dictionary.d_in());
    let width = model.spec().width_at(point);
    if width != Some(d_in) {
        let there = width.map_or("has no such place".into(), |width| format!("is {width} wide there"));
        let found = format!("a dictionary of {d_in} values at {point}");
        return Err(Error::bad_file(path, found, format!("one for `{}`, which {there}", model.name)));
    }
    let short = |name: &str| name.rsplit('/').next().unwrap_or(name).to_string();
    if let Some(name) = dictionary.model.as_ref().filter(|name| short(name) != short(&model.name)) {
        terminal::note(&format!("{} was made for `{name}`; it is read on `{}`", path.display(), model.name));
    }
    match (dictionary.made_with_bos, model.tokenizer.begins()) {
        (Some(true), false) => terminal::note(&format!(
            "{} was made of texts that begin with BOS, and `{}` is read without; --bos always puts it there",
            path.display(),
            model.name
        )),
        (Some(false), true) => terminal::note(&format!(
            "{} was made of texts without BOS, and `{}` is read with it; --bos never leaves it out",
            path.display(),
            model.name
        )),
        _ => {}
    }
    Ok(dictionary)
}

/// A dictionary, and the entities on which its units are looked at.
#[derive(clap::Args)]
pub struct Source {
    /// The dictionary: a SAELens folder or a Gemma Scope .npz.
    #[arg(value_name = "DICT")]
    dictionary: PathBuf,
    #[command(flatten)]
    model: ChosenModel,
    /// A dataset's name, or a CSV, TSV, JSON or Parquet file.
    #[arg(long, default_value = "world_place", value_name = "NAME|FILE")]
    dataset: String,
    #[command(flatten)]
    texts: Texts,
    /// Where the dictionary's rows are read, if its file does not say so.
    #[arg(long, value_name = "NAME")]
    hook_point: Option<HookPoint>,
    /// The column whose groups a unit may tell; century, decade and age too for years [default: age for years,
    /// else the first of the dataset's group columns].
    #[arg(long)]
    column: Option<String>,
}

impl Source {
    /// The model and the dictionary.
    pub fn load(&self, lab: &Path) -> Result<(Model, Dictionary)> {
        let model = self.texts.set_up(self.model.load(lab)?)?;
        let dictionary = load(&self.dictionary, self.hook_point, &model)?;
        Ok((model, dictionary))
    }
}

/// Where what is found of a dictionary lies in the lab: by model, dictionary, dataset and prompt.
fn folder(lab: &Path, (path, point): (&Path, HookPoint), of: (&str, &str, &str)) -> PathBuf {
    let is_npz = path.extension().is_some_and(|ending| ending == "npz");
    // Every file of Gemma Scope is called params.npz; its folders tell them apart, but for the layer.
    let named = if is_npz { path.parent().unwrap_or(path) } else { path };
    let name = named.file_name().map_or("dictionary".into(), |name| name.to_string_lossy().into_owned());
    let name = if is_npz { format!("{point}.{name}") } else { name };
    lab.join("features").join(of.0).join(name).join(of.1).join(of.2)
}

/// The groups of a dataset by a column, with the entities that are for testing.
fn groups(dataset: &Dataset, column: &str) -> Result<Groups> {
    Ok(Groups::new(&labels(dataset, column)?, dataset.entities.iter().map(|entity| entity.is_test).collect()))
}

/// The column that stands where none is asked for.
fn usual_column(dataset: &Dataset) -> String {
    match dataset.kind {
        TargetKind::Year => "age".into(),
        _ => dataset.group_columns.first().cloned().unwrap_or_default(),
    }
}
