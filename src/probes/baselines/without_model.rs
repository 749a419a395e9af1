//! The traits of baselines that need no model.

use super::sparse_ridge::{SparseProbe, SparseRidge};
use super::sparse_rows::SparseRows;
use crate::datasets::Dataset;
use crate::error::Result;
use crate::probes::classes::{ClassPredictions, Classes};
use crate::probes::splits::GroupsApart;
use crate::word_vectors::NameVectors;
use ndarray::Array2;
use std::collections::BTreeSet;
use std::fmt::Debug;

/// The data that a baseline may use.
#[derive(Debug, Clone)]
pub struct BaselineData<'a> {
    /// The entities and their targets.
    pub dataset: &'a Dataset,
    /// The settings of the ridge on the names.
    pub name_ridge: SparseRidge,
    /// The groups that the split keeps apart, if it does.
    pub apart: Option<GroupsApart>,
    /// The word vectors of the names, one row per entity.
    pub vectors: Option<&'a NameVectors>,
}

impl<'a> BaselineData<'a> {
    /// Fits the ridge on the names of training entities; the penalty is chosen on held-out groups if the split keeps
    /// groups apart, otherwise on held-out names.
    pub(in crate::probes) fn fit_names(
        &self,
        x: &SparseRows,
        y: &Array2<f64>,
        train: &[usize],
    ) -> Result<SparseProbe> {
        let groups = self.apart.as_ref().map(|apart| train.iter().map(|&i| apart.groups[i]).collect());
        self.name_ridge.fit_apart(x, y, groups)
    }

    /// Divides training entities at random into fifths, each a set of positions in `train`; if the split keeps groups
    /// apart, whole groups.
    pub(in crate::probes) fn fifths(&self, train: &[usize]) -> Vec<BTreeSet<usize>> {
        let groups = match &self.apart {
            Some(apart) => train.iter().map(|&i| apart.groups[i]).collect(),
            None => (0..train.len()).collect::<Vec<usize>>(),
        };
        self.name_ridge.held_out_groups(&groups).into_iter().map(|rows| rows.into_iter().collect()).collect()
    }

    /// The names of all entities.
    pub(in crate::probes) fn entity_names(&self) -> Vec<&'a str> {
        self.dataset.entities.iter().map(|entity| entity.name.as_str()).collect()
    }
}

/// Trains on the given entities and predicts the targets of all entities, `[n_entities, n_targets]`.
pub type Predictor<'a> = Box<dyn Fn(&[usize]) -> Result<Array2<f64>> + 'a>;

/// Trains on the entities of the first argument and predicts the classes of those of the second.
pub type ClassPredictor<'a> = Box<dyn Fn(&[usize], &[usize]) -> Result<ClassPredictions> + 'a>;

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
