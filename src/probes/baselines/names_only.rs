//! The names-only baseline: a ridge on hashed n-grams of the names.

use super::name_features::name_features;
use super::without_model::{BaselineData, ClassBaseline, ClassPredictor, ModelFreeBaseline, Predictor};
use crate::probes::classes::{ClassPredictions, Classes};
use crate::probes::targets::target_matrix;
use crate::results::NAMES_ONLY;
use ndarray::Array2;

/// Number of classes per fit; bounds the memory, because each class needs one weight per column.
const CLASSES_AT_ONCE: usize = 16;

/// A ridge on the n-grams of the names; for classes, one 0/1 target per class, and the greatest prediction wins.
#[derive(Debug)]
pub struct NamesOnly;

impl ModelFreeBaseline for NamesOnly {
    fn name(&self) -> &'static str {
        NAMES_ONLY
    }

    fn predictor<'a>(&self, data: BaselineData<'a>) -> Predictor<'a> {
        let features = name_features(&data.entity_names());
        Box::new(move |train| {
            let targets = target_matrix(data.dataset, train);
            Ok(data.fit_names(&features.select(train), &targets, train)?.predict(&features))
        })
    }
}

impl ClassBaseline for NamesOnly {
    fn name(&self) -> &'static str {
        NAMES_ONLY
    }

    fn class_predictor<'a>(&self, data: BaselineData<'a>, classes: &'a Classes) -> ClassPredictor<'a> {
        let features = name_features(&data.entity_names());
        Box::new(move |train, test| {
            let (of_train, of_test) = (features.select(train), features.select(test));
            let truth = classes.select(train);
            let mut scores = Array2::zeros((test.len(), classes.names.len()));
            let all: Vec<usize> = (0..classes.names.len()).collect();
            for some in all.chunks(CLASSES_AT_ONCE) {
                let is_class = |(i, c): (usize, usize)| f64::from(u8::from(truth[i] == some[c]));
                let indicators = Array2::from_shape_fn((train.len(), some.len()), is_class);
                let predicted = data.fit_names(&of_train, &indicators, train)?.predict(&of_test);
                for (column, &class) in predicted.columns().into_iter().zip(some) {
                    scores.column_mut(class).assign(&column);
                }
            }
            Ok(ClassPredictions::of_scores(scores))
        })
    }
}
