//! The columns of text that are added to the activations of one fold.

use super::block_ridge::{BlockFit, BlockTask};
use super::cross_fitted::{cross_fitted, mean};
use super::kind::TextKind;
use crate::error::Result;
use crate::probes::baselines::{BaselineData, SparseRows};
use crate::probes::splits::Fold;
use ndarray::{Array2, ArrayView2, Axis};

/// The text columns of all entities, for one fold.
#[derive(Debug, Clone)]
pub(in crate::probes) struct TextBlocks {
    /// The names-only predictions minus the mean target, `[n_entities, n_targets]`; a training entity is predicted by a
    /// fit without it.
    names: Array2<f64>,
    /// The targets of the training entities.
    targets: Array2<f64>,
}

/// The activations to fit together with a text, and the start of the search for a weight.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::probes) struct With<'a> {
    /// The activations of all entities, `[n_entities, d_model]`.
    pub activations: Option<ArrayView2<'a, f32>>,
    /// The weight of the word vectors, relative to the activations.
    pub weight: Option<f64>,
}

impl TextBlocks {
    /// Computes the columns of a fold; `features` are those of all names, `targets` those of the training entities.
    ///
    /// # Errors
    /// Those of the names-only fit.
    pub(in crate::probes) fn of(
        data: &BaselineData,
        features: &SparseRows,
        fold: &Fold,
        targets: Array2<f64>,
    ) -> Result<TextBlocks> {
        let names = cross_fitted(data, features, &fold.train, &targets)?;
        Ok(TextBlocks { names, targets })
    }

    /// Fits a text baseline, or the text and the activations together if there are `activations`; `None` if the
    /// baseline needs word vectors and there are none. The search for the ratio of two penalties starts from `weight`,
    /// if given.
    ///
    /// # Errors
    /// Those of the ridge.
    pub(in crate::probes) fn fit<'b>(
        &'b self,
        kind: TextKind,
        data: &BaselineData<'b>,
        fold: &'b Fold,
        with: With<'b>,
    ) -> Result<Option<BlockFit>> {
        let vectors = data.vectors.map(|vectors| vectors.rows.view());
        if kind.has_vectors() && vectors.is_none() {
            return Ok(None);
        }
        if kind == TextKind::Names && with.activations.is_none() {
            let predictions = &self.names + &mean(&self.targets);
            let leave_one_out = predictions.select(Axis(0), &fold.train);
            return Ok(Some(BlockFit { predictions, leave_one_out, weight: 1.0 }));
        }
        let task = BlockTask {
            predictions: kind.has_names().then_some(self.names.view()),
            blocks: vectors.filter(|_| kind.has_vectors()).into_iter().chain(with.activations).collect(),
            train: &fold.train,
            targets: &self.targets,
        };
        task.fit_predict(with.weight).map(Some)
    }
}
