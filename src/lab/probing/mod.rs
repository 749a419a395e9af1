//! Probes of a lab: fitted at every depth, scored with baselines, saved, and reused.
//!
//! - `settings`: settings of fits and scores
//! - `job`: one model on one dataset with one prompt; its card, split and scorer
//! - `fitting`: every hook point in one run, or as parts that are merged
//! - `baseline_model`: the untrained and the shuffled model; `model_baselines` computes their activations
//! - `request`: the settings of one probing, applied to a dataset
//! - `report`: probes with their scores, for printing and drawing

mod baseline_model;
mod fitting;
mod job;
mod model_baselines;
mod report;
mod request;
mod settings;

pub use fitting::{fit_all, fit_parts, merge_parts};
pub use job::ProbingJob;
pub use report::{BestLayer, ProbeReport};
pub use request::{PreparedRequest, ProbeRequest};
pub use settings::ProbingSettings;
