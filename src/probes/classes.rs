//! Classes of entities, such as countries: the targets of classifiers.

use crate::datasets::{Dataset, labels, numbered};
use crate::error::{Error, Result};

/// The class of each entity, taken from a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes {
    /// The column.
    pub column: String,
    /// The name of each class.
    pub names: Vec<String>,
    /// The class of each entity.
    pub of: Vec<usize>,
}

impl Classes {
    /// The classes of a column; [`labels`] lists the possible columns.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the column does not exist or has only one class.
    pub fn of(dataset: &Dataset, column: &str) -> Result<Classes> {
        Classes::by_labels(column, &labels(dataset, column)?)
    }

    /// The classes that these labels define, one label per entity.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is only one class.
    pub fn by_labels(column: &str, labels: &[String]) -> Result<Classes> {
        let (of, names) = numbered(labels);
        let classes = Classes { column: column.into(), names, of };
        match classes.names.len() {
            0 | 1 => Err(classes.one_class(classes.of.iter())),
            _ => Ok(classes),
        }
    }

    /// The error for entities with fewer than two classes.
    pub(super) fn one_class<'a>(&self, mut of: impl Iterator<Item = &'a usize>) -> Error {
        let name = of.next().map_or("none", |class| self.names[*class].as_str());
        let found = format!("one class, `{name}`");
        let expected = "training entities of at least two classes; choose another column or split";
        Error::invalid(format!("--classes {}", self.column), found, expected)
    }

    /// The classes of the given entities.
    pub(super) fn select(&self, entities: &[usize]) -> Vec<usize> {
        entities.iter().map(|&i| self.of[i]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::bundled;

    #[test]
    fn one_class_and_an_unknown_column_are_refused() {
        let same = vec!["same".to_string(); 20];
        let error = Classes::by_labels("kind", &same).unwrap_err().to_string();
        assert!(error.contains("--classes kind") && error.contains("`same`"), "{error}");
        let dataset = bundled("us_place").unwrap();
        assert!(Classes::of(&dataset, "moon").unwrap_err().to_string().contains("state_name"));
    }
}
