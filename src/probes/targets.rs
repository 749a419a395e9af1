//! The targets of entities as a matrix.

use crate::datasets::Dataset;
use ndarray::Array2;

/// The targets of the given entities: latitude and longitude, or a single number.
///
/// # Shapes
/// `[n_entities, n_targets]` for `n_entities` indices.
pub(super) fn target_matrix(dataset: &Dataset, entities: &[usize]) -> Array2<f64> {
    let columns = dataset.targets();
    Array2::from_shape_fn((entities.len(), columns.len()), |(i, t)| columns[t][entities[i]])
}
