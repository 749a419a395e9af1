//! Any file as a dataset of the lab; the roles of its columns are written into its headings.
//!
//! - `plan`: the roles of columns, as the user gives them: [`ImportPlan`]
//! - `paper`: the paper's six files
//! - `convert`: the kept rows, as a CSV file: [`Imported`]

mod convert;
mod paper;
mod plan;

pub use convert::Imported;
pub use paper::{PAPER_ADDRESS, PAPER_FILES, PaperFile};
pub use plan::{ImportPlan, IncompleteRows, TargetChoice};
