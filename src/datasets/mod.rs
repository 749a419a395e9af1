//! Entities with a place, a year or another number: loading, the bundled six, checking against other files.
//!
//! - `entity`: the types: [`Entity`], [`Target`], [`Lat`], [`Lon`]
//! - `load`: one loader for the bundled files, the paper's and the user's own
//! - `formats`: CSV, TSV, JSON and Parquet files as cells
//! - `heading`, `known`: columns that say what they are for, and those whose names do
//! - `sheet`, `targets`, `columns`: which of a file's columns hold what, and what it lacks
//! - `number`, `marks`, `year`, `missing`: what cells mean: decimal points and commas, dates, no value
//! - `import`: anybody's CSV, TSV, JSONL or Parquet file as a dataset of the lab
//! - `date`: calendar dates to decimal years and back
//! - `bundled`: the six datasets inside the binary
//! - `table`: all cells of a file; `labels`: groups of entities by a column; `ages`: named spans of years
//! - `prompts`: how an entity becomes a text
//! - `check`: holds one folder of datasets against another

mod ages;
mod bundled;
mod check;
mod columns;
mod date;
mod entity;
mod formats;
mod heading;
mod import;
mod known;
mod labels;
mod load;
mod marks;
mod missing;
mod number;
mod prompts;
mod sheet;
mod table;
mod targets;
mod year;

pub use ages::age;
#[cfg(test)]
pub(crate) use ages::age_names;
pub use bundled::{BUNDLED, bundled, find, name_of};
pub use check::{CheckReport, Disagreement, check_against, known_exceptions, tolerance};
pub use date::{date_to_year, year_to_date};
pub use entity::{Dataset, Entity, Lat, Lon, Quantity, Target, TargetKind};
pub use import::{ImportPlan, Imported, Incomplete, PAPER_ADDRESS, PAPER_FILES, PaperFile, TargetOf};
pub(crate) use labels::numbered;
pub use labels::{column_values, labels};
pub use load::{load, parse};
pub use prompts::{Names, PaperPrompt, Prompt, PromptTexts, PromptedEntity, RandomTokens, paper_prompts};
pub use table::Table;
