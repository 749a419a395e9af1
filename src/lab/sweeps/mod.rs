//! Dose–response sweeps of a lab: layers × doses × prompts × directions, saved layer by layer.
//!
//! - `settings`: the plan of a sweep
//! - `groups`: entities with a value in a column; the gazetteer that finds answers in texts
//! - `planned`: a sweep of an experiment, checked before its probes are fitted
//! - `job`: runs a plan; reuses completed layers
//! - `report`: a sweep with its rows

mod groups;
mod job;
mod planned;
mod report;
mod settings;

pub use groups::entities;
pub(super) use job::SweepJob;
pub(super) use planned::PlannedSweep;
pub use report::{SweepReport, sweep};
pub use settings::SweepSettings;
