//! Comparison of two datasets: rows with the same name must have the same place or year.

use super::entity::{Dataset, Entity, Target};
use crate::error::{Error, Result};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};

/// Names whose target differs from the target in another source, each with the reason.
const EXCEPTIONS: &str = include_str!("../../datasets/exceptions.csv");

/// A row of the checked dataset whose name has another place or year in the reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Disagreement {
    /// The checked entity.
    pub name: String,
    /// Its row, counted from 1 without the header.
    pub row: u64,
    /// Its target.
    pub ours: Target,
    /// The nearest target that the reference has for that name.
    pub theirs: Target,
    /// The difference between both targets: in years, or in degrees the larger of the differences in latitude and
    /// longitude.
    pub difference: f64,
}

/// The result of a comparison.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CheckReport {
    /// The number of checked rows.
    pub n_rows: usize,
    /// The number of checked rows whose name (and state or borough, if both files have one) is in the reference.
    pub n_shared: usize,
    /// Shared rows without a reference row within the tolerance.
    pub disagreements: Vec<Disagreement>,
}

/// The names in a bundled dataset whose difference from another source is explained.
///
/// # Errors
/// [`Error::BadFile`] if the list is damaged, which a user cannot cause.
pub fn known_exceptions(dataset: &str) -> Result<HashSet<String>> {
    #[derive(Deserialize)]
    struct Row {
        dataset: String,
        name: String,
    }
    let rows: Vec<Row> = csv::Reader::from_reader(EXCEPTIONS.as_bytes())
        .deserialize()
        .collect::<std::result::Result<_, _>>()
        .map_err(|e| Error::bad_file("datasets/exceptions.csv", e, "dataset, name, ours, theirs, reason"))?;
    Ok(rows.into_iter().filter(|row| row.dataset == dataset).map(|row| row.name).collect())
}

/// The tolerance for a dataset.
///
/// # Units
/// Degrees for places (fewer for New York, since the whole city spans half a degree), years or the quantity's unit for
/// other datasets.
pub fn tolerance(dataset: &Dataset) -> f64 {
    match (dataset.entities.first().map(|e| e.target), dataset.name.as_str()) {
        (Some(Target::Place { .. }), "nyc_place") => 0.02,
        (Some(Target::Place { .. }), _) => 0.3,
        _ => 1.0,
    }
}

/// Compares every row of `ours` whose name is also in `reference`.
///
/// Several reference rows may have one name; it is enough if one of them is within the tolerance.
pub fn check_against(ours: &Dataset, reference: &Dataset) -> CheckReport {
    // In files with these columns the name alone is ambiguous: every state has its Springfield.
    let place_key = ["state_name", "borough_name"].into_iter().find_map(|key| {
        let column = |d: &Dataset| d.group_columns.iter().position(|c| c == key);
        Some((column(ours)?, column(reference)?))
    });
    let key = |entity: &Entity, column: Option<usize>| {
        let group = column.map_or("", |c| entity.groups[c].as_str());
        (entity.name.to_lowercase(), group.to_lowercase())
    };
    let mut known: HashMap<(String, String), Vec<Target>> = HashMap::new();
    for entity in &reference.entities {
        known.entry(key(entity, place_key.map(|k| k.1))).or_default().push(entity.target);
    }
    let tolerance = tolerance(ours);
    let mut report = CheckReport { n_rows: ours.entities.len(), ..CheckReport::default() };
    for entity in &ours.entities {
        let Some(targets) = known.get(&key(entity, place_key.map(|k| k.0))) else { continue };
        report.n_shared += 1;
        let nearest = targets
            .iter()
            .map(|theirs| (difference(entity.target, *theirs), *theirs))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((difference, theirs)) = nearest.filter(|(d, _)| *d > tolerance) {
            let Entity { name, row, target, .. } = entity.clone();
            report.disagreements.push(Disagreement { name, row, ours: target, theirs, difference });
        }
    }
    report
}

/// The larger difference in degrees (longitudes by the shorter way round), or the difference in years.
fn difference(a: Target, b: Target) -> f64 {
    match (a, b) {
        (Target::Place { lat: lat_a, lon: lon_a }, Target::Place { lat: lat_b, lon: lon_b }) => {
            let across = (lon_a.degrees() - lon_b.degrees()).abs();
            (lat_a.degrees() - lat_b.degrees()).abs().max(across.min(360.0 - across))
        }
        (Target::Year(a), Target::Year(b)) | (Target::Quantity(a), Target::Quantity(b)) => (a - b).abs(),
        _ => f64::INFINITY,
    }
}

impl CheckReport {
    /// The disagreements that are not among the known exceptions.
    pub fn unexplained(&self, exceptions: &HashSet<String>) -> Vec<&Disagreement> {
        self.disagreements.iter().filter(|d| !exceptions.contains(&d.name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::parse;
    use std::path::Path;

    fn places(rows: &str) -> Dataset {
        parse(Path::new("us_place.csv"), format!("name,state_name,latitude,longitude\n{rows}").as_bytes())
            .unwrap()
    }

    #[test]
    fn one_near_namesake_is_agreement_and_the_state_separates_namesakes() {
        let ours = places("Salem,Oregon,44.94,-123.03\nAda,Ohio,40.8,-83.8\nFiji Seam,Guam,0,179.9\n");
        let reference = places(
            "Salem,Oregon,10,10\nSalem,Oregon,44.9,-123.0\nSalem,Ohio,40.9,-80.8\nAda,Ohio,41.2,-83.8\nfiji seam,Guam,0,-179.9\n",
        );
        let report = check_against(&ours, &reference);
        assert_eq!((report.n_rows, report.n_shared), (3, 3));
        assert_eq!(report.disagreements.len(), 1);
        assert_eq!(report.disagreements[0].name, "Ada");
        assert!((report.disagreements[0].difference - 0.4).abs() < 1e-9);
        assert!(report.unexplained(&HashSet::from(["Ada".to_string()])).is_empty());
    }
}
