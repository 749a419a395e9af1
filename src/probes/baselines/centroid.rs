//! The oracle `group centroid`: the mean target of an entity's true group.

use super::without_model::{BaselineData, ModelFreeBaseline, Predictor};
use crate::datasets::Dataset;
use crate::probes::targets::target_matrix;
use crate::results::CENTROID;
use ndarray::{Array1, Array2};
use std::collections::HashMap;

/// Predicts the mean training target of each entity's group.
///
/// A dataset without group columns counts as one group, so its test R² is about 0. For a group without training
/// entities, the prediction is the mean of all training entities.
#[derive(Debug)]
pub struct GroupCentroid;

impl ModelFreeBaseline for GroupCentroid {
    fn name(&self) -> &'static str {
        CENTROID
    }

    fn predictor<'a>(&self, data: BaselineData<'a>) -> Predictor<'a> {
        let dataset = data.dataset;
        Box::new(move |train| {
            let groups: Vec<&str> = train.iter().map(|&i| dataset.group(&dataset.entities[i])).collect();
            Ok(Centroids::of(&groups, &target_matrix(dataset, train)).predict_all(dataset))
        })
    }
}

/// The mean target of each group of training rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Centroids {
    by_group: HashMap<String, Array1<f64>>,
    overall: Array1<f64>,
}

impl Centroids {
    /// Averages the training rows of each group.
    ///
    /// # Shapes
    /// `groups` is `[n_train]`, `targets` is `[n_train, n_targets]`.
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

    /// The mean of a group, or of all training rows for a group without training rows.
    pub fn predict(&self, group: &str) -> &Array1<f64> {
        self.by_group.get(group).unwrap_or(&self.overall)
    }

    /// The prediction for each entity of a dataset by its first group column.
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
    fn a_group_has_its_mean_and_an_unknown_group_the_mean_of_all() {
        let centroids = Centroids::of(&["a", "b", "a"], &array![[1.0, 10.0], [5.0, 0.0], [3.0, 20.0]]);
        assert_eq!(centroids.predict("a"), &array![2.0, 15.0]);
        assert_eq!(centroids.predict("b"), &array![5.0, 0.0]);
        assert_eq!(centroids.predict("c"), &array![3.0, 10.0]);
    }
}
