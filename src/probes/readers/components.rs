//! Ridge on the first principal components of the training activations: how many directions are needed.

use super::{Reader, Reading, Training};
use crate::error::Result;

/// Ridge on the 2, 4, 8, … components of the largest variance, and on all of them.
///
/// Components are those of the training rows; each number of them chooses its own penalty.
#[derive(Debug)]
pub(super) struct Components;

impl Reader for Components {
    fn name(&self) -> &'static str {
        "pca"
    }

    fn about(&self) -> &'static str {
        "ridge on the first 2, 4, 8, … principal components"
    }

    fn read(&self, training: &Training) -> Result<Vec<Reading>> {
        let principal = training.decomposition.principal()?;
        let all = principal.rank();
        let fewer = (1..).map(|power| 1_usize << power).take_while(|k| *k < all);
        let reading = |k: usize| {
            let probe = principal.first(k)?.solve(training.targets, training.grid)?.probe;
            Ok(Reading::of(format!("{}-{k}", self.name()), training.readings(&probe)))
        };
        fewer.chain([all]).map(reading).collect()
    }
}
