//! The majority baseline: the most frequent class of the training entities.

use super::without_model::{BaselineData, ClassBaseline, ClassPredictor};
use crate::probes::classes::{ClassPredictions, Classes};
use crate::results::MAJORITY;
use ndarray::{Array2, Axis};

/// Predicts the most frequent class for every entity; among equally frequent classes, the first.
#[derive(Debug)]
pub struct Majority;

impl ClassBaseline for Majority {
    fn name(&self) -> &'static str {
        MAJORITY
    }

    fn class_predictor<'a>(&self, _: BaselineData<'a>, classes: &'a Classes) -> ClassPredictor<'a> {
        Box::new(|train, test| {
            let mut sizes = Array2::zeros((1, classes.names.len()));
            classes.select(train).iter().for_each(|&class| sizes[[0, class]] += 1.0);
            let scores = sizes.select(Axis(0), &vec![0; test.len()]);
            Ok(ClassPredictions::of_scores(scores))
        })
    }
}
