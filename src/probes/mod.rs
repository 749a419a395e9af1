//! Linear readers of the stream: fitting, scoring, baselines, saving.
//!
//! - `probe`: the fitted reader: [`Probe`]
//! - `decomposition`: one eigendecomposition of the activations for everything fitted to them
//! - `ridge`: the fit itself, its penalty chosen by leave-one-out error
//! - `metrics`: R², correlations, absolute error
//! - `geometry`: great-circle distances
//! - `measure`: the scores that a kind of target asks for
//! - `bootstrap`: 95 % intervals
//! - `split`: training and test entities
//! - `names`, `centroid`: the baselines that read no model
//! - `sparse`, `sparse_ridge`: the fit to very many columns of mostly zeros that names need
//! - `score`: everything above for one hook point, as result rows: [`Scorer`]
//! - `store`: probes on disk: [`ProbeSet`]
//! - `part`: hook points fitted apart, until they are merged: [`Parts`]

mod bootstrap;
mod centroid;
mod decomposition;
#[cfg(test)]
mod fixture;
mod geometry;
mod measure;
mod metrics;
mod names;
mod part;
mod probe;
mod ridge;
mod score;
mod sparse;
mod sparse_ridge;
mod split;
mod store;

pub use bootstrap::{Bootstrap, Interval};
pub use centroid::Centroids;
pub use decomposition::Decomposition;
pub use geometry::{EARTH_RADIUS_KM, great_circle_km, mean_km, median_km, place_of_reading};
pub use metrics::{Spearman, kendall, mae, pearson, r2, r2_by_target, r2_over, spearman};
pub use names::{NAME_COLUMNS, name_features};
pub use part::{Part, Parts};
pub use probe::Probe;
pub use ridge::{Edge, PenaltyGrid, Ridge, Solution, Trial};
pub use score::{Baseline, Scored, Scorer};
pub use sparse::SparseRows;
pub use sparse_ridge::{SparseProbe, SparseRidge};
pub use split::Split;
pub use store::{ProbeSet, ProbeSetAbout, StoredProbe, StreamMoments};
