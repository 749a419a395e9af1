//! The traits of baselines that need no model.

use super::sparse_ridge::SparseRidge;
use crate::datasets::Dataset;
use crate::error::Result;
use crate::probes::classes::Classes;
use ndarray::Array2;
use std::fmt::Debug;

/// The data that a baseline may use.
#[derive(Debug, Clone)]
pub struct BaselineData<'a> {
    /// The entities and their targets.
    pub dataset: &'a Dataset,
    /// The settings of the ridge on the names.
    pub name_ridge: SparseRidge,
}

impl<'a> BaselineData<'a> {
    /// The names of all entities.
    pub(super) fn entity_names(&self) -> Vec<&'a str> {
        self.dataset.entities.iter().map(|entity| entity.name.as_str()).collect()
    }
}

/// Trains on the given entities and predicts the targets of all entities, `[n_entities, n_targets]`.
pub type Predictor<'a> = Box<dyn Fn(&[usize]) -> Result<Array2<f64>> + 'a>;

/// Trains on the entities of the first argument and predicts the classes of those of the second.
pub type ClassPredictor<'a> = Box<dyn Fn(&[usize], &[usize]) -> Result<Vec<usize>> + 'a>;

/// A baseline that predicts targets without a model.
pub trait ModelFreeBaseline: Debug + Sync {
    /// The name in result rows.
    fn name(&self) -> &'static str;

    /// Does the work that all folds share, and returns a predictor for single folds.
    fn predictor<'a>(&self, data: BaselineData<'a>) -> Predictor<'a>;
}

/// A baseline that predicts classes without a model.
pub trait ClassBaseline: Debug + Sync {
    /// The name in result rows.
    fn name(&self) -> &'static str;

    /// Does the work that all folds share, and returns a predictor for single folds.
    fn class_predictor<'a>(&self, data: BaselineData<'a>, classes: &'a Classes) -> ClassPredictor<'a>;
}
