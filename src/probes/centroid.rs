//! The group centroid baseline: the mean target of an entity's group.

use crate::datasets::Dataset;
use ndarray::{Array1, Array2};
use std::collections::HashMap;

/// The mean target of each group in the training rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Centroids {
    by_group: HashMap<String, Array1<f64>>,
    overall: Array1<f64>,
}

impl Centroids {
    /// Averages the training rows of each group.
    ///
    /// # Shapes
    /// `groups` and `targets` hold the training rows: `[n_train]` and `[n_train, n_targets]`.
    pub fn of(groups: &[&str], targets: &Array2<f64>) -> Centroids {
        let mut sums: HashMap<String, (Array1<f64>, f64)> = HashMap::new();
        for (group, target) in groups.iter().zip(targets.rows()) {
            let zero = || (Array1::zeros(targets.ncols()), 0.0);
            let (sum, count) = sums.entry((*group).to_string()).or_insert_with(zero);
            *sum += &target;
            *count += 1.0;
        }
        let overall = targets.rows().into_iter().fold(Array1::zeros(targets.ncols()), |sum, row| sum + row)
            / targets.nrows() as f64;
        let by_group = sums.into_iter().map(|(group, (sum, count))| (group, sum / count)).collect();
        Centroids { by_group, overall }
    }

    /// The group's mean; the mean of all training rows for a group that they do not hold.
    pub fn predict(&self, group: &str) -> &Array1<f64> {
        self.by_group.get(group).unwrap_or(&self.overall)
    }

    /// The prediction for every entity of a dataset by its first group column.
    ///
    /// # Shapes
    /// `[n_entities, n_targets]`.
    pub fn predict_all(&self, dataset: &Dataset) -> Array2<f64> {
        let mut predictions = Array2::zeros((dataset.entities.len(), self.overall.len()));
        for (entity, mut row) in dataset.entities.iter().zip(predictions.rows_mut()) {
            row.assign(self.predict(dataset.group(entity)));
        }
        predictions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_group_has_its_mean_and_an_unseen_group_the_mean_of_all() {
        let centroids = Centroids::of(&["a", "b", "a"], &array![[1.0, 10.0], [5.0, 0.0], [3.0, 20.0]]);
        assert_eq!(centroids.predict("a"), &array![2.0, 15.0]);
        assert_eq!(centroids.predict("b"), &array![5.0, 0.0]);
        assert_eq!(centroids.predict("c"), &array![3.0, 10.0]);
    }
}
