//! Entities with a place or a year: loading, the bundled six, checking against other files.
//!
//! - `entity`: the types: [`Entity`], [`Target`], [`Lat`], [`Lon`]
//! - `load`: one CSV loader for the bundled files and the paper's
//! - `date`: calendar dates to decimal years and back
//! - `bundled`: the six datasets inside the binary
//! - `table`: all cells of a file
//! - `prompts`: how an entity becomes a text
//! - `check`: holds one folder of datasets against another

mod bundled;
mod check;
mod date;
mod entity;
mod load;
mod prompts;
mod table;

pub use bundled::{BUNDLED, bundled, find};
pub use check::{CheckReport, Disagreement, check_against, known_exceptions, tolerance};
pub use date::{date_to_year, year_to_date};
pub use entity::{Dataset, Entity, Lat, Lon, Target, TargetKind};
pub use load::{load, parse};
pub use prompts::{Names, PaperPrompt, Prompt, PromptedEntity, RandomTokens, Texts, paper_prompts};
pub use table::Table;
