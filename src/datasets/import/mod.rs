//! Anybody's file as a dataset of the lab: what its columns are for is written into its headings.
//!
//! - `plan`: which columns are what, as the user says it: [`ImportPlan`]
//! - `paper`: the paper's six files
//! - `convert`: the rows that are kept, as a CSV file: [`Imported`]

mod convert;
mod paper;
mod plan;

pub use convert::Imported;
pub use paper::{PAPER_ADDRESS, PAPER_FILES, PaperFile};
pub use plan::{ImportPlan, Incomplete, TargetOf};
