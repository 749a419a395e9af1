//! Finds saved probes in the lab by their targets.

use super::datasets::find;
use super::folders::Lab;
use super::placed::check_place;
use super::suggest;
use crate::artefact::Card;
use crate::datasets::{BUNDLED, Dataset, Prompt, find as find_dataset, name_of};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::probes::{PROBES_FILE, ProbeSet, best_point, test_r2};
use crate::progress::Observer;
use crate::results::{RIDGE, SCORES_FILE, load_rows};
use crate::steering::RequiredTarget;
use std::cell::OnceCell;
use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// A selection of saved probes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeChoice {
    /// The dataset of the probes: a name, or the probed file; by default the first dataset with suitable probes.
    pub dataset: Option<String>,
    /// The folder of probes: a path, or its name below `probes/MODEL/DATASET`; by default that of the best test R².
    pub probes: Option<PathBuf>,
}

impl ProbeChoice {
    /// Returns true if a dataset or a folder is selected.
    pub fn is_some(&self) -> bool {
        self.dataset.is_some() || self.probes.is_some()
    }

    /// The name of the selected dataset; for a file, its name without folder and extension.
    pub fn dataset_name(&self) -> Option<String> {
        self.dataset.as_deref().map(name_of)
    }
}

/// A set of probes with its folder.
#[derive(Debug, Clone)]
pub struct SavedProbes {
    /// The folder.
    pub folder: PathBuf,
    /// The probes.
    pub set: ProbeSet,
    /// The card, empty if there is none.
    card: Card,
    /// The evidence that the probes predict their targets.
    evidence: Evidence,
}

/// The evidence that probes predict the targets of their own dataset, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
enum Evidence {
    /// The interval of the test R² is not above 0, or the probes were trained on another dataset.
    None,
    /// There are no scores next to the probes, for example because only the probes were copied.
    NoScores,
    /// The test R² at the best layer, whose interval lies above 0.
    TestR2(f64),
}

impl Evidence {
    /// Reads the scores of a folder of probes.
    fn of(folder: &Path, card: &Card, dataset: &str) -> Evidence {
        if card.inputs.get("learnt_from").is_some_and(|trained_on| trained_on != dataset) {
            return Evidence::None;
        }
        let Ok(scores) = load_rows(&folder.join(SCORES_FILE)) else { return Evidence::NoScores };
        let Ok(point) = best_point(&scores) else { return Evidence::NoScores };
        match test_r2(&scores, RIDGE, Some(point)) {
            None => Evidence::NoScores,
            Some(row) if row.low > 0.0 => Evidence::TestR2(row.value),
            Some(_) => Evidence::None,
        }
    }
}

/// Finds probes of a model in a lab; each file is loaded once.
pub struct ProbeFinder<'a> {
    lab: &'a Lab,
    model: &'a Model,
    choice: &'a ProbeChoice,
    all: OnceCell<Vec<Rc<SavedProbes>>>,
}

impl<'a> ProbeFinder<'a> {
    /// A finder, which loads the probes when they are first needed.
    pub fn new(lab: &'a Lab, model: &'a Model, choice: &'a ProbeChoice) -> ProbeFinder<'a> {
        ProbeFinder { lab, model, choice, all: OnceCell::new() }
    }

    /// The lab.
    pub fn lab(&self) -> &'a Lab {
        self.lab
    }

