//! The nearest class mean: the simplest direction that separates classes.

use super::classifier::{ClassificationTask, Classifier};
use crate::error::Result;
use crate::probes::classes::ClassPredictions;
use ndarray::{Array1, Array2};

/// Predicts the class with the nearest mean activation.
///
/// The score of a class is its mean's squared distance, negative. Two classes are separated by the plane halfway between their means, orthogonal to the difference of the means.
#[derive(Debug)]
pub(super) struct MeanDifference;

impl Classifier for MeanDifference {
    fn name(&self) -> &'static str {
        "mean-difference"
    }

    fn about(&self) -> &'static str {
        "the class whose mean is nearest"
    }

    fn classify(&self, task: &ClassificationTask) -> Result<ClassPredictions> {
        let width = task.activations.ncols();
        let wide = |i: usize| task.activations.row(i).mapv(f64::from);
        let mut sums = Array2::<f64>::zeros((task.n_classes, width));
        let mut sizes = Array1::<f64>::zeros(task.n_classes);
        for (&i, &class) in task.train.iter().zip(task.classes) {
            let mut sum = sums.row_mut(class);
            sum += &wide(i);
            sizes[class] += 1.0;
        }
        let overall = sums.sum_axis(ndarray::Axis(0)) / sizes.sum();
        let means: Vec<(usize, Array1<f64>)> = (0..task.n_classes)
            .filter(|&class| sizes[class] > 0.0)
            .map(|class| (class, &sums.row(class) / sizes[class] - &overall))
            .collect();
        let mut scores = Array2::from_elem((task.test.len(), task.n_classes), f64::NEG_INFINITY);
        for (&i, mut scores) in task.test.iter().zip(scores.rows_mut()) {
            let centred = wide(i) - &overall;
            for (class, mean) in &means {
                let apart = &centred - mean;
                scores[*class] = -apart.dot(&apart);
            }
        }
        Ok(ClassPredictions::of_scores(scores))
    }
}
