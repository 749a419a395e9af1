//! The models that probes are compared with: untrained, and with shuffled weights.

use crate::results::{SHUFFLED_WEIGHTS, UNTRAINED};

/// A model of the same shape without what training gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BaselineModel {
    /// Weights drawn from a seed.
    Untrained,
    /// The model's own weights, those of each tensor in another order.
    Shuffled,
}

impl BaselineModel {
    /// Both.
    pub(super) const ALL: [BaselineModel; 2] = [BaselineModel::Untrained, BaselineModel::Shuffled];

    /// The name in result rows.
    pub(super) fn name(self) -> &'static str {
        match self {
            BaselineModel::Untrained => UNTRAINED,
            BaselineModel::Shuffled => SHUFFLED_WEIGHTS,
        }
    }
}
