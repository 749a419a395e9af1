//! The trait of classifiers: trains on the classes of training entities and predicts those of test entities.

use crate::error::Result;
use crate::probes::classes::ClassPredictions;
use ndarray::ArrayView2;
use std::fmt::Debug;

/// The training data of a classifier, and the entities that it predicts.
pub struct ClassificationTask<'a> {
    /// The activation of every entity, `[n_entities, d_model]`.
    pub activations: ArrayView2<'a, f32>,
    /// The training entities.
    pub train: &'a [usize],
    /// The class of each training entity, a number below `n_classes`; at least two different classes.
    pub classes: &'a [usize],
    /// The number of classes.
    pub n_classes: usize,
    /// The entities to predict.
    pub test: &'a [usize],
}

/// Trains on activations with classes and predicts the classes of test entities.
pub trait Classifier: Debug + Sync {
    /// The name on the command line.
    fn name(&self) -> &'static str;

    /// A short description for help texts.
    fn about(&self) -> &'static str;

    /// Fits, and predicts a class, with the scores of all classes, for each of [`ClassificationTask::test`].
    ///
    /// # Errors
    /// The errors of the fit.
    fn classify(&self, task: &ClassificationTask) -> Result<ClassPredictions>;
}
