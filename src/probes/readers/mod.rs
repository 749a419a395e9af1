//! Regressors and classifiers in addition to the ridge probe, one file each, chosen by name.
//!
//! - `ols`: least squares without a penalty
//! - `components`: ridge on the first principal components
//! - `elastic_net`: ridge with zero weights for some columns of the stream
//! - `mlp`: a perceptron with one hidden layer, as a test for non-linear structure
//! - `sphere`: a place as a point in space, without a seam at 180°
//! - `rank`: the order of the values instead of their size
//! - `logistic`, `mean_difference`: classes of a column
//! - `regressor`, `classifier`: the traits that they implement; `scale` is shared by some of them
//!
//! To add one: its file, its `mod` line and its entry in [`REGRESSORS`] or [`CLASSIFIERS`] here.

mod classifier;
mod components;
mod elastic_net;
mod logistic;
mod mean_difference;
mod mlp;
mod ols;
mod rank;
mod regressor;
mod scale;
mod sphere;

pub use classifier::{ClassificationTask, Classifier};
pub use regressor::{FitStatistic, MethodPredictions, RegressionTask, Regressor};

/// The regressors.
pub const REGRESSORS: [&dyn Regressor; 6] = [
    &ols::LeastSquares,
    &components::Components,
    &elastic_net::ElasticNet,
    &mlp::Perceptron,
    &sphere::Sphere,
    &rank::Rank,
];

/// The classifiers.
pub const CLASSIFIERS: [&dyn Classifier; 2] = [&logistic::Logistic, &mean_difference::MeanDifference];

#[cfg(test)]
mod tests;
