//! Scores of predictions, one file per metric, and their intervals.
//!
//! - `r2`, `pearson`, `spearman`, `kendall`, `absolute_error`: scores of numbers
//! - `place_error`, `proximity`: scores of places; `great_circle` has the distances, `kd_tree` and `unit_sphere`
//!   the geometry
//! - `paper_distance`: the distances of the paper's reference code, for comparison
//! - `class_scores`: scores of classes
//! - `ranked`: scores of the order of rows by a score of two classes: AUROC, average precision
//! - `log_loss`: scores of the probabilities of classes
//! - `circular`: scores of an angle
//! - `predicted`, `score`: the input of every metric, and its result as a function of a resample
//! - `bootstrap`: 95 % intervals, over entities or groups of entities; `t_distribution` widens them for few
//! - `holm`: several hypotheses at once
//! - `resamples`: several resamples as counts; `counted`, `ranks`, `quantiles`: their sums, ranks and medians
//!
//! To add a metric: its file with a function `scores`, its `mod` line and its entry in [`METRICS`] or
//! [`CLASS_METRICS`] here.

mod absolute_error;
mod bootstrap;
mod circular;
mod class_scores;
mod counted;
mod great_circle;
mod holm;
mod kd_tree;
mod kendall;
mod log_loss;
mod paper_distance;
mod pearson;
mod place_error;
mod predicted;
mod proximity;
mod quantiles;
mod r2;
mod ranked;
mod ranks;
mod resamples;
mod score;
mod spearman;
mod t_distribution;
mod unit_sphere;

pub use absolute_error::mae;
pub(super) use bootstrap::single_counts;
pub use bootstrap::{Bootstrap, Interval, SamplingUnits};
pub(super) use circular::{circular_scores, wrapped};
pub(super) use class_scores::{ClassMetric, OfTwo, PredictedClasses};
pub(super) use counted::mean;
pub use great_circle::{EARTH_RADIUS_KM, great_circle_km, mean_km, median_km, place_of_prediction};
pub(super) use holm::rejected_by_holm;
pub(super) use kd_tree::KdTree;
pub use kendall::{Kendall, kendall};
pub(super) use log_loss::{ClassLosses, class_gains, log_loss_scores};
pub use pearson::{pearson, pearson_counted};
pub use predicted::Metrics;
pub(super) use predicted::{Metric, Predicted};
pub(super) use quantiles::interpolated;
pub(super) use r2::{gain, scores as r2_scores, selectivity};
pub use r2::{r2, r2_by_target, r2_counted, r2_over};
pub(super) use score::{TargetScore, values, values_of_each};
pub use spearman::{Spearman, spearman};
pub(super) use t_distribution::two_sided;
pub(super) use unit_sphere::{Point, on_sphere, point_of};

/// The metrics of numbers and places, in the order of the result rows.
pub(super) const METRICS: [Metric; 8] = [
    r2::scores,
    pearson::scores,
    spearman::scores,
    kendall::scores,
    absolute_error::scores,
    place_error::scores,
    proximity::scores,
    paper_distance::scores,
];

/// The metrics of classes, in the order of the result rows.
pub(super) const CLASS_METRICS: [ClassMetric; 5] = [
    class_scores::accuracy,
    class_scores::balanced_accuracy,
    class_scores::macro_f1,
    ranked::auroc,
    ranked::average_precision,
];