    /// The model.
    pub fn model(&self) -> &'a Model {
        self.model
    }

    /// The first probes with these targets in the order of [`ProbeFinder::all`]. Without a selection, probes that do
    /// not predict their targets are refused.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::BadFile`] with advice if there are no such probes; [`Error::BadFile`] if they do not
    /// fit the model.
    pub fn best(&self, targets: &RequiredTarget) -> Result<Rc<SavedProbes>> {
        let saved = self.first(targets)?;
        if saved.evidence == Evidence::None && !self.choice.is_some() {
            return Err(self.no_evidence(&saved));
        }
        Ok(saved)
    }

    /// As [`ProbeFinder::best`], but also accepts probes that predict nothing, since they still record the size of the
    /// stream.
    ///
    /// # Errors
    /// As [`ProbeFinder::best`].
    pub fn first(&self, targets: &RequiredTarget) -> Result<Rc<SavedProbes>> {
        let suitable = self.all()?.iter().find(|saved| targets.suits(&saved.set.about));
        let saved = suitable.ok_or_else(|| self.nothing(targets))?;
        self.check_place(saved)?;
        saved.check_fits(self.model)?;
        Ok(saved.clone())
    }

    /// Refuses a folder that lies where another one belongs, unless it was selected by its path.
    fn check_place(&self, saved: &SavedProbes) -> Result<()> {
        if self.choice.probes.is_some() { Ok(()) } else { check_place(&saved.folder) }
    }

    /// The error if probes do not predict their targets and were not selected by name.
    fn no_evidence(&self, saved: &SavedProbes) -> Error {
        Error::invalid(
            "probes to steer along",
            format!(
                "none whose test R² on their own dataset has an interval above 0 (best: {})",
                saved.folder.display()
            ),
            "probes that predict their target; name others with --dataset or --probes to use them nevertheless",
        )
    }

    /// The candidates for steering, in the order of [`ProbeFinder::all`]; without a selection, probes that predict
    /// nothing are left out.
    ///
    /// # Errors
    /// Those of [`ProbeFinder::all`]; [`Error::BadFile`] for a folder that lies where another one belongs.
    pub fn usable(&self) -> Result<impl Iterator<Item = &Rc<SavedProbes>>> {
        let is_selected = self.choice.is_some();
        let all = self.all()?;
        if is_selected {
            all.iter().try_for_each(|saved| self.check_place(saved))?;
        }
        let is_usable = move |saved: &&Rc<SavedProbes>| {
            is_selected || (saved.evidence != Evidence::None && check_place(&saved.folder).is_ok())
        };
        Ok(all.iter().filter(is_usable))
    }

    /// All candidate probes, sorted by the kind of evidence (a test R² above 0 first), then by dataset, then by test
    /// R², then by date, newest first.
    ///
    /// # Errors
    /// Those of the files; [`Error::Invalid`] if the selected folder has no probes.
    pub fn all(&self) -> Result<&[Rc<SavedProbes>]> {
        if let Some(all) = self.all.get() {
            return Ok(all);
        }
        let all = self.load()?.into_iter().map(Rc::new).collect();
        Ok(self.all.get_or_init(|| all))
    }

    fn load(&self) -> Result<Vec<SavedProbes>> {
        let mut all = Vec::new();
        if let Some(probes) = &self.choice.probes {
            all = self.chosen(probes).into_iter().map(SavedProbes::load).collect::<Result<_>>()?;
            if all.is_empty() {
                return Err(self.no_folder(probes));
            }
        }
        let is_open = all.is_empty();
        for dataset in folders(&self.lab.probes_of(&self.model.name)).into_iter().filter(|_| is_open) {
            let name = dataset.file_name().map(|name| name.to_string_lossy().into_owned());
            if self.choice.dataset_name().is_some_and(|wanted| Some(wanted) != name) {
                continue;
            }
            let with_probes =
                folders(&dataset).into_iter().filter(|folder| folder.join(PROBES_FILE).is_file());
            all.extend(with_probes.map(SavedProbes::load).collect::<Result<Vec<_>>>()?);
        }
        let place = |name: &str| BUNDLED.iter().position(|known| *known == name).unwrap_or(BUNDLED.len());
        let usual = Prompt::empty().name;
        all.sort_by(|a, b| {
            let dataset = |saved: &SavedProbes| {
                let name = saved.set.about.dataset.clone();
                (place(&name), name)
            };
            // Among probes of the same second, those with default settings come first.
            let made = |saved: &SavedProbes| {
                (saved.card.record.get("date").cloned(), saved.folder.ends_with(&usual))
            };
            // R² is compared only within a dataset: probes of another dataset may predict less but steer further.
            let r2 = |saved: &SavedProbes| match saved.evidence {
                Evidence::TestR2(r2) => r2,
                Evidence::NoScores | Evidence::None => f64::NEG_INFINITY,
            };
            let rank = |saved: &SavedProbes| {
                let rank = match saved.evidence {
                    Evidence::TestR2(_) => 2,
                    Evidence::NoScores => 1,
                    Evidence::None => 0,
                };
                Reverse(rank)
            };
            let by_dataset = rank(a).cmp(&rank(b)).then_with(|| dataset(a).cmp(&dataset(b)));
            by_dataset.then_with(|| r2(b).total_cmp(&r2(a))).then_with(|| made(b).cmp(&made(a)))
        });
        Ok(all)
    }

    /// The selected folders that contain probes: one path, or the folders of this name below the datasets.
    fn chosen(&self, probes: &Path) -> Vec<PathBuf> {
        let of_model = self.lab.probes_of(&self.model.name);
        let below = match self.choice.dataset_name() {
            Some(dataset) => vec![of_model.join(dataset).join(probes)],
            None => folders(&of_model).into_iter().map(|dataset| dataset.join(probes)).collect(),
        };
        let has_probes = |folder: &PathBuf| folder.join(PROBES_FILE).is_file();
        let places = [probes.to_path_buf(), self.lab.join("probes").join(probes), of_model.join(probes)];
        match places.into_iter().find(has_probes) {
            Some(one) => vec![one],
            None => below.into_iter().filter(has_probes).collect(),
        }
    }

    /// The error for a selected folder without probes; lists the folders that have probes.
    fn no_folder(&self, probes: &Path) -> Error {
        let of_model = self.lab.probes_of(&self.model.name);
        let inner = folders(&of_model).iter().flat_map(|dataset| folders(dataset)).collect::<Vec<_>>();
        let there = inner.iter().filter(|folder| folder.join(PROBES_FILE).is_file());
        let there: Vec<String> = there
            .filter_map(|folder| Some(folder.strip_prefix(&of_model).ok()?.to_string_lossy().into_owned()))
            .collect();
        let there = if there.is_empty() { "nothing yet".into() } else { there.join(", ") };
        let found = match self.choice.dataset_name() {
            Some(dataset) => format!("{}, with --dataset {dataset}", probes.display()),
            None => probes.display().to_string(),
        };
        let expected = format!(
            "a folder with {PROBES_FILE}: a path, or a name below {}/DATASET (there: {there}); --dataset chooses among \
             datasets",
            of_model.display()
        );
        Error::invalid("--probes", found, expected)
    }

    /// The dataset of `saved`: the selected one, otherwise the one with the name in the probes.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the lab has no dataset of that name.
    pub fn dataset(&self, saved: &SavedProbes, observer: &mut dyn Observer) -> Result<Dataset> {
        let name = &saved.set.about.dataset;
        match &self.choice.dataset {
            Some(chosen) => find(self.lab, chosen, observer),
            None => find(self.lab, name, observer).map_err(|_| {
                let expected =
                    format!("its file, given as --dataset FILE, or {name}.csv in the lab's datasets");
                Error::invalid("dataset of the probes", format!("{name}, which is not in the lab"), expected)
            }),
        }
    }

    /// The error for missing probes, with advice.
    fn nothing(&self, targets: &RequiredTarget) -> Error {
        let there = self.all().unwrap_or_default();
        if !there.is_empty() {
            let words = |saved: &Rc<SavedProbes>| {
                let about = &saved.set.about;
                let unit = if about.unit.is_empty() { String::new() } else { format!(" in {}", about.unit) };
                format!("{} ({}{unit})", about.dataset, about.targets.join(", "))
            };
            let mut words: Vec<String> = there.iter().map(words).collect();
            words.dedup();
            let found = format!("probes of {}", words.join(", "));
            let expected = match targets {
                RequiredTarget::Unit(unit) => format!(
                    "a probe that predicts a number in {unit}: use the unit of one of these, or name its \
                     target (--toward), or give the dataset its unit: \
                     `mappa datasets import FILE --target … --unit {unit}`"
                ),
                other => format!("probes of {other}; `mappa probe` fits them"),
            };
            let expected = match (&self.choice.dataset, &self.choice.probes) {
                (None, None) => expected,
                _ => format!(
                    "{expected}; --dataset and --probes choose among all probes of {}",
                    self.model.name
                ),
            };
            return Error::invalid("probes", found, expected);
        }
        let dataset = self.choice.dataset.clone().unwrap_or_else(|| match targets {
            RequiredTarget::Target(name) if name == "year" => "historical_figure".into(),
            RequiredTarget::Target(_) | RequiredTarget::Unit(_) => "DATASET".into(),
            RequiredTarget::Anything | RequiredTarget::Place => "world_place".into(),
        });
        let rest = suggest::flag("dataset", &dataset);
        let make = suggest::command_in_error(self.lab, &suggest::of_model(self.model), "probe", &rest);
        let found = format!("no probes of {targets}");
        Error::bad_file(
            self.lab.probes_of(&self.model.name),
            found,
            format!("probes; fit them with `{make}`"),
        )
    }
}

