//! The columns of text that are added to the activations of one fold.

use super::block_ridge::BlockTask;
use super::cross_fitted::cross_fitted;
use super::kind::TextKind;
use crate::error::Result;
use crate::probes::baselines::{BaselineData, SparseRows};
use crate::probes::splits::Fold;
use crate::probes::targets::target_matrix;
use ndarray::{Array2, ArrayView2};

/// The text columns of all entities, for one fold.
#[derive(Debug, Clone)]
pub(in crate::probes) struct TextBlocks {
    /// The names-only predictions, for training entities from fits without them, `[n_entities, n_targets]`.
    names: Array2<f64>,
    /// The targets of the training entities.
    targets: Array2<f64>,
}

impl TextBlocks {
    /// Computes the columns of a fold; `features` are those of all names.
    ///
    /// # Errors
    /// Those of the names-only fit.
    pub(in crate::probes) fn of(
        data: &BaselineData,
        features: &SparseRows,
        fold: &Fold,
    ) -> Result<TextBlocks> {
        let names = cross_fitted(data, features, &fold.train)?;
        Ok(TextBlocks { names, targets: target_matrix(data.dataset, &fold.train) })
    }

    /// The predictions of a text baseline for all entities, or with `activations`, of the text and the activations
    /// together; `None` for a text baseline without its word vectors.
    ///
    /// # Errors
    /// Those of the ridge.
    pub(in crate::probes) fn predictions<'b>(
        &'b self,
        kind: TextKind,
        data: &BaselineData<'b>,
        fold: &'b Fold,
        activations: Option<ArrayView2<'b, f32>>,
    ) -> Result<Option<Array2<f64>>> {
        let vectors = data.vectors.map(|vectors| vectors.rows.view());
        if kind.has_vectors() && vectors.is_none() {
            return Ok(None);
        }
        if kind == TextKind::Names && activations.is_none() {
            return Ok(Some(self.names.clone()));
        }
        let task = BlockTask {
            free: kind.has_names().then_some(self.names.view()),
            blocks: vectors.filter(|_| kind.has_vectors()).into_iter().chain(activations).collect(),
            train: &fold.train,
            targets: &self.targets,
        };
        task.fit_predict().map(Some)
    }
}
