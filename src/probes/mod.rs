//! Linear readers of the stream: fitting, scoring, baselines, saving.
//!
//! - `probe`: the fitted reader: [`Probe`]
//! - `decomposition`: one decomposition of the activations for everything fitted to them: `moments` of the rows, whose
//!   `reduction` to a `band` is `middle` of it; `symmetric` has the products
//! - `ridge`: the fit itself, its penalty chosen by `leave_one_out` error, which is a `walk` along the band
//! - `readers`: other readers, one file each
//! - `metrics`, `kendall`: R², correlations, absolute error
//! - `geometry`, `points`: great-circle distances, and how many points are nearer than a distance
//! - `paper`: the distances of the paper's reference code, for comparison
//! - `measure`: the scores that a kind of target asks for
//! - `bootstrap`: 95 % intervals, over entities or groups of them
//! - `split`, `folds`: training and test entities; what is fitted to each fold's
//! - `transfer`: learning from one dataset or prompt, and reading another
//! - `leakage`: test entities that stand in the training entities already
//! - `names`, `centroid`, `blind`: the baselines that read no model
//! - `sparse`, `sparse_ridge`: the fit to very many columns of mostly zeros that names need
//! - `score`: everything above for one hook point: [`Scorer`]; `classes` for classes, `rows` as result rows
//! - `compare`: paired differences of two ways to read the same entities
//! - `alignment`: participation ratios, and angles between probes
//! - `units`, `student`: which neurons follow a target, and how sure that is
//! - `store`: probes on disk: [`ProbeSet`]
//! - `part`: hook points fitted apart, until they are merged: [`Parts`]

mod alignment;
mod band;
mod blind;
mod bootstrap;
mod centroid;
mod classes;
mod compare;
mod decomposition;
#[cfg(test)]
mod fixture;
mod folds;
mod geometry;
mod kendall;
mod leakage;
mod leave_one_out;
mod measure;
mod metrics;
mod middle;
mod moments;
mod names;
mod paper;
mod part;
mod points;
mod probe;
mod readers;
mod reduction;
mod ridge;
mod rows;
mod score;
mod sparse;
mod sparse_ridge;
mod split;
mod store;
mod student;
mod symmetric;
mod transfer;
mod units;
mod walk;

pub use alignment::{
    cosine, cosines_of_datasets, cosines_of_layers, cosines_of_targets, participation, participation_rows,
};
pub use bootstrap::{Bootstrap, Interval, Units};
pub use centroid::Centroids;
pub use classes::Classes;
pub use compare::{Drawn, compare};
pub use decomposition::Decomposition;
pub use geometry::{EARTH_RADIUS_KM, great_circle_km, mean_km, median_km, place_of_reading};
pub use kendall::{Kendall, kendall};
pub use leakage::{Leakage, Near};
pub use measure::Metrics;
pub use metrics::{Spearman, mae, pearson, pearson_counted, r2, r2_by_target, r2_counted, r2_over, spearman};
pub use names::{NAME_COLUMNS, name_features};
pub use part::{Part, Parts};
pub use probe::Probe;
pub use readers::{CLASSIFIERS, ClassTraining, Classifier, Fact, Method, READERS, Reader, Reading, Training};
pub use ridge::{Edge, PenaltyGrid, Ridge, Solution, Trial};
pub use score::{Baseline, Beside, Scored, Scorer};
pub use sparse::SparseRows;
pub use sparse_ridge::{SparseProbe, SparseRidge};
pub use split::{Fold, Split, SplitPlan};
pub use store::{ProbeSet, ProbeSetAbout, StoredProbe, StreamMoments};
pub use transfer::{Transfer, joined, stacked};
pub use units::{RankCorrelation, correlate_units, false_discovery, unit_means};
