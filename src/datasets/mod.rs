//! Entities with a place, a year or another number: loading, the six bundled datasets, checks against other files.
//!
//! - `entity`: the types: [`Entity`], [`Target`], [`Lat`], [`Lon`]; `table`: all cells of a file
//! - `load`: one loader for the bundled files, the paper's and the user's own; `bundled`: the six inside the binary
//! - `formats`: CSV, TSV, JSON and Parquet files as cells
//! - `columns`: the role of each column; `values`: numbers, dates and missing values in cells
//! - `import`: any CSV, TSV, JSONL or Parquet file as a dataset of the lab
//! - `prompts`: entities as texts
//! - `labels`: groups of entities by a column; `ages`: named spans of years
//! - `check`: comparison of one dataset with another

mod ages;
mod bundled;
mod check;
mod columns;
mod entity;
mod formats;
mod import;
mod labels;
mod load;
mod prompts;
mod table;
mod values;

pub use ages::age;
#[cfg(test)]
pub(crate) use ages::age_names;
pub use bundled::{BUNDLED, bundled, find, name_of};
pub use check::{CheckReport, Disagreement, check_against, known_exceptions, tolerance};
pub use entity::{Dataset, Entity, Lat, Lon, Quantity, Target, TargetKind};
pub(crate) use formats::first_column as parquet_column;
pub use import::{ImportPlan, Imported, IncompleteRows, PAPER_ADDRESS, PAPER_FILES, PaperFile, TargetChoice};
pub(crate) use labels::numbered;
pub use labels::{column_values, labels};
pub use load::{load, parse};
pub use prompts::{Names, PaperPrompt, Prompt, PromptTexts, PromptedEntity, RandomTokens, paper_prompts};
pub use table::Table;
pub use values::{date_to_year, year_to_date};
