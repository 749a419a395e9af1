//! `mappa datasets`: lists datasets, checks them against another source, and imports files.

use super::importing::{ImportFile, Pull};
use super::observer::TerminalObserver;
use super::output;
use clap::{Args, Subcommand};
use mappa::datasets::{BUNDLED, Dataset, TargetKind, check_against, known_exceptions, load, tolerance};
use mappa::lab::{Lab, find_dataset};
use mappa::shown::shown;
use mappa::{Error, Result};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// List the datasets, check them against other files, or import new ones into the lab.
#[derive(Args)]
pub(super) struct Datasets {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the bundled datasets and those in the lab.
    List,
    /// Check the bundled datasets against files of the same names in another folder.
    ///
    /// Every row whose name is also in the other file must agree: within 0.3 degrees for places (0.02 in New
    /// York), within one year for times; datasets/exceptions.csv lists the known exceptions.
    ///
    /// Example: mappa datasets check --against path/to/entity_datasets
    Check {
        /// The folder with the reference files.
        #[arg(long, value_name = "DIR")]
        against: PathBuf,
    },
    Import(ImportFile),
    Pull(Pull),
}

impl Datasets {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        if matches!(self.command, Command::List | Command::Check { .. }) {
            output::only_prints();
        }
        match &self.command {
            Command::List => list(lab),
            Command::Check { against } => check(lab, against),
            Command::Import(args) => args.run(lab),
            Command::Pull(args) => args.run(lab),
        }
    }
}

fn list(lab: &Lab) -> Result<()> {
    say!("{:<20} {:>6} {:>6}  {:<8} groups", "dataset", "rows", "test", "target");
    let own = own_datasets(lab)?;
    for name in BUNDLED.into_iter().chain(own.iter().map(String::as_str)) {
        let dataset = find_dataset(lab, name, &mut TerminalObserver::default())?;
        let n_test = dataset.entities.iter().filter(|e| e.is_test).count();
        let target = match &dataset.kind {
            TargetKind::Place => "place".to_string(),
            TargetKind::Year => "year".to_string(),
            TargetKind::Quantity(quantity) if quantity.unit.is_empty() => quantity.name.clone(),
            TargetKind::Quantity(quantity) => format!("{} ({})", quantity.name, quantity.unit),
        };
        let (target, groups) = (shown(&target), dataset.group_columns.join(", "));
        let groups = shown(&groups);
        say!("{name:<20} {:>6} {n_test:>6}  {target:<8} {groups}", dataset.entities.len());
    }
    say!();
    say!("next: mappa extract --dataset world_place   (or your own data: mappa datasets import FILE)");
    Ok(())
}

/// The lab's datasets that are not bundled, by name: the CSV files in datasets/ that have a card.
fn own_datasets(lab: &Lab) -> Result<Vec<String>> {
    let folder = lab.join("datasets");
    if !folder.is_dir() {
        return Ok(vec![]);
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(Error::io("read the folder", &folder))? {
        let path = entry.map_err(Error::io("read the folder", &folder))?.path();
        let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let is_csv = path.extension().is_some_and(|ending| ending == "csv");
        if is_csv && path.with_extension("json").is_file() && !BUNDLED.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn check(lab: &Lab, against: &Path) -> Result<()> {
    let (mut n_wrong, mut n_files) = (0, 0);
    say!(
        "{:<20} {:>6} {:>7} {:>10} {:>11}  tolerance",
        "dataset",
        "rows",
        "shared",
        "exceptions",
        "unexplained"
    );
    for name in BUNDLED {
        let path = against.join(format!("{name}.csv"));
        if !path.is_file() {
            say!("{name:<20} not found: {}", path.display());
            continue;
        }
        n_files += 1;
        let ours = find_dataset(lab, name, &mut TerminalObserver::default())?;
        let known = known_exceptions(name)?;
        n_wrong += check_one(&ours, &load(&path)?, &known);
    }
    match (n_files, n_wrong) {
        (0, _) => {
            Err(Error::invalid("--against", against.display(), format!("a folder with {}.csv …", BUNDLED[0])))
        }
        (_, 0) => Ok(()),
        (_, n) => Err(Error::invalid(
            "bundled datasets",
            format!("{n} unexplained differences"),
            "rows that agree, or an entry with a reason in datasets/exceptions.csv",
        )),
    }
}

fn check_one(ours: &Dataset, reference: &Dataset, known: &HashSet<String>) -> usize {
    let report = check_against(ours, reference);
    let unexplained = report.unexplained(known);
    let n_known = report.disagreements.len() - unexplained.len();
    say!(
        "{:<20} {:>6} {:>7} {n_known:>10} {:>11}  {}",
        ours.name,
        report.n_rows,
        report.n_shared,
        unexplained.len(),
        tolerance(ours)
    );
    for d in &unexplained {
        say!(
            "  row {}: {}: ours {:?}, theirs {:?}",
            d.row,
            shown(&d.name),
            d.ours.values(),
            d.theirs.values()
        );
    }
    unexplained.len()
}
