//! Anybody's file as a dataset of the lab: what its columns are for is written into its headings.
//!
//! - `cells`: a file's cells as texts, whatever its format
//! - `delimited`, `json_lines`, `parquet`: the formats
//! - `plan`: which columns are what, as the user says it: [`Import`]
//! - `paper`: the paper's six files
//! - `convert`: the rows that are kept, as a CSV file: [`Imported`]

mod cells;
mod convert;
mod delimited;
mod json_lines;
mod paper;
mod parquet;
mod plan;

pub use convert::Imported;
pub use paper::{PAPER_ADDRESS, PAPER_FILES, PaperFile};
pub use plan::{Import, Incomplete, TargetOf};
