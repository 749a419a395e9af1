//! Probes that were fitted before, found in the lab by what they read.

use super::dataset::find;
use super::suggest;
use clap::Args;
use mappa::artefact::Card;
use mappa::datasets::{BUNDLED, Dataset, Prompt, name_of};
use mappa::model::Model;
use mappa::probes::{PROBES_FILE, ProbeSet};
use mappa::steering::Reads;
use mappa::{Error, Result};
use std::path::{Path, PathBuf};

/// The file of a folder of probes.

/// The probes that are meant, where there are several.
#[derive(Args, Clone, Debug, Default)]
pub struct ChosenProbes {
    /// The dataset whose probe reads and steers: a name, or the file that was probed
    /// [default: the first that has probes which read what is asked for].
    #[arg(long, value_name = "NAME|FILE")]
    pub dataset: Option<String>,
    /// The folder of probes: a path, or its name below probes/MODEL/DATASET such as where_is or
    /// empty.split_by_country [default: the newest].
    #[arg(long, value_name = "FOLDER")]
    pub probes: Option<PathBuf>,
}

/// A set of probes and where it lies.
pub struct Probed {
    /// Its folder.
    pub folder: PathBuf,
    /// The probes.
    pub set: ProbeSet,
    /// When its card says that they were made.
    date: String,
}

impl ChosenProbes {
    /// True if anything was chosen.
    pub fn is_said(&self) -> bool {
        self.dataset.is_some() || self.probes.is_some()
    }

    /// The name of the dataset, if one was chosen: of a file, without folder and ending.
    pub fn dataset_name(&self) -> Option<String> {
        self.dataset.as_deref().map(name_of)
    }

    /// The newest probes of a model that read what is asked for, of the first dataset that has some.
    pub fn newest(&self, lab: &Path, model: &Model, reads: &Reads) -> Result<Probed> {
        let mut all = self.all(lab, model)?;
        all.retain(|probed| reads.suits(&probed.set.about));
        all.into_iter().next().ok_or_else(|| self.nothing(lab, model, reads))?.fitting(model)
    }

    /// All probes of a model that may be meant: dataset by dataset, the newest of each first.
    pub fn all(&self, lab: &Path, model: &Model) -> Result<Vec<Probed>> {
        if let Some(folder) = self.folder(lab, model) {
            return Ok(vec![Probed::open(folder)?]);
        }
        if let Some(probes) = &self.probes {
            let expected = "a folder with probes.safetensors: a path, or a name below probes/MODEL/DATASET";
            return Err(Error::invalid("--probes", probes.display(), expected));
        }
        let of_model = lab.join("probes").join(&model.name);
        let mut all = Vec::new();
        for dataset in folders(&of_model) {
            let name = dataset.file_name().map(|name| name.to_string_lossy().into_owned());
            if self.dataset_name().is_some_and(|wanted| Some(wanted) != name) {
                continue;
            }
            let with_probes =
                folders(&dataset).into_iter().filter(|folder| folder.join(PROBES_FILE).is_file());
            all.extend(with_probes.map(Probed::open).collect::<Result<Vec<_>>>()?);
        }
        let place = |name: &str| BUNDLED.iter().position(|known| *known == name).unwrap_or(BUNDLED.len());
        let usual = Prompt::empty().name;
        all.sort_by(|a, b| {
            let dataset = |probed: &Probed| {
                let name = probed.set.about.dataset.clone();
                (place(&name), name)
            };
            // Of one second, the usual choices.
            let made = |probed: &Probed| (probed.date.clone(), probed.folder.ends_with(&usual));
            dataset(a).cmp(&dataset(b)).then(made(b).cmp(&made(a)))
        });
        Ok(all)
    }

