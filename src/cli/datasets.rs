//! `mappa datasets`: what there is, and whether the facts agree with another source.

use clap::{Args, Subcommand};
use mappa::datasets::{BUNDLED, Dataset, TargetKind, check_against, find, known_exceptions, load, tolerance};
use mappa::{Error, Result};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// List the datasets, or hold them against other files.
#[derive(Args)]
pub struct Datasets {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the bundled datasets and those in the lab.
    List,
    /// Hold the bundled datasets against files of the same names in another folder.
    ///
    /// Every row whose name also stands there must agree: within 0.3 degrees for places (0.02 in New
    /// York), within one year for times; datasets/exceptions.csv lists the known exceptions.
    ///
    /// Example: mappa datasets check --against path/to/entity_datasets
    Check {
        /// The folder with the reference files.
        #[arg(long, value_name = "DIR")]
        against: PathBuf,
    },
}

impl Datasets {
    /// Runs the command.
    pub fn run(&self, lab: &Path) -> Result<()> {
        match &self.command {
            Command::List => list(lab),
            Command::Check { against } => check(lab, against),
        }
    }
}

fn list(lab: &Path) -> Result<()> {
    println!("{:<20} {:>6} {:>6}  {:<8} groups", "dataset", "rows", "test", "target");
    for name in BUNDLED {
        let dataset = find(lab, name)?;
        let n_test = dataset.entities.iter().filter(|e| e.is_test).count();
        let target = match dataset.kind {
            TargetKind::Place => "place",
            TargetKind::Year => "year",
        };
        let groups = dataset.group_columns.join(", ");
        println!("{name:<20} {:>6} {n_test:>6}  {target:<8} {groups}", dataset.entities.len());
    }
    println!("\nnext: mappa extract --dataset world_place   (or your own CSV file with the same columns)");
    Ok(())
}

fn check(lab: &Path, against: &Path) -> Result<()> {
    let (mut n_wrong, mut n_files) = (0, 0);
    println!(
        "{:<20} {:>6} {:>7} {:>10} {:>11}  tolerance",
        "dataset", "rows", "shared", "exceptions", "unexplained"
    );
    for name in BUNDLED {
        let path = against.join(format!("{name}.csv"));
        if !path.is_file() {
            println!("{name:<20} no {}", path.display());
            continue;
        }
        n_files += 1;
        let ours = find(lab, name)?;
        let known = known_exceptions(name)?;
        n_wrong += check_one(&ours, &load(&path)?, &known);
    }
    match (n_files, n_wrong) {
        (0, _) => {
            Err(Error::invalid("--against", against.display(), format!("a folder with {}.csv …", BUNDLED[0])))
        }
        (_, 0) => Ok(()),
        (_, n) => Err(Error::invalid(
            "facts",
            format!("{n} unexplained differences"),
            "rows that agree, or a reason in datasets/exceptions.csv",
        )),
    }
}

fn check_one(ours: &Dataset, reference: &Dataset, known: &HashSet<String>) -> usize {
    let report = check_against(ours, reference);
    let unexplained = report.unexplained(known);
    let n_known = report.disagreements.len() - unexplained.len();
    println!(
        "{:<20} {:>6} {:>7} {n_known:>10} {:>11}  {}",
        ours.name,
        report.n_rows,
        report.n_shared,
        unexplained.len(),
        tolerance(ours)
    );
    for d in &unexplained {
        println!("  row {}: {}: ours {:?}, theirs {:?}", d.row, d.name, d.ours.values(), d.theirs.values());
    }
    unexplained.len()
}
