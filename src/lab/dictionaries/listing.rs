//! The latents of a dictionary, the entities they are active on, and the groups they match.

use super::super::extraction::ExtractionJob;
use super::super::folders::Lab;
use super::super::prompted::Prompted;
use crate::activations::{Division, Recording};
use crate::artefact::{Card, FolderName, hash};
use crate::datasets::labels;
use crate::datasets::{Dataset, TargetKind};
use crate::error::Result;
use crate::features::{ActivationIndex, Dictionary, Groups, Match, SparseActivation};
use crate::hook_point::HookPoint;
use crate::model::Model;
use crate::progress::Observer;
use crate::results::{LatentGroupRow, LatentRow, UNITS_FILE, save_rows};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Settings of a listing.
#[derive(Debug, Clone)]
pub struct ListingSettings {
    /// The dictionary's folder or file.
    pub dictionary: PathBuf,
    /// The column whose groups are matched with latents; by default `age` for years, otherwise the dataset's first
    /// group column.
    pub column: Option<String>,
    /// The minimum number of training entities of a group; smaller groups are left out.
    pub smallest: usize,
}

/// A dictionary's latents on a dataset, and the groups of one column.
pub struct Listing<'a> {
    /// The model.
    pub model: &'a Model,
    /// The dictionary.
    pub dictionary: &'a Dictionary,
    /// The dataset with its prompt.
    pub prompted: &'a Prompted,
    /// The folder of the saved rows.
    pub folder: PathBuf,
    /// The activations of the latents on the dataset's entities.
    pub active: ActivationIndex,
    /// The column.
    pub column: String,
    /// The groups of the column.
    pub groups: Groups,
    /// Pairs of a latent and a group, sorted by F1 on training entities, best first.
    pub matches: Vec<Match>,
    card: Card,
}

/// Encodes a dataset's activations (extracts them first if they are missing), and matches latents with groups.
///
/// # Errors
/// Those of the extraction; [`crate::Error::Invalid`] if the dataset lacks the column.
pub fn list<'a>(
    extracted: ListedOn<'a>,
    settings: &ListingSettings,
    observer: &mut dyn Observer,
) -> Result<Listing<'a>> {
    let ListedOn { lab, model, dictionary, prompted } = extracted;
    let dataset = &prompted.dataset;
    let column = settings.column.clone().unwrap_or_else(|| usual_column(dataset));
    let groups = groups(dataset, &column)?;
    let extraction = ExtractionJob { lab, model, prompted, recording: Recording::default() };
    let point = dictionary.hook_point;
    let card = extraction.card()?.input("dictionary_sha256", fingerprint(dictionary));
    let name = dictionary_name(&settings.dictionary, point);
    let folder = lab.features(&model.name).join(name).join(&dataset.name).join(&prompted.prompt.name);
    card.is_done(&folder.join("card.json"))?;
    extraction.provide(&[point], Division::of(&model.transformer), observer)?;
    let rows = extraction.activations()?.load(point)?;
    let active = ActivationIndex::of(dictionary, rows.view())?;
    let matches = groups.matches(&active, settings.smallest);
    Ok(Listing { model, dictionary, prompted, folder, active, column, groups, matches, card })
}

/// A dictionary, and the dataset whose activations it encodes.
#[derive(Clone, Copy)]
pub struct ListedOn<'a> {
    /// The lab.
    pub lab: &'a Lab,
    /// The model.
    pub model: &'a Model,
    /// The dictionary.
    pub dictionary: &'a Dictionary,
    /// The dataset with its prompt.
    pub prompted: &'a Prompted,
}

