//! The kept rows of a file, as a CSV file of the lab.

use super::plan::{ImportPlan, IncompleteRows, TargetChoice};
use crate::artefact::{self, Card, Lock};
use crate::datasets::columns::{Columns, Heading, Sheet};
use crate::datasets::entity::Dataset;
use crate::datasets::formats::{self, Cells};
use crate::datasets::load::parse;
use crate::error::{Error, Result};
use crate::limits::number_words;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// An imported file, checked and ready to be written into a lab.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The dataset as later commands will load it.
    pub dataset: Dataset,
    /// The number of rows without a name or a target, which were left out.
    pub n_left_out: usize,
    /// The number of rows with the name of an earlier row.
    pub n_repeated: usize,
    /// Columns that were left out, since their values have no text form.
    pub columns_left_out: Vec<String>,
    /// Remarks on the file, one sentence each.
    pub notes: Vec<String>,
    /// The column that marks the test rows; without one, a fifth of the names, chosen by hash.
    pub test_column: Option<String>,
    /// The absolute path of the imported file.
    read_from: Option<PathBuf>,
    csv: Vec<u8>,
    card: Card,
}

/// The file to import.
#[derive(Clone, Copy)]
struct SourceFile<'a> {
    path: &'a Path,
    sha256: &'a str,
}

impl ImportPlan {
    /// Reads a CSV, TSV, JSON, JSONL or Parquet file.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] or [`Error::BadRow`], naming file, row and column; [`Error::Invalid`] for a name that
    /// is not allowed; [`Error::BadFile`] for targets that are all equal.
    pub fn read(&self, path: &Path) -> Result<Imported> {
        self.read_as(path, path)
    }

    /// Reads `file` under the name `path`, which determines the format and appears in errors.
    pub(super) fn read_as(&self, path: &Path, file: &Path) -> Result<Imported> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        if self.name.is_empty() || self.name.starts_with('-') || !self.name.chars().all(plain) {
            return Err(Error::invalid(
                "name of a dataset",
                format!("{:?}", self.name),
                "letters, digits, _ and -; choose one with --name",
            ));
        }
        let (cells, sha256) = formats::load(path, file)?;
        let cells = self.with_numbers(path, cells)?;
        let headings = self.headings(path, &cells)?;
        convert(self, SourceFile { path, sha256: &sha256 }, &cells, &headings)
    }
}

