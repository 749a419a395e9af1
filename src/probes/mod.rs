//! Linear readers of the stream: fitting, scoring, baselines, saving.
//!
//! - `probe`: the fitted reader: [`Probe`]
//! - `decomposition`: one eigendecomposition of the activations for everything fitted to them
//! - `ridge`: the fit itself, its penalty chosen by leave-one-out error
//! - `metrics`: R², correlations, absolute error
//! - `geometry`: great-circle distances
//! - `bootstrap`: 95 % intervals

mod bootstrap;
mod decomposition;
#[cfg(test)]
mod fixture;
mod geometry;
mod metrics;
mod probe;
mod ridge;

pub use bootstrap::{Bootstrap, Interval};
pub use decomposition::Decomposition;
pub use geometry::{EARTH_RADIUS_KM, great_circle_km, mean_km, median_km, place_of_reading};
pub use metrics::{Spearman, kendall, mae, pearson, r2, r2_by_target, r2_over, spearman};
pub use probe::Probe;
pub use ridge::{Edge, PenaltyGrid, Ridge, Solution, Trial};
