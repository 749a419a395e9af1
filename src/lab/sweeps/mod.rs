//! Dose–response sweeps of a lab: layers × doses × prompts × directions, saved layer by layer.
//!
//! - `settings`: the plan of a sweep
//! - `groups`: entities with a value in a column; the gazetteer that finds answers in texts
//! - `job`: runs a plan; reuses completed layers
//! - `report`: a sweep with its rows

mod groups;
mod job;
mod report;
mod settings;

pub use groups::entities;
pub(super) use job::SweepJob;
pub use report::{SweepReport, sweep};
pub(crate) use report::{latent, prompts};
pub use settings::SweepSettings;
