//! Result rows of predictions: the truth and the prediction of each entity and target.

use super::settings::Scorer;
use crate::hook_point::HookPoint;
use crate::results::{PredictionRow, TEST, TRAIN};
use ndarray::ArrayView2;

impl Scorer<'_> {
    /// The truth and the prediction of a probe for each target of each entity in the split.
    ///
    /// # Shapes
    /// `predictions` is `[n_entities, n_targets]`, in dataset order.
    pub fn prediction_rows(&self, point: HookPoint, predictions: ArrayView2<f64>) -> Vec<PredictionRow> {
        let names = self.dataset.kind.names();
        let mut splits = vec![""; self.dataset.entities.len()];
        for fold in self.split.folds.iter().filter(|_| self.split.folds.len() == 1) {
            fold.train.iter().for_each(|&i| splits[i] = TRAIN);
        }
        self.split.test().iter().for_each(|&i| splits[i] = TEST);
        let entities = self.dataset.entities.iter().zip(splits).zip(predictions.rows());
        entities
            .filter(|((_, split), _)| !split.is_empty())
            .flat_map(|((entity, split), predictions)| {
                let values = names.iter().zip(entity.target.values()).zip(predictions.to_vec());
                values.map(move |((target, truth), prediction)| PredictionRow {
                    dataset: self.dataset.name.to_string(),
                    name: entity.name.clone(),
                    group: self.dataset.group(entity).to_string(),
                    split: split.to_string(),
                    hook_point: point.to_string(),
                    target: target.to_string(),
                    truth,
                    prediction,
                })
            })
            .collect()
    }
}
