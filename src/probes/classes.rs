//! Classes of entities, such as countries: the targets of classifiers.

use crate::datasets::{Dataset, labels, numbered};
use crate::error::{Error, Result};
use ndarray::{Array1, Array2};

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

    /// Of two classes, the positive one: that with the greater name, as in scikit-learn; numbers are compared as
    /// numbers. `None` for more classes.
    pub(super) fn positive(&self) -> Option<usize> {
        let [first, second] = &self.names[..] else { return None };
        let number = |name: &str| name.trim().parse::<f64>().ok();
        let is_second = match number(first).zip(number(second)) {
            Some((first, second)) => second > first,
            None => second > first,
        };
        Some(usize::from(is_second))
    }

    /// The classes of the given entities.
    pub(super) fn select(&self, entities: &[usize]) -> Vec<usize> {
        entities.iter().map(|&i| self.of[i]).collect()
    }
}

/// Predicted classes, with the scores that decided.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassPredictions {
    /// The predicted class of each entity.
    pub classes: Vec<usize>,
    /// A score of each class, greater for a more likely class; minus infinity for a class that was not trained on.
    ///
    /// # Shapes
    /// `[n_entities, n_classes]`.
    pub scores: Array2<f64>,
}

impl ClassPredictions {
    /// Predicts the class of the greatest score; of equal scores, the first.
    pub(super) fn of_scores(scores: Array2<f64>) -> ClassPredictions {
        let best = |row: ndarray::ArrayView1<f64>| {
            let greater = |best: usize, class: usize| if row[class] > row[best] { class } else { best };
            (1..row.len()).fold(0, greater)
        };
        ClassPredictions { classes: scores.rows().into_iter().map(best).collect(), scores }
    }

    /// The score of one class of two minus that of the other.
    pub(super) fn decision(&self, positive: usize) -> Array1<f64> {
        &self.scores.column(positive) - &self.scores.column(1 - positive)
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
    #[test]
    fn the_greater_of_two_names_is_positive() {
        let positive = |labels: [&str; 2]| {
            let classes = Classes::by_labels("kind", &labels.map(String::from)).unwrap();
            classes.positive().map(|class| classes.names[class].clone())
        };
        assert_eq!(positive(["1", "0"]).unwrap(), "1");
        assert_eq!(positive(["9", "10"]).unwrap(), "10");
        assert_eq!(positive(["False", "True"]).unwrap(), "True");
        let three = Classes::by_labels("kind", &["a", "b", "c"].map(String::from)).unwrap();
        assert_eq!(three.positive(), None);
    }
}
