//! The roles of a file's columns, as the user gives them.

use crate::datasets::columns::{ColumnRole, Heading};
use crate::datasets::formats::Cells;
use crate::datasets::values::missing::is_nothing;
use crate::error::{Error, Result};
use std::collections::BTreeSet;
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
    /// The column of two classes, as the numbers 0 and 1.
    Classes(String),
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

/// The name of the column with the numbers of two classes.
fn number_column(column: &str) -> String {
    format!("{column} as 0 or 1")
}

impl ImportPlan {
    /// Adds the numbers of two classes as a column, if the target is a column of classes: 1 for the greater label, as
    /// scikit-learn's `LabelEncoder` has it.
    ///
    /// # Errors
    /// [`Error::BadFile`] naming the number of classes, if they are not two.
    pub(super) fn with_numbers(&self, path: &Path, mut cells: Cells) -> Result<Cells> {
        let TargetChoice::Classes(column) = &self.target else { return Ok(cells) };
        let at = cells.column(path, column)?;
        let labels: BTreeSet<&str> = cells.rows.iter().map(|row| row[at].trim()).collect();
        let labels: BTreeSet<&str> = labels.into_iter().filter(|label| !is_nothing(label)).collect();
        if labels.len() != 2 {
            let some: Vec<&str> = labels.iter().copied().take(5).collect();
            let found = format!("{} classes in the column `{column}`: {}", labels.len(), some.join(", "));
            return Err(Error::bad_file(path, found, "two classes; --group COLUMN is for more"));
        }
        let number = |label: &str| label.parse::<f64>().ok();
        let mut labels: Vec<String> = labels.into_iter().map(String::from).collect();
        if let (Some(first), Some(second)) = (number(&labels[0]), number(&labels[1]))
            && first > second
        {
            labels.reverse();
        }
        cells.columns.push(number_column(column));
        for row in &mut cells.rows {
            let label = labels.iter().position(|label| *label == row[at].trim());
            row.push(label.map_or_else(String::new, |label| label.to_string()));
        }
        Ok(cells)
    }

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
            TargetChoice::Classes(column) => {
                mark(&number_column(column), ColumnRole::Target { unit: String::new() })?;
            }
        }
        self.groups.iter().try_for_each(|column| mark(column, ColumnRole::Group))?;
        self.test.iter().try_for_each(|column| mark(column, ColumnRole::Test))?;
        Ok(headings)
    }
}
