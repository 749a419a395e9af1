//! The values of entities in a column, by which they are grouped; the column is in the file, or derived from years.

use super::ages::age;
use super::entity::{Dataset, Target};
use crate::error::{Error, Result};
use std::borrow::Cow;
use std::collections::HashMap;

/// Columns that a dataset of years has even if its file does not.
const DERIVED: [&str; 3] = ["century", "decade", "age"];

/// The value of each entity in a column, in dataset order. The column is one of the file; datasets of years also have
/// `century` and `decade` (the first year, such as `1900`), and `age` (such as `Roman`).
///
/// # Errors
/// [`Error::Invalid`] listing the columns of the dataset.
pub fn column_values<'a>(dataset: &'a Dataset, column: &str) -> Result<Vec<Cow<'a, str>>> {
    if let Some(at) = dataset.table.column(column) {
        let cell = |row| Cow::Borrowed(dataset.table.cell(row, at).unwrap_or_default());
        return Ok(dataset.entities.iter().map(|entity| cell(entity.row)).collect());
    }
    let first_year = |year: f64, years: f64| Cow::Owned(format!("{}", (year / years).floor() * years));
    let derived = dataset.entities.iter().map(|entity| match (column, entity.target) {
        ("century", Target::Year(year)) => Some(first_year(year, 100.0)),
        ("decade", Target::Year(year)) => Some(first_year(year, 10.0)),
        ("age", Target::Year(year)) => Some(Cow::Borrowed(age(&dataset.name, year))),
        _ => None,
    });
    let derived: Option<Vec<_>> = derived.collect();
    derived.filter(|_| DERIVED.contains(&column)).ok_or_else(|| {
        let has_years = dataset.entities.iter().all(|e| matches!(e.target, Target::Year(_)));
        let columns = dataset.table.columns().iter().map(String::as_str);
        let columns: Vec<&str> = columns.chain(DERIVED.into_iter().filter(|_| has_years)).collect();
        let expected = format!("one of {}", columns.join(", "));
        Error::invalid(format!("column of {}", dataset.name), column, expected)
    })
}

/// The values of a column as labels: `_` is replaced by a space.
///
/// # Errors
/// As [`column_values`].
pub fn labels(dataset: &Dataset, column: &str) -> Result<Vec<String>> {
    Ok(column_values(dataset, column)?.iter().map(|value| value.replace('_', " ")).collect())
}

/// Numbers labels in the order of their first appearance; returns each label's number, and the label of each number.
pub(crate) fn numbered(labels: &[String]) -> (Vec<usize>, Vec<String>) {
    let mut numbers = HashMap::new();
    let mut names = Vec::new();
    let of = labels
        .iter()
        .map(|label| {
            *numbers.entry(label.as_str()).or_insert_with(|| {
                names.push(label.clone());
                names.len() - 1
            })
        })
        .collect();
    (of, names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::{bundled, parse};
    use std::path::Path;

    #[test]
    fn columns_of_the_file_and_of_the_years_are_found() {
        let rows = "name,year,kind\na,1999.5,x_y\nb,-0.5,z\nc,2000,\n";
        let dataset = parse(Path::new("years.csv"), rows.as_bytes()).unwrap();
        assert_eq!(labels(&dataset, "kind").unwrap(), ["x y", "z", ""]);
        assert_eq!(labels(&dataset, "century").unwrap(), ["1900", "-100", "2000"]);
        assert_eq!(labels(&dataset, "decade").unwrap(), ["1990", "-10", "2000"]);
        let rows = "name,year\na,1999.5\nb,-0.5\n";
        let figures = parse(Path::new("historical_figure.csv"), rows.as_bytes()).unwrap();
        assert_eq!(labels(&figures, "age").unwrap(), ["atom", "Hellenistic"]);
        let (of, names) = numbered(&labels(&dataset, "decade").unwrap());
        assert_eq!((of, names.len()), (vec![0, 1, 2], 3));
    }

    #[test]
    fn a_missing_column_is_refused_with_a_list_of_columns() {
        let places = bundled("world_place").unwrap();
        for column in ["moon", "century"] {
            let error = labels(&places, column).unwrap_err().to_string();
            assert!(error.contains(column) && error.contains("continent"), "{error}");
        }
    }
}
