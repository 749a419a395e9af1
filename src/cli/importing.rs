//! `mappa datasets import`: anybody's file as a dataset of the lab.

use clap::Args;
use mappa::datasets::{Import, Imported, Incomplete, TargetOf};
use mappa::{Error, Result};
use std::path::{Path, PathBuf};

/// Make a dataset of the lab from a CSV, TSV, JSONL or Parquet file.
///
/// Checks every row, and writes datasets/NAME.csv with a card, datasets/NAME.json: the file's hash, the columns
/// chosen, what was counted. All columns are kept, so that prompts may name them; in the headings stands what
/// each is for, such as `population [target: people]`. Then every command takes it as --dataset NAME.
///
/// Without --target, latitude and longitude, or death_year, release_date, pub_date or year are looked for.
///
/// Examples:
///   mappa datasets import cities.csv --target population --unit people --group country
///   mappa datasets import people.parquet --name births --entity who --target born --unit years
///   mappa datasets import places.jsonl --entity label --latitude y --longitude x --skip-incomplete
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ImportFile {
    /// The file; its ending tells its format: .csv, .tsv, .jsonl, .ndjson or .parquet.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What the dataset is called [default: the file's name without its ending].
    #[arg(long)]
    name: Option<String>,
    /// The column with the entities' names [default: name, title, headline or entity].
    #[arg(long, value_name = "COLUMN")]
    entity: Option<String>,
    /// The column with the number that probes read.
    #[arg(long, value_name = "COLUMN", conflicts_with_all = ["latitude", "longitude"])]
    target: Option<String>,
    /// What the number is counted in. With years, the column may hold ISO dates as well.
    #[arg(long, requires = "target")]
    unit: Option<String>,
    /// The column with degrees north, where the target is a place.
    #[arg(long, value_name = "COLUMN", requires = "longitude")]
    latitude: Option<String>,
    /// The column with degrees east, where the target is a place.
    #[arg(long, value_name = "COLUMN", requires = "latitude")]
    longitude: Option<String>,
    /// A column that groups entities; repeat for several. The first serves the centroid baseline.
    #[arg(long = "group", value_name = "COLUMN")]
    groups: Vec<String>,
    /// The column that marks the test split [default: is_test, else a fifth of the names by their hash].
    #[arg(long, value_name = "COLUMN")]
    test: Option<String>,
    /// Leave out rows without a name or a target, and count them.
    #[arg(long)]
    skip_incomplete: bool,
}

impl ImportFile {
    /// Runs the command.
    pub fn run(&self, lab: &Path) -> Result<()> {
        let imported = self.plan()?.read(&self.file)?;
        save(&imported, lab)?;
        println!("next: mappa probe --dataset {}", imported.dataset.name);
        Ok(())
    }

    fn plan(&self) -> Result<Import> {
        let stem = || Some(self.file.file_stem()?.to_string_lossy().into_owned());
        let name = self.name.clone().or_else(stem);
        let name = name.ok_or_else(|| Error::invalid("file", self.file.display(), "a file's name"))?;
        let unit = self.unit.clone().unwrap_or_default();
        let target = match (&self.target, &self.latitude, &self.longitude) {
            (Some(column), ..) if ["year", "years"].contains(&unit.as_str()) => {
                TargetOf::Year(column.clone())
            }
            (Some(column), ..) => TargetOf::Quantity { column: column.clone(), unit },
            (None, Some(latitude), Some(longitude)) => {
                TargetOf::Place { latitude: latitude.clone(), longitude: longitude.clone() }
            }
            _ => TargetOf::Usual,
        };
        let incomplete = if self.skip_incomplete { Incomplete::LeftOut } else { Incomplete::Refused };
        let (entity, groups, test) = (self.entity.clone(), self.groups.clone(), self.test.clone());
        Ok(Import { name, entity, target, groups, test, incomplete })
    }
}

/// Writes an import into the lab, and says what it is and what was left out.
pub fn save(imported: &Imported, lab: &Path) -> Result<()> {
    let (file, is_new) = imported.save(lab)?;
    let dataset = &imported.dataset;
    let n_test = dataset.entities.iter().filter(|entity| entity.is_test).count();
    let unit =
        if dataset.kind.unit().is_empty() { String::new() } else { format!(" ({})", dataset.kind.unit()) };
    let how = if is_new { "imported" } else { "found, imported before" };
    println!(
        "{how}: {}: {} entities, {n_test} of them test; target {}{unit}",
        file.display(),
        dataset.entities.len(),
        dataset.kind.names().join(", ")
    );
    if imported.n_left_out > 0 {
        println!("left out: {} rows without a name or a target", imported.n_left_out);
    }
    if imported.n_repeated > 0 {
        println!("note: {} rows have a name that stood in a row before", imported.n_repeated);
    }
    if !imported.columns_left_out.is_empty() {
        println!("left out: columns with lists or records: {}", imported.columns_left_out.join(", "));
    }
    Ok(())
}
