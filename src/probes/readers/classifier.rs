//! The trait of classifiers: fits classes on training activations and predicts those of others.

use crate::error::Result;
use ndarray::ArrayView2;
use std::fmt::Debug;

/// The training data of a classifier, and the entities that it predicts.
pub struct ClassificationTask<'a> {
    /// The activation of every entity, `[n_entities, d_model]`.
    pub activations: ArrayView2<'a, f32>,
    /// The training entities.
    pub train: &'a [usize],
    /// Their classes, below `n_classes`, of which at least two occur.
    pub classes: &'a [usize],
    /// The number of classes.
    pub n_classes: usize,
    /// The entities to predict.
    pub test: &'a [usize],
}

/// Fits classes on training activations and predicts the classes of test entities.
pub trait Classifier: Debug + Sync {
    /// The name on the command line.
    fn name(&self) -> &'static str;

    /// A description in a few words.
    fn about(&self) -> &'static str;

    /// Fits, and predicts a class for each of [`ClassificationTask::test`].
    ///
    /// # Errors
    /// The errors of the fit.
    fn classify(&self, task: &ClassificationTask) -> Result<Vec<usize>>;
}
