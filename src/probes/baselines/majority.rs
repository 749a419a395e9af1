//! The majority baseline: the most frequent class of the training entities.

use super::without_model::{BaselineData, ClassBaseline, ClassPredictor};
use crate::probes::classes::Classes;
use crate::results::MAJORITY;

/// Predicts the most frequent class for every entity; among equally frequent classes, the first.
#[derive(Debug)]
pub struct Majority;

impl ClassBaseline for Majority {
    fn name(&self) -> &'static str {
        MAJORITY
    }

    fn class_predictor<'a>(&self, _: BaselineData<'a>, classes: &'a Classes) -> ClassPredictor<'a> {
        Box::new(|train, test| {
            let mut sizes = vec![0; classes.names.len()];
            classes.select(train).iter().for_each(|&class| sizes[class] += 1);
            let most = (0..sizes.len()).rev().max_by_key(|&class| sizes[class]).unwrap_or(0);
            Ok(vec![most; test.len()])
        })
    }
}
