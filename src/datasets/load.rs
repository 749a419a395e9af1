//! The loader of all datasets (bundled, the paper's and the user's own); the columns determine a dataset's kind.

use super::columns::{Columns, Heading, Sheet};
use super::entity::Dataset;
use super::formats::{self, Cells, Format};
use super::table::Table;
use crate::artefact::FolderName;
use crate::error::Result;
use std::path::Path;
use std::sync::Arc;

/// Reads a dataset from a CSV, TSV, JSON or Parquet file; its name is the file's stem.
///
/// # Errors
/// [`crate::Error::MissingColumn`] or [`crate::Error::BadRow`], naming the file and the row. A file with one bad row is
/// refused as a whole, so that nothing is left out silently.
pub fn load(path: &Path) -> Result<Dataset> {
    FolderName::of_file("dataset", path)?;
    let (cells, sha256) = formats::load(path, path)?;
    dataset(path, cells, sha256)
}

/// Reads a dataset from the bytes of a CSV file; `path` names it in errors.
///
/// # Errors
/// As [`load`].
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Dataset> {
    let (cells, sha256) = formats::parse(path, Format::Csv, bytes)?;
    dataset(path, cells, sha256)
}

fn dataset(path: &Path, mut cells: Cells, sha256: String) -> Result<Dataset> {
    let headings: Vec<Heading> = cells.columns.iter().map(|column| Heading::parse(column)).collect();
    cells.columns = headings.iter().map(|heading| heading.name.clone()).collect();
    // Without their marks two names may be equal, such as `year [group]` and `year`.
    cells.check(path)?;
    let sheet = Sheet { path, headings: &headings, cells: &cells };
    let columns = Columns::of(&sheet)?;
    let mut table = Table::new(cells.columns.clone());
    let mut entities = Vec::with_capacity(cells.rows.len());
    for (row, number) in cells.rows.iter().zip(1..) {
        let entity = columns.entity(row, number).map_err(|problem| {
            let way_out = columns.missing(row).map_or(String::new(), |_| format!("; {}", sheet.skipping()));
            cells.bad_row(path, number, format!("{problem}{way_out}"))
        })?;
        entities.push(entity);
        table.push(csv::StringRecord::from(row.as_slice()));
    }
    Ok(Dataset {
        name: FolderName::of_file("dataset", path)?,
        kind: columns.kind(),
        group_columns: columns.groups.iter().map(|(name, _)| name.clone()).collect(),
        entities,
        name_column: headings[columns.name].name.clone(),
        table: Arc::new(table),
        sha256,
        notes: cells.notes(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::entity::{Quantity, Target, TargetKind};
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
    fn a_heading_names_any_number_and_any_group() {
        let text =
            "name,population [target: people],region [group],country,latitude,longitude\nA,12,x_y,N,1,2\n";
        let dataset = read(text).unwrap();
        let quantity = Quantity { name: "population".into(), unit: "people".into() };
        assert_eq!(dataset.kind, TargetKind::Quantity(quantity));
        assert_eq!(dataset.targets(), [[12.0]]);
        assert_eq!((dataset.kind.names(), dataset.kind.unit()), (vec!["population"], "people"));
        assert_eq!(dataset.group_columns, ["region", "country"]);
        assert_eq!(dataset.group(&dataset.entities[0]), "x y");
        assert!(dataset.table.column("region").is_some());
        let error = read("name,a [target],b [target: m]\nA,1,2\n").unwrap_err().to_string();
        assert!(error.contains("`a [target]`, `b [target: m]`"), "{error}");
        assert!(read("name,a [latitude]\nA,1\n").unwrap_err().to_string().contains("[longitude]"));
        let error = read("name,a [target: m]\nA,much\n").unwrap_err().to_string();
        assert!(error.contains("row 1: a: found `much`"), "{error}");
    }

    #[test]
    fn marked_headings_come_before_names_and_latitude_is_found_in_any_order() {
        let text = "x [longitude],who [name],creator,y [latitude],name,death_year,part [test]\n170,A,B,-3,C,7,test\n";
        let dataset = read(text).unwrap();
        let entity = &dataset.entities[0];
        assert_eq!((entity.name.as_str(), entity.is_test), ("A", true));
        assert_eq!(entity.target.values(), [-3.0, 170.0]);
        let dataset = read("name,born [year],death_year\nA,1900-01-01,7\nB,-44,8\n").unwrap();
        assert_eq!(dataset.targets(), [[1900.0, -44.0]]);
        let error = read("name,born [year]\nA,1900-13-01\n").unwrap_err().to_string();
        assert!(error.contains("row 1: year: `1900-13-01` is not a date"), "{error}");
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
    fn a_missing_column_lists_the_columns_of_the_file() {
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
