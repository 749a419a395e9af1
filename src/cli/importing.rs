//! `mappa datasets import` and `pull`: turn files into datasets of the lab.

use super::observer::TerminalObserver;
use clap::Args;
use mappa::datasets::ImportPlan;
use mappa::datasets::{Imported, IncompleteRows, PAPER_ADDRESS, PAPER_FILES, PaperFile, TargetChoice};
use mappa::lab::{DatasetSource, Lab, Pulled, pull_dataset, suggest};
use mappa::shown::{shown, shown_up_to};
use mappa::{Error, Result};
use std::path::{Path, PathBuf};

/// Make a dataset of the lab from a CSV, TSV, JSON or Parquet file.
///
/// Checks every row, and writes datasets/NAME.csv with a card, datasets/NAME.json: the file's hash, the chosen
/// columns, and counts of rows. All columns are kept, so that prompts may name them; the headings contain the role
/// of each column, such as `population [target: people]`. Then every command accepts --dataset NAME.
///
/// Without --target, the command looks for columns named latitude and longitude (lat; lon, lng or long), or death_year,
/// release_date, pub_date, year, date or when. Case and spaces in headings do not matter.
///
/// Cells of a .csv file may be separated by commas, semicolons (with decimal commas), tabs or vertical bars, and may be
/// quoted; a .tsv file has no quoting.
///
/// Examples:
///   mappa datasets import cities.csv --target population --unit people --group country
///   mappa datasets import people.parquet --name births --entity who --target born --unit years
///   mappa datasets import reviews.csv --entity prompt --classes sentiment
///   mappa datasets import places.jsonl --entity label --latitude y --longitude x --skip-incomplete
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct ImportFile {
    /// The file; its extension gives its format: .csv, .tsv, .jsonl, .ndjson, .json or .parquet.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name of the dataset [default: the file's name without extension].
    #[arg(long)]
    name: Option<String>,
    /// The column with the entities' names [default: a column called name, title, headline or entity].
    ///
    /// Without such a column, the default is one called city, town, place, person, event or work.
    #[arg(long, value_name = "COLUMN")]
    entity: Option<String>,
    /// The column with the number that probes predict.
    #[arg(long, value_name = "COLUMN", conflicts_with_all = ["latitude", "longitude"])]
    target: Option<String>,
    /// The column with two classes, if probes predict classes; they also become the numbers 0 and 1.
    #[arg(long, value_name = "COLUMN", conflicts_with_all = ["target", "latitude", "longitude"])]
    classes: Option<String>,
    /// Unit of the number. With --unit years, the column may hold ISO dates as well.
    #[arg(long, requires = "target")]
    unit: Option<String>,
    /// The column with degrees north, if the target is a place.
    #[arg(long, value_name = "COLUMN", requires = "longitude")]
    latitude: Option<String>,
    /// The column with degrees east, if the target is a place.
    #[arg(long, value_name = "COLUMN", requires = "latitude")]
    longitude: Option<String>,
    /// A column that groups entities; repeat for several. The first gives the groups of the oracle.
    #[arg(long = "group", value_name = "COLUMN")]
    groups: Vec<String>,
    /// The column that marks test entities [default: is_test, otherwise a fifth of the names, chosen by hash].
    #[arg(long, value_name = "COLUMN")]
    test: Option<String>,
    /// Skip rows without a name or a target, and report their number.
    #[arg(long)]
    skip_incomplete: bool,
    /// Replace a dataset of the same name in the lab.
    #[arg(long)]
    replace: bool,
}

