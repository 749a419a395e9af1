//! Linear readers of the stream: fitting, scoring, baselines, saving.
//!
//! - `probe`: the fitted reader: [`Probe`]
//! - `ridge/`: the fit itself, its penalty chosen by leave-one-out error
//! - `readers`: other readers, one file each
//! - `metrics/`: scores and their intervals
//! - `split`, `folds`, `columns`: training and test entities; what is fitted to each fold's; what entities have in a
//!   column
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
mod blind;
mod centroid;
mod classes;
mod columns;
mod compare;
#[cfg(test)]
mod fixture;
mod folds;
mod leakage;
mod metrics;
mod names;
mod part;
mod probe;
mod readers;
mod ridge;
mod rows;
mod score;
mod sparse;
mod sparse_ridge;
mod split;
mod store;
mod student;
mod transfer;
mod units;

pub use alignment::{
    cosine, cosines_of_datasets, cosines_of_layers, cosines_of_targets, participation, participation_rows,
};
pub use centroid::Centroids;
pub use classes::Classes;
pub use columns::labels;
pub use compare::{Drawn, compare};
pub use leakage::{Leakage, Near};
pub use metrics::{
    Bootstrap, EARTH_RADIUS_KM, Interval, Kendall, Metrics, SamplingUnits, Spearman, great_circle_km,
    kendall, mae, mean_km, median_km, pearson, pearson_counted, place_of_prediction, r2, r2_by_target,
    r2_counted, r2_over, spearman,
};
pub use names::{NAME_COLUMNS, name_features};
pub use part::{Part, Parts};
pub use probe::Probe;
pub use readers::{CLASSIFIERS, ClassTraining, Classifier, Fact, Method, READERS, Reader, Reading, Training};
pub use ridge::{Decomposition, Edge, PenaltyGrid, Ridge, Solution, Trial};
pub use score::{Baseline, Beside, Scored, Scorer};
pub use sparse::SparseRows;
pub use sparse_ridge::{SparseProbe, SparseRidge};
pub use split::{Fold, Split, SplitPlan};
pub use store::{ProbeSet, ProbeSetAbout, StoredProbe, StreamMoments};
pub use transfer::{Transfer, joined, stacked};
pub use units::{RankCorrelation, correlate_units, false_discovery, unit_means};
