//! Linear probes of the stream: fits, scores, baselines, and probes on disk.
//!
//! - `probe`: the fitted linear map: [`Probe`]
//! - `ridge/`: its fit, with exact leave-one-out errors: [`Ridge`], [`Decomposition`]
//! - `readers/`: other regressors, and classifiers: [`Regressor`], [`Classifier`]
//! - `splits/`: training and test entities, transfer and leakage: [`Split`]
//! - `metrics/`: scores of predictions and their intervals
//! - `baselines/`: predictions without a model: [`BASELINES`]
//! - `text/`: text baselines, and fits of text and activations together: [`TextKind`]
//! - `strata/`: parts of the test entities, by rank, tokens, script or group: [`Strata`]
//! - `scorer/`: fits and scores at one hook point, with baselines: [`Scorer`]
//! - `selection`: the choice of the hook point to report: [`best_point`]
//! - `verdict`: do the activations predict more than the text alone: [`TextVerdict`]
//! - `saved/`: probes on disk: [`ProbeSet`]
//! - `analysis/`: comparisons, participation ratios, cosines, unit correlations
//! - `classes`, `targets`: the classes and the numbers to predict
//! - `lbfgs`: minimisation of smooth convex functions

mod analysis;
mod baselines;
mod classes;
#[cfg(test)]
mod fixture;
mod lbfgs;
mod metrics;
mod probe;
mod readers;
mod ridge;
mod saved;
mod scorer;
mod selection;
mod splits;
mod strata;
mod targets;
mod text;
mod verdict;

pub use analysis::{
    RankCorrelation, ResampledUnits, Resampling, compare, correlate_units, cosine, cosines_of_datasets,
    cosines_of_layers, cosines_of_targets, false_discovery, participation, participation_rows, unit_means,
};
pub use baselines::{
    BASELINES, BaselineData, CLASS_BASELINES, Centroids, ClassBaseline, ClassPredictor, GroupCentroid,
    Majority, ModelFreeBaseline, NAME_COLUMNS, NamesOnly, Predictor, SparseProbe, SparseRidge, SparseRows,
    name_features,
};
pub use classes::{ClassPredictions, Classes};
pub use metrics::{
    Bootstrap, EARTH_RADIUS_KM, Interval, Kendall, Metrics, SamplingUnits, Spearman, great_circle_km,
    kendall, mae, mean_km, median_km, pearson, pearson_counted, place_of_prediction, r2, r2_by_target,
    r2_counted, r2_over, spearman,
};
pub use probe::Probe;
pub use readers::{
    CLASSIFIERS, ChosenRegressor, Circle, ClassificationTask, Classifier, FitStatistic, MethodPredictions,
    REGRESSORS, RegressionTask, Regressor,
};
pub use ridge::{Decomposition, Edge, MapRows, PenaltyGrid, Ridge, Solution, StreamMap, Trial};
pub use saved::{
    PROBES_FILE, PartialProbe, PartialProbes, ProbeSet, ProbeSetAbout, StoredProbe, StreamMoments,
};
pub use scorer::{Baselines, Method, ScoredBaseline, ScoredProbe, Scorer, TextScores};
pub use selection::{best_point, test_r2};
pub use splits::{Fold, Leakage, Near, Split, SplitDataset, SplitPlan, Transfer, joined, stacked};
pub use strata::{LEAST_ENTITIES, MostOfSurplus, Strata, StrataFinding, script_of};
pub use text::TextKind;
pub use verdict::{ClassVerdict, MARGIN, Surplus, TextVerdict};
