//! Names-only predictions as columns for another fit.

use crate::error::Result;
use crate::probes::baselines::{BaselineData, SparseRows};
use ndarray::{Array1, Array2, Axis, s};

/// Number of targets per fit; bounds the memory, because each target needs one weight per n-gram.
const TARGETS_AT_ONCE: usize = 16;

/// The mean of each target.
pub(super) fn mean(targets: &Array2<f64>) -> Array1<f64> {
    targets.sum_axis(Axis(0)) / targets.nrows().max(1) as f64
}

/// The names-only prediction for each entity, minus the mean target of the entities in the fit. A training entity is
/// predicted by a fit to the other four fifths, any other entity by the fit to all training entities.
///
/// A fit predicts its own training entities far better than new ones, so that the next fit would rely on such
/// predictions too much. Without the subtraction, a prediction would contain the mean target of the other fifths, which
/// is low where the mean of the entity's own fifth is high. All fits share the penalty of the fit to all training
/// entities.
///
/// # Shapes
/// `all_targets` is `[n_train, n_targets]`; the result is `[n_entities, n_targets]`.
pub(super) fn cross_fitted(
    data: &BaselineData,
    features: &SparseRows,
    train: &[usize],
    all_targets: &Array2<f64>,
) -> Result<Array2<f64>> {
    let of_train = features.select(train);
    let mut all = Array2::zeros((data.dataset.entities.len(), all_targets.ncols()));
    for start in (0..all_targets.ncols()).step_by(TARGETS_AT_ONCE) {
        let some = start..(start + TARGETS_AT_ONCE).min(all_targets.ncols());
        let targets = all_targets.slice(s![.., some.clone()]).to_owned();
        let probe = data.fit_names(&of_train, &targets, train)?;
        let mut predictions = probe.predict(features) - &mean(&targets);
        for held_out in data.fifths(train) {
            let rest: Vec<usize> = (0..train.len()).filter(|row| !held_out.contains(row)).collect();
            let of_rest = targets.select(Axis(0), &rest);
            let fit = data.name_ridge.fit_at(probe.penalty, &of_train.select(&rest), &of_rest)?;
            let rows: Vec<usize> = held_out.into_iter().collect();
            let predicted = fit.predict(&of_train.select(&rows)) - &mean(&of_rest);
            for (row, predicted) in rows.iter().zip(predicted.rows()) {
                predictions.row_mut(train[*row]).assign(&predicted);
            }
        }
        all.slice_mut(s![.., some]).assign(&predictions);
    }
    Ok(all)
}