impl Listing<'_> {
    /// The dataset.
    pub fn dataset(&self) -> &Dataset {
        &self.prompted.dataset
    }

    /// Saves the rows, with the top `top` entities of each latent.
    ///
    /// # Errors
    /// [`crate::Error::CardMismatch`] if the folder has rows of another dictionary; those of saving.
    pub fn save(&self, top: usize) -> Result<()> {
        let folder = &self.folder;
        self.card.is_done(&folder.join("card.json"))?;
        save_rows(&folder.join(UNITS_FILE), &self.latent_rows(top))?;
        let by_column = FolderName::of_text(&self.column).after("by_").with(".csv");
        save_rows(&folder.join(by_column), &group_rows(self))?;
        self.card.save(&folder.join("card.json"))
    }

    fn latent_rows(&self, top: usize) -> Vec<LatentRow> {
        let active = &self.active;
        let of_latent = |unit: usize| {
            let top = active.of_latent(unit).iter().take(top).zip(1..);
            top.map(move |((entity, activation), rank)| LatentRow {
                unit,
                density: active.density(unit),
                greatest: f64::from(active.greatest(unit)),
                rank,
                entity: self.dataset().entities[*entity].name.clone(),
                activation: f64::from(*activation),
            })
        };
        active.alive().into_iter().flat_map(of_latent).collect()
    }
}

/// The best group of each latent, and the best latent of each group, by F1 on training entities.
pub fn group_rows(listing: &Listing) -> Vec<LatentGroupRow> {
    let (mut latents, mut groups) = (BTreeSet::new(), BTreeSet::new());
    let mut rows = Vec::new();
    for found in &listing.matches {
        let firsts = [("unit", latents.insert(found.latent)), ("group", groups.insert(found.group))];
        let firsts = firsts.into_iter().filter(|(_, is_first)| *is_first);
        rows.extend(firsts.map(|(chosen_for, _)| LatentGroupRow {
            chosen_for: chosen_for.into(),
            ..group_row(listing, found)
        }));
    }
    rows
}

/// A match as a row.
pub fn group_row(listing: &Listing, found: &Match) -> LatentGroupRow {
    let test = listing.groups.test(&listing.active, found);
    LatentGroupRow {
        chosen_for: String::new(),
        unit: found.latent,
        column: listing.column.clone(),
        group: listing.groups.names()[found.group].clone(),
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

/// The hash of a dictionary's weights and activation function, independent of the file format.
fn fingerprint(dictionary: &Dictionary) -> String {
    let Dictionary { w_enc, b_enc, w_dec, b_dec, activation, .. } = dictionary;
    let thresholds: &[f32] = match activation {
        SparseActivation::JumpRelu(each) => each,
        _ => &[],
    };
    let all = w_enc.iter().chain(b_enc).chain(w_dec).chain(b_dec).chain(thresholds);
    let mut bytes: Vec<u8> = all.flat_map(|x| x.to_le_bytes()).collect();
    bytes.extend(kind_of(dictionary).bytes());
    bytes.push(u8::from(dictionary.subtracts_b_dec));
    hash(&bytes)
}

/// A description of a dictionary's activation function.
pub fn kind_of(dictionary: &Dictionary) -> String {
    match &dictionary.activation {
        SparseActivation::Relu => "relu".into(),
        SparseActivation::TopK(k) => format!("topk, k {k}"),
        SparseActivation::JumpRelu(_) => "jumprelu".into(),
    }
}

/// The name of a dictionary's folder in the lab.
fn dictionary_name(path: &Path, point: HookPoint) -> FolderName {
    let is_npz = path.extension().is_some_and(|ending| ending == "npz");
    // Every file of Gemma Scope is called params.npz; the folder names distinguish them, but do not contain the layer.
    let named = if is_npz { path.parent().unwrap_or(path) } else { path };
    let name = named.file_name().map_or("dictionary".into(), |name| name.to_string_lossy().into_owned());
    FolderName::of_text(&if is_npz { format!("{point}.{name}") } else { name })
}

/// The groups that a column defines.
fn groups(dataset: &Dataset, column: &str) -> Result<Groups> {
    Ok(Groups::new(&labels(dataset, column)?, dataset.entities.iter().map(|entity| entity.is_test).collect()))
}

/// The default column for groups.
fn usual_column(dataset: &Dataset) -> String {
    match dataset.kind {
        TargetKind::Year => "age".into(),
        _ => dataset.group_columns.first().cloned().unwrap_or_default(),
    }
}
