//! Training and test entities.
//!
//! - `split`: the entities of each fold: [`Split`], [`Fold`]
//! - `plan`: the rule that divides a dataset: [`SplitPlan`]
//! - `transfer`: training on one dataset or prompt, testing on another
//! - `apart`: the column whose groups the split keeps apart: [`GroupsApart`]
//! - `leakage`: test entities with the name, or nearly the place or year, of a training entity

mod apart;
mod leakage;
mod plan;
mod split;
mod transfer;

pub(super) use apart::GroupsApart;
pub use leakage::{Leakage, Near};
pub use plan::SplitPlan;
pub use split::{Fold, Split};
pub use transfer::{SplitDataset, Transfer, joined, stacked};
