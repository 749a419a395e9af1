//! The difference of class means: the simplest direction that tells classes apart.

use super::{ClassTraining, Classifier};
use crate::error::Result;
use ndarray::{Array1, Array2};

/// Each class is its mean activation; an entity belongs to the class of the nearest mean.
///
/// Of two classes, that is the side of the middle between the means on which an activation lies, along the
/// difference of the means.
#[derive(Debug)]
pub(super) struct MeanDifference;

impl Classifier for MeanDifference {
    fn name(&self) -> &'static str {
        "mean-difference"
    }

    fn about(&self) -> &'static str {
        "the class whose mean is nearest"
    }

    fn classify(&self, training: &ClassTraining) -> Result<Vec<usize>> {
        let width = training.activations.ncols();
        let wide = |i: usize| training.activations.row(i).mapv(f64::from);
        let mut sums = Array2::<f64>::zeros((training.n_classes, width));
        let mut sizes = Array1::<f64>::zeros(training.n_classes);
        for (&i, &class) in training.train.iter().zip(training.classes) {
            let mut sum = sums.row_mut(class);
            sum += &wide(i);
            sizes[class] += 1.0;
        }
        let middle = sums.sum_axis(ndarray::Axis(0)) / sizes.sum();
        let means: Vec<(usize, Array1<f64>)> = (0..training.n_classes)
            .filter(|&class| sizes[class] > 0.0)
            .map(|class| (class, &sums.row(class) / sizes[class] - &middle))
            .collect();
        let nearest = |i: &usize| {
            let from_middle = wide(*i) - &middle;
            let distance = |mean: &Array1<f64>| {
                let apart = &from_middle - mean;
                apart.dot(&apart)
            };
            let best = means.iter().min_by(|a, b| distance(&a.1).total_cmp(&distance(&b.1)));
            best.map_or(0, |(class, _)| *class)
        };
        Ok(training.reads.iter().map(nearest).collect())
    }
}
