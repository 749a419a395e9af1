//! The roles of a file's columns, as the user gives them.

use crate::datasets::columns::{ColumnRole, Heading};
use crate::datasets::formats::Cells;
use crate::error::{Error, Result};
use std::path::Path;

/// The target of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TargetChoice {
    /// `latitude` and `longitude`, or a year by one of its usual names.
    #[default]
    Usual,
    /// A place, in two columns.
    Place {
        /// Degrees north.
        latitude: String,
        /// Degrees east.
        longitude: String,
    },
    /// The column of years or dates.
    Year(String),
    /// The column of any other number.
    Quantity {
        /// The column.
        column: String,
        /// Its unit; empty for a plain number.
        unit: String,
    },
}

/// The treatment of a row without a name or without its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IncompleteRows {
    /// An error.
    #[default]
    Refused,
    /// Left out and counted.
    LeftOut,
}

/// The settings of an import.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportPlan {
    /// The dataset's name: letters, digits, `_` and `-`.
    pub name: String,
    /// The column with the entities' names; by default a column with a usual heading, such as `name` or `title`.
    pub entity: Option<String>,
    /// The target.
    pub target: TargetChoice,
    /// Columns that group entities; the oracle uses the first. Other group columns are found by their headings.
    pub groups: Vec<String>,
    /// The column that marks the test split; by default `is_test`; without it, a fifth of the names is the test
    /// split.
    pub test: Option<String>,
    /// The treatment of incomplete rows.
    pub incomplete: IncompleteRows,
}

impl ImportPlan {
    /// The columns' headings, with the roles that the user gave.
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
            TargetChoice::Usual => {}
            TargetChoice::Place { latitude, longitude } => {
                mark(latitude, ColumnRole::Latitude)?;
                mark(longitude, ColumnRole::Longitude)?;
            }
            TargetChoice::Year(column) => mark(column, ColumnRole::Year)?,
            TargetChoice::Quantity { column, unit } => {
                mark(column, ColumnRole::Target { unit: unit.clone() })?;
            }
        }
        self.groups.iter().try_for_each(|column| mark(column, ColumnRole::Group))?;
        self.test.iter().try_for_each(|column| mark(column, ColumnRole::Test))?;
        Ok(headings)
    }
}
