//! Baselines that read no model: the names alone, and the mean of an entity's group.

use super::centroid::Centroids;
use super::names::name_features;
use super::rows::Heading;
use super::score::{Baseline, HeldOut, Scorer};
use super::sparse_ridge::SparseRidge;
use crate::error::Result;
use crate::results::{CENTROID, NAMES_ONLY, ScoreRow};
use ndarray::{Array2, Axis};

impl Scorer<'_> {
    /// Scores a ridge on the n-grams of the names: test entities and, where there is one fold, training ones.
    ///
    /// # Errors
    /// As [`SparseRidge::fit`].
    pub fn names_only(&self) -> Result<Baseline> {
        let names: Vec<&str> = self.dataset.entities.iter().map(|e| e.name.as_str()).collect();
        let features = name_features(&names);
        let settings = SparseRidge { seed: self.bootstrap.seed, ..self.names.clone() };
        self.blind(NAMES_ONLY, |train| {
            Ok(settings.fit(&features.select(train), &self.targets(train))?.readings(&features))
        })
    }

    /// Scores the mean training target of each entity's group: test entities and, where there is one fold,
    /// training ones.
    ///
    /// A dataset without group columns is one group, whose score is about 0; so is a group that is held out.
    ///
    /// # Errors
    /// As [`Scorer::layer`].
    pub fn centroid(&self) -> Result<Baseline> {
        self.blind(CENTROID, |train| {
            let groups: Vec<&str> =
                train.iter().map(|&i| self.dataset.group(&self.dataset.entities[i])).collect();
            Ok(Centroids::of(&groups, &self.targets(train)).predict_all(self.dataset))
        })
    }

    /// Scores what is predicted for all entities from each fold's training entities.
    fn blind(
        &self,
        method: &'static str,
        predict: impl Fn(&[usize]) -> Result<Array2<f64>>,
    ) -> Result<Baseline> {
        let mut held_out = HeldOut::new(self.dataset);
        let mut learnt: Vec<ScoreRow> = Vec::new();
        for fold in &self.split.folds {
            let predicted = predict(&fold.train)?;
            held_out.put(method, &fold.test, &predicted.select(Axis(0), &fold.test));
            if self.split.folds.len() == 1 {
                let heading = Heading { method, point: None, split: "train" };
                learnt = self.rows(&heading, &fold.train, &predicted.select(Axis(0), &fold.train))?;
                held_out.put(method, &fold.train, &predicted.select(Axis(0), &fold.train));
            }
        }
        let predictions = held_out.get(method).cloned().unwrap_or_default();
        let test = self.split.test();
        let heading = Heading { method, point: None, split: "test" };
        let rows = self.rows(&heading, &test, &predictions.select(Axis(0), &test))?;
        Ok(Baseline { rows: [rows, learnt].concat(), predictions })
    }
}
