//! `mappa probe compare` and `geometry`: what was found by probing, held against each other.

use super::chosen::name_in_lab;
use super::settings::at_least_two;
use super::stages::activations;
use super::table::print_columns;
use clap::{Args, Subcommand};
use mappa::activations::ActivationStore;
use mappa::artefact::folder_name;
use mappa::datasets::TargetKind;
use mappa::hook_point::HookPoint;
use mappa::model::BUNDLED_MODEL;
use mappa::probes::{
    Bootstrap, Decomposition, PROBES_FILE, ProbeSet, ResampledUnits, Resampling, best_point, compare,
    cosines_of_datasets, cosines_of_layers, cosines_of_targets, participation_rows,
};
use mappa::results::{
    ComparisonRow, CosineRow, DATASET_COSINES_FILE, LAYER_COSINES_FILE, PARTICIPATION_FILE, PREDICTIONS_FILE,
    ParticipationRow, PredictionRow, SCORES_FILE, TARGET_COSINES_FILE, load_rows, save_rows,
};
use mappa::{Error, Result};
use std::path::{Path, PathBuf};

/// What can be asked of probes that were fitted before.
#[derive(Subcommand)]
pub enum Found {
    Compare(Compare),
    Geometry(Geometry),
}

impl Found {
    /// Runs the command.
    pub fn run(&self, lab: &Path) -> Result<()> {
        match self {
            Found::Compare(args) => args.run(lab),
            Found::Geometry(args) => args.run(lab),
        }
    }
}