impl ImportFile {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        let imported = self.plan()?.read(&self.file)?;
        let saved = if self.replace { imported.replace(lab.root())? } else { imported.save(lab.root())? };
        print_imported(&imported, &saved.0, saved.1);
        let of_classes = self.classes.as_ref();
        let of_classes = of_classes.map(|column| suggest::flag("classes", column) + " --method logistic");
        let rest = suggest::flag("dataset", &imported.dataset.name) + &of_classes.unwrap_or_default();
        say!("next: {}", suggest::command(lab, "", "probe", &rest));
        say!("      with --model PATH for a model other than the bundled one");
        Ok(())
    }

    fn plan(&self) -> Result<ImportPlan> {
        let stem = || Some(self.file.file_stem()?.to_string_lossy().into_owned());
        let name = self.name.clone().or_else(stem);
        let name = name.ok_or_else(|| Error::invalid("file", self.file.display(), "a file's name"))?;
        let unit = self.unit.clone().unwrap_or_default();
        let target = match (&self.target, &self.latitude, &self.longitude) {
            _ if self.classes.is_some() => TargetChoice::Classes(self.classes.clone().unwrap_or_default()),
            (Some(column), ..) if ["year", "years"].contains(&unit.as_str()) => {
                TargetChoice::Year(column.clone())
            }
            (Some(column), ..) => TargetChoice::Quantity { column: column.clone(), unit },
            (None, Some(latitude), Some(longitude)) => {
                TargetChoice::Place { latitude: latitude.clone(), longitude: longitude.clone() }
            }
            _ => TargetChoice::Usual,
        };
        let incomplete = if self.skip_incomplete { IncompleteRows::LeftOut } else { IncompleteRows::Refused };
        let (entity, groups, test) = (self.entity.clone(), self.groups.clone(), self.test.clone());
        Ok(ImportPlan { name, entity, target, groups, test, incomplete })
    }
}

/// Download the paper's six datasets from their authors' repository into the lab.
///
/// Each file is checked against its git hash at the pinned commit, and imported. An interrupted download is
/// resumed; for datasets already in the lab, nothing is requested.
///
/// Example: mappa datasets pull paper --lab paper
#[derive(Args)]
pub(super) struct Pull {
    /// The datasets to download: paper.
    #[arg(value_name = "WHAT")]
    what: DatasetSource,
    /// Only this dataset; repeat for several [default: all six].
    #[arg(long = "dataset", value_name = "NAME")]
    datasets: Vec<String>,
    /// The URL of another folder with the six CSV files.
    #[arg(long, value_name = "URL", default_value = PAPER_ADDRESS, hide_default_value = true)]
    from: String,
}

impl Pull {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        let DatasetSource::Paper = self.what;
        for file in paper_files(&self.datasets)? {
            let observer = &mut TerminalObserver::default();
            print_pulled(&pull_dataset(file, &self.from, lab, observer)?);
        }
        say!("next: {}", suggest::command(lab, " --model MODEL", "run probes/paper.toml", ""));
        Ok(())
    }
}

/// The paper's files with these dataset names; if `names` is empty, all files.
fn paper_files(names: &[String]) -> Result<Vec<&'static PaperFile>> {
    let known = || PAPER_FILES.map(|file| file.name).join(", ");
    let find = |name: &String| {
        let file = PAPER_FILES.iter().find(|file| file.name == name);
        file.ok_or_else(|| Error::invalid("dataset of the paper", name, known()))
    };
    if names.is_empty() { Ok(PAPER_FILES.iter().collect()) } else { names.iter().map(find).collect() }
}

/// Prints the outcome for one requested dataset.
pub(super) fn print_pulled(pulled: &Pulled) {
    match pulled {
        Pulled::Found(name) => say!("found, pulled before: {name}"),
        Pulled::Imported { imported, file, is_new } => print_imported(imported, file, *is_new),
    }
}

/// Prints the file of an import, and the number of skipped rows.
fn print_imported(imported: &Imported, file: &Path, is_new: bool) {
    let dataset = &imported.dataset;
    let n_test = dataset.entities.iter().filter(|entity| entity.is_test).count();
    let unit = if dataset.kind.unit().is_empty() {
        String::new()
    } else {
        format!(" ({})", shown(dataset.kind.unit()))
    };
    let how = if is_new { "imported" } else { "found, imported before" };
    say!(
        "{how}: {}: {} entities, {n_test} of them test; target {}{unit}",
        file.display(),
        dataset.entities.len(),
        shown(&dataset.kind.names().join(", "))
    );
    match &imported.test_column {
        Some(column) => say!("test rows: those that the column `{}` marks", shown(column)),
        None => say!(
            "test rows: a fifth of the names, chosen by the hash of each name, so the same in every run; --test COLUMN \
             takes a column of the file instead"
        ),
    }
    if imported.n_left_out > 0 {
        say!("left out: {} rows without a name or a target", imported.n_left_out);
    }
    if imported.n_repeated > 0 {
        say!("note: {} rows repeat a name of an earlier row", imported.n_repeated);
    }
    imported.notes.iter().for_each(|note| say!("{}", shown_up_to(1000, note)));
}
