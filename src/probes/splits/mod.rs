//! Training and test entities.
//!
//! - `split`: the entities of each fold: [`Split`], [`Fold`]
//! - `plan`: the rule that divides a dataset: [`SplitPlan`]
//! - `labels`: the groups of entities: a column, a century or a decade
//! - `transfer`: training on one dataset or prompt, testing on another
//! - `leakage`: test entities that a training entity gives away

mod leakage;
mod plan;
mod split;
mod transfer;

pub use leakage::{Leakage, Near};
pub use plan::SplitPlan;
pub use split::{Fold, Split};
pub use transfer::{SplitDataset, Transfer, joined, stacked};
