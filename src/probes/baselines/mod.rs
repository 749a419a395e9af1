//! Baselines that need no model, one file per baseline.
//!
//! - `names_only`: a ridge on the n-grams of the names; `name_features`, `sparse_rows` and `sparse_ridge` are its parts
//! - `centroid`: the oracle, the mean target of an entity's true group
//! - `majority`: the most frequent class
//! - `without_model`: the traits that a baseline implements
//!
//! To add a baseline: its file, its `mod` line and its entry in [`BASELINES`] or [`CLASS_BASELINES`] here.

mod centroid;
mod majority;
mod name_features;
mod names_only;
mod sparse_ridge;
mod sparse_rows;
mod without_model;

pub use centroid::{Centroids, GroupCentroid};
pub use majority::Majority;
pub use name_features::{NAME_COLUMNS, name_features};
pub use names_only::NamesOnly;
pub use sparse_ridge::{SparseProbe, SparseRidge};
pub use sparse_rows::SparseRows;
pub use without_model::{BaselineData, ClassBaseline, ClassPredictor, ModelFreeBaseline, Predictor};

/// The baselines of numbers and places, and the oracle, in the order of the result rows.
pub const BASELINES: [&dyn ModelFreeBaseline; 2] = [&NamesOnly, &GroupCentroid];

/// The baselines of classes, in the order of the result rows.
pub const CLASS_BASELINES: [&dyn ClassBaseline; 2] = [&Majority, &NamesOnly];
