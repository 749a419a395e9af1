//! Causal tests of a lab: is a probe's subspace used for the model's answers?
//!
//! - `settings`: the settings, and the choice of answers
//! - `asked`: the question about a dataset's entities, its answers, and the pairs
//! - `job`: all layers, one after the other, each saved and reused; `measured`: the measurements at one layer;
//!   `controls`: those at the reported layer
//! - `report`: all rows, and the `verdict` about them; `drawing`: their figure

mod asked;
mod controls;
mod drawing;
mod job;
mod measured;
mod report;
mod settings;
mod verdict;

pub use drawing::{draw_saved_causes, saved_causes};
pub use job::OwnAnswers;
pub use report::{CauseReport, cause};
pub use settings::{AnswerChoice, CauseSettings, Threshold};
pub use verdict::{Use, UseVerdict};
