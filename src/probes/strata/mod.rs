//! Strata: parts of the test entities by a property of their names, in each of which the surplus is measured.
//!
//! - `division`: the strata of one property; small ones are merged: [`Strata`]
//! - `ranges`: ranges of ranks and of numbers of tokens
//! - `script`: the script of a name's letters: [`script_of`]
//! - `sums`: the parts of R² that add up over strata
//! - `finding`: a sentence about where the surplus lies: [`StrataFinding`]

mod division;
mod finding;
mod ranges;
mod script;
mod sums;

pub use division::{LEAST_ENTITIES, Strata};
pub use finding::{MostOfSurplus, StrataFinding};
pub use script::script_of;
pub(super) use sums::{Measures, StratumSums};