/// Hold two layers, prompts or models against each other: paired differences with their intervals.
///
/// A and B are folders of probes, MODEL/DATASET/PROMPT, and perhaps a hook point behind @; without one, the
/// layer is the one whose probe reads its training entities best. Both sides must hold the same test entities.
/// Another layer than that one is read again from the activations, which must still be there.
/// Every score is counted on both over the same resamples, so that what both find hard or easy cancels.
///
/// Examples:
///   mappa probe compare atlas/art/empty atlas/art/empty@embed                what the blocks add
///   mappa probe compare atlas/art/empty@blocks.3.hook_resid_post atlas/art/empty
///   mappa probe compare pythia-160m/us_place/empty pythia-160m/us_place/where_us --by-group
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Compare {
    /// The first, whose scores come with a plus.
    #[arg(value_name = "A")]
    a: String,
    /// The second, whose scores are taken off.
    #[arg(value_name = "B")]
    b: String,
    /// Draw whole groups instead of single entities.
    #[arg(long)]
    by_group: bool,
    /// Bootstrap resamples of each interval.
    #[arg(long, default_value_t = 1000, value_parser = at_least_two())]
    resamples: usize,
    /// Seeds the resamples.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Write the rows as CSV as well.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

impl Compare {
    fn run(&self, lab: &Path) -> Result<()> {
        let (a, b) = (Side::find(lab, &self.a)?, Side::find(lab, &self.b)?);
        let units = if self.by_group { ResampledUnits::Groups } else { ResampledUnits::Entities };
        let bootstrap = Bootstrap { n_resamples: self.resamples, seed: self.seed };
        let (kind, other) = (a.probes.about.kind()?, b.probes.about.kind()?);
        if kind != other {
            let told = |kind: &TargetKind| format!("{} in {}", kind.names().join(" and "), kind.unit());
            let found = format!("{} in A, {} in B", told(&kind), told(&other));
            return Err(Error::invalid("probes to compare", found, "probes of the same targets"));
        }
        let rows =
            compare(&kind, &a.predictions(lab)?, &b.predictions(lab)?, Resampling { units, bootstrap })?;
        println!("A  {}, {}", a.folder.display(), a.point);
        println!("B  {}, {}\n", b.folder.display(), b.point);
        print_columns(
            &["metric", "target", "A", "B", "A - B", "95 % interval", ""],
            &rows.iter().map(cells).collect::<Vec<_>>(),
        );
        println!("\n* zero lies outside the interval. Both sides are drawn alike, on test entities.");
        if let Some(file) = &self.csv {
            save_rows(file, &rows)?;
            println!("rows: {}", file.display());
        }
        Ok(())
    }
}

fn cells(row: &ComparisonRow) -> Vec<String> {
    let number = |value: f64| format!("{value:.4}");
    let differs = row.low > 0.0 || row.high < 0.0;
    vec![
        row.metric.clone(),
        row.target.clone(),
        number(row.a),
        number(row.b),
        format!("{:+.4}", row.difference),
        format!("{:+.4} to {:+.4}", row.low, row.high),
        if differs { "*".into() } else { String::new() },
    ]
}

/// A folder of probes and one of its hook points.
struct Side {
    folder: PathBuf,
    point: HookPoint,
    probes: ProbeSet,
}

impl Side {
    fn find(lab: &Path, text: &str) -> Result<Side> {
        let probed = |path: &str| {
            let folders = [lab.join("probes").join(path), PathBuf::from(path)];
            folders.into_iter().find(|folder| folder.join(PREDICTIONS_FILE).is_file())
        };
        // A revision may stand behind an @ as well: a folder that is there is meant as it is.
        if let Some(folder) = probed(text) {
            let point = best_point(&load_rows(&folder.join(SCORES_FILE))?)?;
            let probes = probes(&folder)?;
            return Ok(Side { folder, point, probes });
        }
        let behind = text.rsplit_once('@').and_then(|(path, point)| Some((probed(path)?, point)));
        let Some((folder, name)) = behind else {
            let expected =
                format!("MODEL/DATASET/PROMPT below {}, probed before", lab.join("probes").display());
            return Err(Error::invalid("folder of probes", text, expected));
        };
        let probes = probes(&folder)?;
        let known: Vec<HookPoint> = probes.points().collect();
        match HookPoint::choose(name, &known)?[..] {
            [point] => Ok(Side { folder, point, probes }),
            ref several => {
                let found = format!("`{name}`, which means {} hook points", several.len());
                Err(Error::invalid("hook point behind @", found, "one of them"))
            }
        }
    }

    /// The readings of the hook point: as they were saved, or from the activations.
    fn predictions(&self, lab: &Path) -> Result<Vec<PredictionRow>> {
        let file = self.folder.join(PREDICTIONS_FILE);
        let rows: Vec<PredictionRow> = load_rows(&file)?;
        let name = self.point.to_string();
        if rows.iter().all(|row| row.hook_point == name) {
            return Ok(rows);
        }
        let layer = store(lab, &self.folder)?.load(self.point)?;
        let readings = self.probes.get(self.point)?.probe.predict_all(layer.view());
        let n_targets = self.probes.about.targets.len();
        if rows.len() != readings.nrows() * n_targets {
            let found = format!("{} rows for {} activations", rows.len(), readings.nrows());
            let expected = "a reading of each entity; splits in folds keep them at the best layer alone";
            return Err(Error::bad_file(file, found, expected));
        }
        let read = rows.into_iter().zip(readings.iter());
        Ok(read
            .map(|(row, reading)| PredictionRow { hook_point: name.clone(), prediction: *reading, ..row })
            .collect())
    }
}

fn probes(folder: &Path) -> Result<ProbeSet> {
    ProbeSet::load(&folder.join(PROBES_FILE))
}

/// The activations that the probes of a folder were fitted to.
fn store(lab: &Path, folder: &Path) -> Result<ActivationStore> {
    let mut parts = folder.iter().rev().map(|part| part.to_string_lossy().into_owned());
    let names = (parts.next(), parts.next(), parts.next());
    let (Some(results), Some(dataset), Some(model)) = names else {
        return Err(Error::invalid("folder of probes", folder.display(), "MODEL/DATASET/PROMPT"));
    };
    // Behind the prompt's name stand the choices that only results know, such as `.split_random`.
    let mut prompt = results.as_str();
    loop {
        let store = activations(lab, (&model, &dataset, prompt))?;
        if !store.hook_points()?.is_empty() {
            return Ok(store);
        }
        prompt = match prompt.rsplit_once('.') {
            Some((before, _)) => before,
            None => {
                let advice = format!(
                    "activations; make them with `mappa extract --model {model} --dataset {dataset}`"
                );
                return Err(Error::bad_file(store.place(), "nothing", advice));
            }
        };
    }
}

/// How what was found lies: principal components, and the angles between probes.
///
/// Writes into geometry/ beside the probes of each dataset: participation.csv (how many principal components the
/// stream lies in, and each reading is made of), layers.csv, targets.csv and datasets.csv (cosines between the
/// probes of layers, of latitude and longitude, and of this dataset and the others). docs/neurons.md says how
/// to read them.
///
/// Examples:
///   mappa probe geometry --dataset world_place --dataset us_place   is north the same direction in both?
///   mappa probe geometry --model pythia-160m --prompt coords        all datasets that were probed so
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Geometry {
    /// The model as it was given to `mappa probe`, or its name below probes/.
    #[arg(long, default_value = BUNDLED_MODEL)]
    model: String,
    /// Datasets; repeat for several. Default: all that were probed.
    #[arg(long = "dataset", value_name = "NAME")]
    datasets: Vec<String>,
    /// The folder of the prompt's results.
    #[arg(long, default_value = "empty")]
    prompt: String,
}

impl Geometry {
    fn run(&self, lab: &Path) -> Result<()> {
        let model = name_in_lab(lab, &self.model);
        for (what, name) in [("--model", &model), ("--prompt", &self.prompt)] {
            folder_name(what, name)?;
        }
        let model = lab.join("probes").join(model);
        let datasets =
            if self.datasets.is_empty() { probed(&model, &self.prompt)? } else { self.datasets.clone() };
        let folder = |dataset: &String| model.join(dataset).join(&self.prompt);
        datasets.iter().try_for_each(|dataset| folder_name("--dataset", dataset).map(drop))?;
        let missing = |dataset: &&String| !folder(dataset).join(PROBES_FILE).is_file();
        if let Some(dataset) = datasets.iter().find(missing) {
            let found = format!("no probes in {}", folder(dataset).display());
            let expected = format!("one that was probed; run `mappa probe --dataset {dataset}` first");
            return Err(Error::invalid("--dataset", found, expected));
        }
        let sets = datasets.iter().map(|dataset| probes(&folder(dataset))).collect::<Result<Vec<_>>>()?;
        for (dataset, set) in datasets.iter().zip(&sets) {
            let out = folder(dataset).join("geometry");
            let participation = participation(&store(lab, &folder(dataset))?, set)?;
            let mut others = Vec::new();
            for other in sets.iter().filter(|other| other.about.dataset != set.about.dataset) {
                others.extend(cosines_of_datasets(set, other)?);
            }
            let targets = cosines_of_targets(set)?;
            save_rows(&out.join(PARTICIPATION_FILE), &participation)?;
            save_rows(&out.join(LAYER_COSINES_FILE), &cosines_of_layers(set)?)?;
            save_rows(&out.join(TARGET_COSINES_FILE), &targets)?;
            save_rows(&out.join(DATASET_COSINES_FILE), &others)?;
            print(dataset, &participation, &targets);
            println!("cosines and participation: {}", out.display());
        }
        Ok(())
    }
}

/// The datasets of a model that have probes under a prompt.
fn probed(model: &Path, prompt: &str) -> Result<Vec<String>> {
    let has_probes = |path: &PathBuf| path.join(prompt).join(PROBES_FILE).is_file();
    let entries = match model.is_dir() {
        true => Some(std::fs::read_dir(model).map_err(Error::io("read the folder", model))?),
        false => None,
    };
    let mut names: Vec<String> = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(has_probes)
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    if names.is_empty() {
        let found = format!("no probes of prompt {prompt} in {}", model.display());
        return Err(Error::invalid("--model", found, "one that was probed; run `mappa probe` first"));
    }
    Ok(names)
}

fn participation(store: &ActivationStore, set: &ProbeSet) -> Result<Vec<ParticipationRow>> {
    let mut rows = Vec::new();
    for point in set.points() {
        let layer = store.load(point)?;
        let entities: Vec<usize> = (0..layer.nrows()).collect();
        let decomposition = Decomposition::of_rows(layer.view(), &entities)?;
        rows.extend(participation_rows(set, point, &decomposition)?);
    }
    Ok(rows)
}

fn print(dataset: &str, participation: &[ParticipationRow], targets: &[CosineRow]) {
    println!("\n{dataset}");
    let cosine = |row: &ParticipationRow| {
        let of_layer = targets.iter().find(|cosine| cosine.hook_point_a == row.hook_point);
        of_layer.map_or(String::new(), |cosine| format!("{:+.2}", cosine.weights))
    };
    let rows: Vec<Vec<String>> = participation
        .iter()
        .map(|row| {
            let (stream, probe) = (format!("{:.1}", row.stream), format!("{:.1}", row.probe));
            vec![row.layer.clone(), row.target.clone(), stream, probe, cosine(row)]
        })
        .collect();
    print_columns(
        &["layer", "target", "components of the stream", "of the reading", "cosine of targets"],
        &rows,
    );
}