    /// The folder that was chosen, if it is one of probes.
    fn folder(&self, lab: &Path, model: &Model) -> Option<PathBuf> {
        let probes = self.probes.as_ref()?;
        let of_model = lab.join("probes").join(&model.name);
        let below = match self.dataset_name() {
            Some(dataset) => vec![of_model.join(dataset).join(probes)],
            None => folders(&of_model).into_iter().map(|dataset| dataset.join(probes)).collect(),
        };
        let places = [probes.clone(), lab.join("probes").join(probes), of_model.join(probes)];
        places.into_iter().chain(below).find(|folder| folder.join(PROBES_FILE).is_file())
    }

    /// The dataset of some probes: as it was chosen, else by their name.
    pub fn dataset(&self, lab: &Path, probed: &Probed) -> Result<Dataset> {
        let name = &probed.set.about.dataset;
        match &self.dataset {
            Some(chosen) => find(lab, chosen),
            None => find(lab, name).map_err(|_| {
                let expected =
                    format!("its file, given as --dataset FILE, or {name}.csv in the lab's datasets");
                Error::invalid("dataset of the probes", format!("{name}, which is not in the lab"), expected)
            }),
        }
    }

    /// That there are no such probes, and the command that makes them.
    fn nothing(&self, lab: &Path, model: &Model, reads: &Reads) -> Error {
        let there = self.all(lab, model).unwrap_or_default();
        if !there.is_empty() {
            let words = |probed: &Probed| {
                let about = &probed.set.about;
                let unit = if about.unit.is_empty() { String::new() } else { format!(" in {}", about.unit) };
                format!("{} ({}{unit})", about.dataset, about.targets.join(", "))
            };
            let mut words: Vec<String> = there.iter().map(words).collect();
            words.dedup();
            let found = format!("probes of {}", words.join(", "));
            let expected = match reads {
                Reads::Unit(unit) => format!(
                    "one that reads a number in {unit}: say it in the unit of one of these or by its target's name \
                     (--toward), or give the dataset its unit: `mappa datasets import FILE --target … --unit {unit}`"
                ),
                other => format!("probes of {other}; `mappa probe` makes them"),
            };
            return Error::invalid("probes", found, expected);
        }
        let dataset = self.dataset.clone().unwrap_or_else(|| match reads {
            Reads::Target(name) if name == "year" => "historical_figure".into(),
            Reads::Target(_) | Reads::Unit(_) => "DATASET".into(),
            Reads::Anything | Reads::Place => "world_place".into(),
        });
        let rest = format!("--dataset {}", suggest::quoted(&dataset));
        let make = suggest::command(lab, &suggest::of_model(model), ("probe", &rest));
        let found = format!("no probes of {reads}");
        Error::bad_file(lab.join("probes").join(&model.name), found, format!("some; make them with `{make}`"))
    }
}

impl Probed {
    fn open(folder: PathBuf) -> Result<Probed> {
        let set = ProbeSet::load(&folder.join(PROBES_FILE))?;
        let card = Card::load(&folder.join("card.json"))?;
        let date = card.and_then(|card| card.record.get("date").cloned()).unwrap_or_default();
        Ok(Probed { folder, set, date })
    }

    /// The same probes, once they are known to be of this model and as wide as its stream.
    pub fn fitting(self, model: &Model) -> Result<Probed> {
        let (path, set) = (self.folder.join(PROBES_FILE), &self.set);
        if set.about.model != model.name {
            let found = format!("probes of the model `{}`", set.about.model);
            return Err(Error::bad_file(
                path,
                found,
                format!("probes of `{}`, which is steered", model.name),
            ));
        }
        for point in set.points() {
            let (found, width) = (set.get(point)?.probe.d_model(), model.spec().width_at(point));
            if width != Some(found) {
                let found = format!("a probe of {found} weights at {point}");
                let expected =
                    width.map_or("no such place in this model".into(), |width| format!("{width} weights"));
                return Err(Error::bad_file(path, found, format!("{expected}; make the probes anew")));
            }
        }
        Ok(self)
    }
}

/// The folders in a folder, in order of their names; none where it is not there.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    all.sort();
    all
}
