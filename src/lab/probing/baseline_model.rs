//! The model baselines: an untrained model, and the model with shuffled weights.

use crate::results::{SHUFFLED_WEIGHTS, UNTRAINED};

/// A model of the same shape without the trained weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BaselineModel {
    /// Weights drawn from a seed.
    Untrained,
    /// The model's own weights, shuffled within each tensor.
    Shuffled,
}

impl BaselineModel {
    /// Both model baselines.
    pub(super) const ALL: [BaselineModel; 2] = [BaselineModel::Untrained, BaselineModel::Shuffled];

    /// The name in result rows.
    pub(super) fn name(self) -> &'static str {
        match self {
            BaselineModel::Untrained => UNTRAINED,
            BaselineModel::Shuffled => SHUFFLED_WEIGHTS,
        }
    }

    /// The name in messages.
    pub(super) fn words(self) -> String {
        self.name().replace('-', " ")
    }
}
