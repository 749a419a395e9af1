//! Predictions for test entities by method, collected fold by fold.

use crate::datasets::Dataset;
use crate::probes::readers::FitStatistic;
use ndarray::Array2;

/// Predictions for entities outside their training set, by method.
pub(super) struct HeldOutPredictions {
    shape: (usize, usize),
    /// The predictions of each method, `[n_entities, n_targets]`; NaN for entities without a prediction.
    pub methods: Vec<(String, Array2<f64>)>,
    /// The statistics of the fits to true targets, by method.
    pub statistics: Vec<(String, FitStatistic)>,
}

impl HeldOutPredictions {
    /// An empty collection.
    pub(super) fn new(dataset: &Dataset) -> HeldOutPredictions {
        HeldOutPredictions {
            shape: (dataset.entities.len(), dataset.kind.names().len()),
            methods: Vec::new(),
            statistics: Vec::new(),
        }
    }

    /// Adds the predictions of a method for the given entities.
    pub(super) fn put(&mut self, method: &str, entities: &[usize], values: &Array2<f64>) {
        let at = self.methods.iter().position(|(known, _)| known == method).unwrap_or_else(|| {
            self.methods.push((method.to_string(), Array2::from_elem(self.shape, f64::NAN)));
            self.methods.len() - 1
        });
        let all = &mut self.methods[at].1;
        entities.iter().zip(values.rows()).for_each(|(&entity, row)| all.row_mut(entity).assign(&row));
    }

    /// The predictions of a method.
    pub(super) fn get(&self, method: &str) -> Option<&Array2<f64>> {
        self.methods.iter().find(|(known, _)| known == method).map(|(_, values)| values)
    }
}
