//! Which columns of a file are what, as the user says it.

use crate::datasets::columns::{ColumnRole, Heading};
use crate::datasets::formats::Cells;
use crate::error::{Error, Result};
use std::path::Path;

/// What probes are to read of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TargetOf {
    /// `latitude` and `longitude`, or a year by one of its usual names.
    #[default]
    Usual,
    /// The columns that hold degrees north and degrees east.
    Place {
        /// Degrees north.
        latitude: String,
        /// Degrees east.
        longitude: String,
    },
    /// The column that holds years, or dates.
    Year(String),
    /// The column that holds any other number.
    Quantity {
        /// The column.
        column: String,
        /// What it is counted in; empty for a plain number.
        unit: String,
    },
}

/// What becomes of a row without a name or without its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Incomplete {
    /// It is an error.
    #[default]
    Refused,
    /// It is left out and counted.
    LeftOut,
}

/// How a file becomes a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportPlan {
    /// What the dataset is called: letters, digits, `_` and `-`.
    pub name: String,
    /// The column with the entities' names; by default `name`, `title`, `headline` or `entity`.
    pub entity: Option<String>,
    /// What probes read.
    pub target: TargetOf,
    /// Columns that group entities, the first for the centroid baseline; others are found by their names.
    pub groups: Vec<String>,
    /// The column that marks the test split; by default `is_test`, else a fifth is chosen by name.
    pub test: Option<String>,
    /// What becomes of rows that lack something.
    pub incomplete: Incomplete,
}

impl ImportPlan {
    /// The columns' headings, with what each is for where the user said it.
    pub(super) fn headings(&self, path: &Path, cells: &Cells) -> Result<Vec<Heading>> {
        let mut headings: Vec<Heading> = cells.columns.iter().map(|column| Heading::parse(column)).collect();
        let mut mark = |column: &str, role: ColumnRole| {
            let heading = &mut headings[cells.column(path, column)?];
            match &heading.role {
                Some(before) if *before != role => {
                    let (name, one) = (&heading.name, Heading { name: String::new(), role: Some(role) });
                    let two = Heading { name: String::new(), role: Some(before.clone()) };
                    let found = format!("column `{name}` as{two} and as{one}");
                    Err(Error::bad_file(path, found, "one use for each column"))
                }
                _ => {
                    heading.role = Some(role);
                    Ok(())
                }
            }
        };
        if let Some(column) = &self.entity {
            mark(column, ColumnRole::Name)?;
        }
        match &self.target {
            TargetOf::Usual => {}
            TargetOf::Place { latitude, longitude } => {
                mark(latitude, ColumnRole::Latitude)?;
                mark(longitude, ColumnRole::Longitude)?;
            }
            TargetOf::Year(column) => mark(column, ColumnRole::Year)?,
            TargetOf::Quantity { column, unit } => mark(column, ColumnRole::Target { unit: unit.clone() })?,
        }
        self.groups.iter().try_for_each(|column| mark(column, ColumnRole::Group))?;
        self.test.iter().try_for_each(|column| mark(column, ColumnRole::Test))?;
        Ok(headings)
    }
}
