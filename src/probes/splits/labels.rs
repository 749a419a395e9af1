//! Labels of entities: a column of their file, or the century or decade of their year.

use crate::datasets::{Dataset, Target};
use crate::error::{Error, Result};

/// Columns derived from years, and their lengths in years.
const DERIVED: [(&str, f64); 2] = [("century", 100.0), ("decade", 10.0)];

/// The label of each entity in dataset order: a column of the file, or `century` or `decade`, named by its first year, such
/// as `1900`.
///
/// # Errors
/// [`Error::Invalid`] listing the available columns.
pub fn labels(dataset: &Dataset, column: &str) -> Result<Vec<String>> {
    if let Some(at) = dataset.table.column(column) {
        let cell = |row| dataset.table.cell(row, at).unwrap_or_default().replace('_', " ");
        return Ok(dataset.entities.iter().map(|entity| cell(entity.row)).collect());
    }
    let span = DERIVED.iter().find(|(name, _)| *name == column).map(|(_, years)| *years);
    let label = |target: Target, years: f64| match target {
        Target::Year(year) => Some(format!("{}", (year / years).floor() * years)),
        _ => None,
    };
    let derived = span.and_then(|years| dataset.entities.iter().map(|e| label(e.target, years)).collect());
    derived.ok_or_else(|| {
        let years = dataset.entities.iter().all(|e| matches!(e.target, Target::Year(_)));
        let derived = if years { ", century, decade" } else { "" };
        let expected = format!("one of {}{derived}", dataset.table.columns().join(", "));
        Error::invalid(format!("column of {}", dataset.name), column, expected)
    })
}

/// Labels as numbers: the number of each entity, and the label of each number, in order of first occurrence.
pub(in crate::probes) fn numbered(labels: &[String]) -> (Vec<usize>, Vec<String>) {
    let mut numbers = std::collections::HashMap::new();
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
        let (of, names) = numbered(&labels(&dataset, "decade").unwrap());
        assert_eq!((of, names.len()), (vec![0, 1, 2], 3));
    }

    #[test]
    fn a_missing_column_is_refused_with_the_available_ones() {
        let places = bundled("world_place").unwrap();
        for column in ["moon", "century"] {
            let error = labels(&places, column).unwrap_err().to_string();
            assert!(error.contains(column) && error.contains("continent"), "{error}");
        }
    }
}
