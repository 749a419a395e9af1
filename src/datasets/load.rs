//! One loader for the bundled files and the paper's: columns decide what a file is.

use super::date::date_to_year;
use super::entity::{Dataset, Entity, Lat, Lon, Target, TargetKind};
use super::table::Table;
use crate::artefact;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Columns that may hold the name, in order of preference.
const NAME_COLUMNS: [&str; 4] = ["name", "title", "headline", "entity"];
/// Columns that may hold a time, in order of preference.
const YEAR_COLUMNS: [&str; 4] = ["death_year", "release_date", "pub_date", "year"];
/// Columns that group entities; the first that a file has serves the centroid baseline.
const GROUP_COLUMNS: [&str; 9] = [
    "state_name",
    "borough_name",
    "occupation",
    "country",
    "topic",
    "entity_type",
    "continent",
    "creator",
    "decade",
];

/// Reads a dataset from a CSV file; its name is the file's stem.
///
/// # Errors
/// [`Error::MissingColumn`] or [`Error::BadRow`], naming the file and the row; a file with one bad
/// row is refused whole, so that nothing is left out silently.
pub fn load(path: &Path) -> Result<Dataset> {
    parse(path, &artefact::load_bytes(path)?)
}

/// Reads a dataset from the bytes of a CSV file; `path` names it in errors.
///
/// # Errors
/// As [`load`].
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Dataset> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let header = reader.headers().map_err(|e| bad_row(path, 0, e))?.clone();
    let columns = Columns::of(path, &header)?;
    let (mut entities, mut table) = (Vec::new(), Table::new(&header));
    for (record, row) in reader.records().zip(1..) {
        let record = record.map_err(|e| bad_row(path, row, e))?;
        if record.len() != header.len() {
            let problem = format!("{} fields where the header has {}", record.len(), header.len());
            return Err(bad_row(path, row, problem));
        }
        entities.push(columns.entity(&record, row).map_err(|problem| bad_row(path, row, problem))?);
        table.push(record);
    }
    if entities.is_empty() {
        return Err(Error::bad_file(path, "no rows", "a CSV file with one entity a row"));
    }
    Ok(Dataset {
        name: path.file_stem().map_or_else(|| "dataset".into(), |s| s.to_string_lossy().into_owned()),
        kind: columns.kind(),
        group_columns: columns.groups.iter().map(|(name, _)| name.clone()).collect(),
        entities,
        name_column: header[columns.name].trim().to_string(),
        table: Arc::new(table),
        sha256: artefact::hash(bytes),
    })
}

fn bad_row(path: &Path, row: u64, problem: impl ToString) -> Error {
    Error::BadRow { path: path.to_path_buf(), row, problem: problem.to_string() }
}

enum TargetColumns {
    Place { lat: usize, lon: usize },
    Year(usize),
    Date(usize),
}

struct Columns {
    name: usize,
    creator: Option<usize>,
    target: TargetColumns,
    groups: Vec<(String, usize)>,
    is_test: Option<usize>,
}

impl Columns {
    fn of(path: &Path, header: &csv::StringRecord) -> Result<Columns> {
        let at: HashMap<&str, usize> = header.iter().map(str::trim).zip(0..).collect();
        let missing = |column: String| Error::MissingColumn {
            path: path.to_path_buf(),
            column,
            found: header.iter().collect::<Vec<_>>().join(", "),
        };
        let name = NAME_COLUMNS
            .iter()
            .find_map(|c| at.get(c).copied())
            .ok_or_else(|| missing(NAME_COLUMNS.join("` or `")))?;
        let target = match (at.get("latitude"), at.get("longitude")) {
            (Some(&lat), Some(&lon)) => TargetColumns::Place { lat, lon },
            (Some(_), None) => return Err(missing("longitude".into())),
            (None, Some(_)) => return Err(missing("latitude".into())),
            (None, None) => {
                let column = YEAR_COLUMNS.iter().find(|c| at.contains_key(*c)).ok_or_else(|| {
                    missing(format!("latitude` and `longitude`, or a year: `{}", YEAR_COLUMNS.join("` or `")))
                })?;
                if column.ends_with("_date") {
                    TargetColumns::Date(at[column])
                } else {
                    TargetColumns::Year(at[column])
                }
            }
        };
        let groups = GROUP_COLUMNS.iter().filter_map(|c| at.get(c).map(|&i| ((*c).to_string(), i))).collect();
        Ok(Columns {
            name,
            creator: at.get("creator").copied(),
            target,
            groups,
            is_test: at.get("is_test").copied(),
        })
    }