impl SavedProbes {
    /// Loads the probes of a folder.
    ///
    /// # Errors
    /// [`Error::BadFile`] naming the file.
    pub fn load(folder: PathBuf) -> Result<SavedProbes> {
        let file = folder.join(PROBES_FILE);
        // Probes that were copied from elsewhere have no card.
        let card = Card::load(&folder.join("card.json"))?.unwrap_or_default();
        card.check_file(&file)?;
        let set = ProbeSet::load(&file)?;
        let evidence = Evidence::of(&folder, &card, &set.about.dataset);
        Ok(SavedProbes { set, folder, card, evidence })
    }

    /// The file of the probes.
    pub fn file(&self) -> PathBuf {
        self.folder.join(PROBES_FILE)
    }

    /// Adds a note if the dataset or the weights have changed since the probes were fitted.
    pub fn note_changes(&self, finder: &ProbeFinder, observer: &mut dyn Observer) {
        let name = &self.set.about.dataset;
        let dataset = find_dataset(finder.lab.root(), finder.choice.dataset.as_ref().unwrap_or(name));
        let dataset = dataset.ok().filter(|dataset| dataset.name == *name).map(|dataset| dataset.sha256);
        let weights = Some(finder.model.weights_sha256.clone());
        let present = [("dataset_sha256", "dataset", dataset), ("weights_sha256", "model", weights)];
        for (field, what, now) in present {
            let (Some(then), Some(now)) = (self.card.inputs.get(field), now) else { continue };
            if *then != now {
                let file = self.file();
                observer.note(&format!(
                    "{} was fitted to an earlier {what}, which has changed; `mappa probe` tells how to fit it again",
                    file.display()
                ));
            }
        }
    }

    /// Checks that the probes belong to this model, and that each has the width of its hook point.
    ///
    /// # Errors
    /// [`Error::BadFile`] naming the file and the hook point.
    pub fn check_fits(&self, model: &Model) -> Result<()> {
        let (path, set) = (self.file(), &self.set);
        if set.about.model != model.name {
            let found = format!("probes of the model `{}`", set.about.model);
            return Err(Error::bad_file(
                path,
                found,
                format!("probes of the steered model `{}`", model.name),
            ));
        }
        for point in set.points() {
            let (found, width) = (set.get(point)?.probe.d_model(), model.spec().width_at(point));
            if width != Some(found) {
                let found = format!("a probe of {found} weights at {point}");
                let expected = width
                    .map_or("no such hook point in this model".into(), |width| format!("{width} weights"));
                return Err(Error::bad_file(path, found, format!("{expected}; fit them again")));
            }
        }
        Ok(())
    }
}

/// The subfolders of a folder, sorted by name; empty if the folder does not exist.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    all.sort();
    all
}