/// Checks every row of a file and writes the kept rows as CSV.
fn convert(plan: &ImportPlan, source: SourceFile, cells: &Cells, headings: &[Heading]) -> Result<Imported> {
    let path = source.path;
    let sheet = Sheet { path, headings, cells };
    let columns = Columns::of(&sheet)?;
    let fault = |e: &dyn std::fmt::Display| Error::Internal(format!("writing a dataset: {e}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(headings.iter().map(Heading::to_string)).map_err(|e| fault(&e))?;
    let (mut n_left_out, mut names) = (0, HashSet::new());
    for (record, row) in cells.rows.iter().zip(1..) {
        if let Some(column) = columns.missing(record) {
            if plan.incomplete == IncompleteRows::LeftOut {
                n_left_out += 1;
                continue;
            }
            let (name, found) = (&headings[column].name, &record[column]);
            let problem = format!("{name}: found `{found}`; --skip-incomplete leaves such rows out");
            return Err(cells.bad_row(path, row, problem));
        }
        let entity = columns.entity(record, row).map_err(|problem| cells.bad_row(path, row, problem))?;
        names.insert(entity.name);
        writer.write_record(columns.plain(record)).map_err(|e| fault(&e))?;
    }
    let csv = writer.into_inner().map_err(|e| fault(&e))?;
    if n_left_out == cells.rows.len() {
        let found = format!("{n_left_out} rows, none with a name and a target");
        return Err(Error::bad_file(path, found, "at least one complete row"));
    }
    let dataset = parse(Path::new(&format!("{}.csv", plan.name)), &csv)?;
    check_targets(path, &dataset)?;
    let n_repeated = dataset.entities.len() - names.len();
    let columns_left_out: Vec<String> = cells.left_out.iter().map(|left| left.column.clone()).collect();
    let card = card(plan, source, &dataset)
        .note("n_rows_read", cells.rows.len())
        .note("n_rows_left_out", n_left_out)
        .note("n_repeated_names", n_repeated)
        .note("columns_left_out", columns_left_out.join(", "));
    Ok(Imported {
        dataset,
        n_left_out,
        n_repeated,
        columns_left_out,
        notes: cells.notes(),
        test_column: columns.is_test.map(|column| headings[column].name.clone()),
        read_from: path.canonicalize().ok(),
        csv,
        card,
    })
}

/// Refuses targets that are all equal: there is nothing to predict.
fn check_targets(path: &Path, dataset: &Dataset) -> Result<()> {
    for (name, values) in dataset.kind.names().into_iter().zip(dataset.targets()) {
        if values.iter().all(|value| *value == values[0]) {
            let found = format!("{name} = {} in each of {} rows", number_words(values[0]), values.len());
            return Err(Error::bad_file(path, found, "a target that differs between rows"));
        }
    }
    Ok(())
}

fn card(plan: &ImportPlan, file: SourceFile, dataset: &Dataset) -> Card {
    let target = match &plan.target {
        TargetChoice::Usual | TargetChoice::Quantity { .. } => dataset.kind.names().join(", "),
        TargetChoice::Place { latitude, longitude } => format!("latitude {latitude}, longitude {longitude}"),
        TargetChoice::Year(column) => format!("year {column}"),
        TargetChoice::Classes(column) => format!("two classes of {column}"),
    };
    let source = file.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut card = Card::new()
        .input("source_sha256", file.sha256)
        .input("name_column", &dataset.name_column)
        .input("target", target)
        .input("unit", dataset.kind.unit())
        .input("groups", dataset.group_columns.join(", "))
        .input("test_column", plan.test.as_deref().unwrap_or("is_test, else by name"))
        .input(
            "incomplete_rows",
            if plan.incomplete == IncompleteRows::Refused { "refused" } else { "left out" },
        )
        .note("sha256", &dataset.sha256)
        .note("n_entities", dataset.entities.len())
        .note("n_test", dataset.entities.iter().filter(|entity| entity.is_test).count());
    card.record.insert("source".into(), source);
    for (name, values) in dataset.kind.names().into_iter().zip(dataset.targets()) {
        let ends = |pick: fn(f64, f64) -> f64| values.iter().copied().reduce(pick).unwrap_or(f64::NAN);
        card = card.note(&format!("range of {name}"), format!("{} to {}", ends(f64::min), ends(f64::max)));
    }
    card
}

impl Imported {
    /// Adds a note on the origin of the file to the card.
    pub fn noted(mut self, name: &str, value: impl ToString) -> Imported {
        self.card = self.card.note(name, value);
        self
    }

    /// Writes `datasets/NAME.csv` and its card into a lab, unless the same import is already there; returns the file,
    /// and true if this call wrote it.
    ///
    /// # Errors
    /// [`Error::CardMismatch`] if another file was imported under that name; [`Error::BadFile`] if there is a dataset
    /// that was not imported or was changed later. Neither is overwritten.
    pub fn save(&self, lab: &Path) -> Result<(PathBuf, bool)> {
        if let Some(file) = self.found(lab)? {
            return Ok((file, false));
        }
        let (file, _) = self.places(lab);
        let _lock = Lock::take_file(&file)?;
        // The process that held the lock before may have imported the same file, or another.
        match self.found(lab)? {
            Some(file) => Ok((file, false)),
            None => self.write(lab),
        }
    }

    /// The dataset's file, if the same import is already in the lab; refuses another one.
    fn found(&self, lab: &Path) -> Result<Option<PathBuf>> {
        let (file, card) = self.places(lab);
        let way_out = "--replace overwrites it, --name gives the new dataset another name";
        let refused =
            |path: &Path, found: String| Error::bad_file(path, found, format!("no such file; {way_out}"));
        let is_done = self.card.is_done(&card).map_err(|e| {
            match e {
            Error::CardMismatch { field, found, expected, .. } => refused(&card, match field.as_str() {
                "source_sha256" => {
                    "an earlier dataset of this name, made with another file, or with an earlier state of it"
                        .into()
                }
                _ => format!("an earlier dataset of this name, made with {field} {found}, now {expected}"),
            }),
            other => other,
        }
        })?;
        if file.is_file() {
            let lies_there = artefact::hash(&artefact::load_bytes(&file)?);
            let is_same = lies_there == self.dataset.sha256;
            if is_done && is_same {
                return Ok(Some(file));
            }
            // Either an import was killed before it wrote its card, or the user's own file has the same bytes: in
            // both cases only the card is missing.
            if is_same {
                return Ok(None);
            }
            let name = &self.dataset.name;
            return Err(refused(
                &file,
                match (is_done, file.canonicalize().ok()) {
                    (true, _) => "a dataset of this name that was changed after its import".into(),
                    (false, Some(same)) if self.read_from.as_ref() == Some(&same) => {
                        format!(
                            "the imported file itself, which every command takes already as --dataset {name}"
                        )
                    }
                    (false, _) => "a dataset of this name that was not imported".into(),
                },
            ));
        }
        Ok(None)
    }

    /// Writes both files as [`Imported::save`] does, but overwrites existing ones.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn replace(&self, lab: &Path) -> Result<(PathBuf, bool)> {
        let (file, _) = self.places(lab);
        let _lock = Lock::take_file(&file)?;
        self.write(lab)
    }

    /// Writes both files; the caller holds the lock.
    fn write(&self, lab: &Path) -> Result<(PathBuf, bool)> {
        let (file, card) = self.places(lab);
        artefact::save_bytes(&file, &self.csv)?;
        self.card.save(&card)?;
        Ok((file, true))
    }

    /// The dataset's file and its card in a lab.
    fn places(&self, lab: &Path) -> (PathBuf, PathBuf) {
        let (folder, name) = (lab.join("datasets"), &self.dataset.name);
        (folder.join(format!("{name}.csv")), folder.join(format!("{name}.json")))
    }
}
