//! Analyses of fitted probes and of the stream.
//!
//! - `compare`: paired differences of two sets of predictions for the same entities
//! - `participation`: the number of principal components of the stream and of a probe's predictions
//! - `cosines`: angles between probes of layers, targets and datasets
//! - `unit_correlations`: rank correlations of MLP neurons with a target, and their p-values

mod compare;
mod cosines;
mod participation;
mod unit_correlations;

pub use compare::{ResampledUnits, Resampling, compare};
pub use cosines::{cosine, cosines_of_datasets, cosines_of_layers, cosines_of_targets};
pub use participation::{participation, participation_rows};
pub use unit_correlations::{RankCorrelation, correlate_units, false_discovery, unit_means};
