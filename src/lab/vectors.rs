//! Makes files of directions: from a probe, from a class of entities, or from contrasting texts.

use super::datasets::find;
use super::extraction::ExtractionJob;
use super::folders::Lab;
use super::models::weights_card;
use super::prompted::Prompted;
use super::saved_probes::{ProbeChoice, ProbeFinder};
use crate::activations::Recording;
use crate::artefact::{self, Card};
use crate::datasets::{Dataset, Prompt};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::Model;
use crate::probes::ProbeSet;
use crate::progress::{Observer, Progress};
use crate::steering::{Basis, ContrastMethod, ContrastPairs, RequiredTarget, Vectors};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The origin of a direction.
#[derive(Debug, Clone)]
pub enum VectorSource {
    /// A target of a probe, along its pattern or its weights.
    Probe(String, Basis),
    /// The entities with a value in a column, `COLUMN=VALUE`, contrasted with all others.
    Class(String),
    /// A JSONL file of pairs of texts.
    Pairs(PathBuf),
    /// Two files of texts, one text per line: positive and negative.
    Texts(PathBuf, PathBuf),
}

/// Settings of a file of directions.
#[derive(Debug, Clone)]
pub struct VectorSettings {
    /// The origin.
    pub source: VectorSource,
    /// The selection of probes, or the dataset of the class.
    pub probes: ProbeChoice,
    /// For texts: the difference of means, or the first principal component.
    pub method: ContrastMethod,
    /// For texts: the hook points, by name or glob.
    pub hook_points: String,
}

/// Makes directions, one per hook point, with a card that describes them.
///
/// # Errors
/// Those of the probes, the extraction and the files.
pub fn make_vectors(
    lab: &Lab,
    model: &Model,
    settings: &VectorSettings,
    observer: &mut dyn Observer,
) -> Result<(Vectors, Card)> {
    let card = weights_card(model, Card::new())
        .input("model", &model.name)
        .input("weights_sha256", &model.weights_sha256)
        .input("config_sha256", &model.config_sha256)
        .input("tokenizer_sha256", &model.tokenizer.sha256)
        .input("bos", model.tokenizer.special_prefix()?);
    let of_texts_card = |card: Card| {
        let method = match settings.method {
            ContrastMethod::MeanDifference => "mean",
            ContrastMethod::FirstComponent => "pca",
        };
        card.input("method", method).input("hook_points", &settings.hook_points)
    };
    let mut dataset = settings.probes.dataset.clone().unwrap_or_else(|| "world_place".into());
    let (vectors, card) = match &settings.source {
        VectorSource::Probe(target, along) => {
            let finder = ProbeFinder::new(lab, model, &settings.probes);
            let saved = finder.best(&RequiredTarget::of_target(target))?;
            saved.note_changes(&finder, observer);
            dataset.clone_from(&saved.set.about.dataset);
            let card = card
                .input("probe", target)
                .input("probes_sha256", artefact::hash_file(&saved.file())?)
                .input("along", if *along == Basis::Pattern { "pattern" } else { "weights" });
            (of_probe(&saved.set, target, *along)?, card)
        }
        VectorSource::Class(class) => {
            let found = find(lab, &dataset, observer)?;
            let card = card.input("class", class).input("dataset_sha256", &found.sha256);
            (of_class(lab, model, Class { dataset: found, class }, observer)?, card)
        }
        VectorSource::Pairs(file) => {
            let hash = artefact::hash(&artefact::load_bytes(file)?);
            let card = of_texts_card(card).input("pairs_sha256", hash);
            (of_texts(model, &ContrastPairs::load(file)?, settings)?, card)
        }
        VectorSource::Texts(positive, negative) => {
            let pairs = ContrastPairs::load_two(positive, negative)?;
            let both = [artefact::load_bytes(positive)?, artefact::load_bytes(negative)?].concat();
            let card = of_texts_card(card).input("texts_sha256", artefact::hash(&both));
            (of_texts(model, &pairs, settings)?, card)
        }
    };
    let card = card.input("dataset", dataset).note("vectors", vectors.points().count());
    Ok((vectors, card))
}

/// The vectors that move a target's prediction by one unit.
fn of_probe(probes: &ProbeSet, target: &str, along: Basis) -> Result<Vectors> {
    let row = probes.target(target)?;
    let mut at = BTreeMap::new();
    for point in probes.points().filter(|point| matches!(point, HookPoint::ResidPost(_))) {
        let stored = probes.get(point)?;
        let vector = match along {
            Basis::Pattern => stored.stream.pattern.row(row).to_vec(),
            Basis::Weights => stored.probe.least_changes()?.row(row).to_vec(),
        };
        at.insert(point, vector);
    }
    Ok(Vectors::new(at))
}

/// A class of a dataset's entities.
struct Class<'a> {
    dataset: Dataset,
    class: &'a str,
}

/// The vectors from the mean of the other training entities to the mean of the class.
fn of_class(lab: &Lab, model: &Model, class: Class, observer: &mut dyn Observer) -> Result<Vectors> {
    let Class { dataset, class } = class;
    let expected = format!("COLUMN=VALUE with one of {}", dataset.table.columns().join(", "));
    let (column, value) = class
        .split_once('=')
        .and_then(|(column, value)| Some((dataset.table.column(column.trim())?, value.trim())))
        .ok_or_else(|| Error::invalid("--class", class, expected))?;
    let is_member = |i: &usize| dataset.table.cell(dataset.entities[*i].row, column) == Some(value);
    let train: Vec<usize> = (0..dataset.entities.len()).filter(|i| !dataset.entities[*i].is_test).collect();
    let (members, others): (Vec<usize>, Vec<usize>) = train.into_iter().partition(is_member);
    if members.is_empty() || others.is_empty() {
        let found = format!("{} training rows in the class and {} outside it", members.len(), others.len());
        return Err(Error::invalid(format!("--class {class}"), found, "at least one of each"));
    }
    let prompted = &Prompted { dataset, unplaced: Vec::new(), prompt: Prompt::empty() };
    let extraction = ExtractionJob { lab, model, prompted, recording: Recording::default() };
    extraction.provide_stream(observer)?;
    let (mut at, total) = (BTreeMap::new(), model.spec().n_layers as u64);
    let mut show = |done| {
        let stage = "means";
        observer.progress(&Progress::counted(stage, done, total));
    };
    for layer in 0..model.spec().n_layers {
        show(layer as u64);
        let point = HookPoint::ResidPost(layer);
        let rows = extraction.activations()?.load(point)?;
        at.insert(point, ContrastMethod::MeanDifference.of_rows(rows.view(), &members, &others)?);
    }
    show(total);
    Ok(Vectors::new(at))
}

fn of_texts(model: &Model, pairs: &ContrastPairs, settings: &VectorSettings) -> Result<Vectors> {
    let points = HookPoint::choose(&settings.hook_points, &model.spec().hook_points())?;
    pairs.vectors(model, &points, settings.method)
}

/// Loads vectors and checks that each has the width of its hook point in the model.
///
/// # Errors
/// Those of the file; [`Error::Invalid`] naming the hook point.
pub fn load_vectors(file: &Path, shift: i64, model: &Model) -> Result<Vectors> {
    let vectors = Vectors::load(file, shift)?;
    for point in vectors.points() {
        vectors.get(model.spec(), point)?;
    }
    Ok(vectors)
}
