//! Ridge on the first principal components of the training activations: shows how many directions a target needs.

use super::regressor::{MethodPredictions, RegressionTask, Regressor};
use crate::error::Result;

/// Ridge on the 2, 4, 8, … components of greatest variance, and on all components of the training rows.
///
/// The penalty is chosen separately for each number of components.
#[derive(Debug)]
pub(super) struct Components;

impl Regressor for Components {
    fn name(&self) -> &'static str {
        "pca"
    }

    fn about(&self) -> &'static str {
        "ridge on the first 2, 4, 8, … principal components"
    }

    fn fit_predict(&self, task: &RegressionTask) -> Result<Vec<MethodPredictions>> {
        let principal = task.decomposition.principal()?;
        let all = principal.rank();
        let fewer = (1..).map(|power| 1_usize << power).take_while(|k| *k < all);
        let predictions = |k: usize| {
            let probe = principal.first(k)?.solve(task.targets, task.grid)?.probe;
            Ok(MethodPredictions::of(format!("{}-{k}", self.name()), task.predictions(&probe)))
        };
        fewer.chain([all]).map(predictions).collect()
    }
}