    fn kind(&self) -> TargetKind {
        match self.target {
            TargetColumns::Place { .. } => TargetKind::Place,
            TargetColumns::Year(_) | TargetColumns::Date(_) => TargetKind::Year,
        }
    }

    fn entity(&self, record: &csv::StringRecord, row: u64) -> Result<Entity, String> {
        let title = record[self.name].trim();
        if title.is_empty() {
            return Err("the name is empty".into());
        }
        let name = match self.creator.map(|c| record[c].trim()) {
            Some(creator) if !creator.is_empty() => format!("{creator}'s {title}"),
            _ => title.to_string(),
        };
        Ok(Entity {
            row,
            name,
            target: self.target(record)?,
            groups: self
                .groups
                .iter()
                .map(|(_, i)| record[*i].replace('_', " ").trim().to_string())
                .collect(),
            is_test: match self.is_test {
                Some(column) => flag(&record[column])?,
                None => hashed_fifth(title),
            },
        })
    }

    fn target(&self, record: &csv::StringRecord) -> Result<Target, String> {
        Ok(match self.target {
            TargetColumns::Place { lat, lon } => Target::Place {
                lat: Lat::new(number(&record[lat], "latitude")?).map_err(|e| e.to_string())?,
                lon: Lon::new(number(&record[lon], "longitude")?).map_err(|e| e.to_string())?,
            },
            TargetColumns::Year(column) => Target::Year(number(&record[column], "year")?),
            TargetColumns::Date(column) => Target::Year(date_to_year(record[column].trim())?),
        })
    }
}

fn number(text: &str, what: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(format!("{what}: found `{text}`; expected a number")),
    }
}

fn flag(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "1.0" => Ok(true),
        "false" | "0" | "0.0" => Ok(false),
        _ => Err(format!("is_test: found `{text}`; expected True or False")),
    }
}

/// The split of a file that brings none: a fifth of the names, chosen by SHA-256.
fn hashed_fifth(name: &str) -> bool {
    // The digest read as one number, modulo 5; 16 is 1 modulo 5, so the digits may be summed.
    let sum: u32 = artefact::hash(name.as_bytes()).chars().filter_map(|c| c.to_digit(16)).sum();
    sum.is_multiple_of(5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Dataset> {
        parse(Path::new("places.csv"), text.as_bytes())
    }

    #[test]
    fn the_papers_columns_are_read() {
        let art =
            read("title,creator,release_date,entity_type,is_test\nIt,Stephen King,1986-09-15,book,True\n")
                .unwrap();
        assert_eq!(art.entities[0].name, "Stephen King's It");
        assert!(art.entities[0].is_test);
        assert_eq!(art.group_columns, ["entity_type", "creator"]);
        let Target::Year(year) = art.entities[0].target else { panic!("a year was expected") };
        assert!((year - (1986.0 + 257.0 / 365.0)).abs() < 1e-9);
    }

    #[test]
    fn a_latitude_out_of_range_names_file_row_and_value() {
        let error = read("name,latitude,longitude\nA,1,2\nB,91,2\n").unwrap_err().to_string();
        assert!(
            error.contains("places.csv: row 2") && error.contains("91") && error.contains("-90 to 90"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_column_lists_what_is_there() {
        let error = read("name,latitude\nA,1\n").unwrap_err().to_string();
        assert!(error.contains("`longitude`") && error.contains("name, latitude"), "{error}");
        let error = read("name,colour\nA,red\n").unwrap_err().to_string();
        assert!(error.contains("death_year"), "{error}");
        assert!(read("label,year\nA,1\n").unwrap_err().to_string().contains("title"));
    }

    #[test]
    fn bad_rows_are_refused() {
        for (rows, expected) in [
            ("A,1\n", "2 fields where the header has 3"),
            ("A,x,2\n", "expected a number"),
            ("A,NaN,2\n", "expected a number"),
            (",1,2\n", "name is empty"),
            ("", "no rows"),
        ] {
            let error = read(&format!("name,latitude,longitude\n{rows}")).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let error = read("name,year,is_test\nA,1,perhaps\n").unwrap_err().to_string();
        assert!(error.contains("True or False"), "{error}");
    }

    #[test]
    fn without_a_split_a_fifth_is_chosen_by_name() {
        let rows: String = (0..1000).map(|i| format!("place {i},1,2\n")).collect();
        let dataset = read(&format!("name,latitude,longitude\n{rows}")).unwrap();
        let n_test = dataset.entities.iter().filter(|e| e.is_test).count();
        assert!((150..250).contains(&n_test), "{n_test}");
    }
}
