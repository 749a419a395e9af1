//! Regressors and classifiers in addition to the ridge probe, one file per method, chosen by name.
//!
//! - `ols`: least squares without a penalty
//! - `components`: ridge on the first principal components
//! - `elastic_net`: ridge that sets the weights of some dimensions to 0; `descent` finds its weights
//! - `mlp`: a perceptron with one hidden layer, as a test for non-linear structure
//! - `sphere`: a place as a point in space, without a jump at 180°
//! - `circle`: a longitude, or a number with a period, as an angle
//! - `rank`: the ranks of the values instead of the values
//! - `time`: logarithms of years, and years that are stretched where they are dense
//! - `sparse`: the best few dimensions
//! - `logistic`, `mean_difference`: classifiers
//! - `regressor`, `classifier`: the traits of the methods; `scale` standardises columns for them
//!
//! To add a method: its file, its `mod` line and its entry in [`REGRESSORS`] or [`CLASSIFIERS`] here.

mod circle;
mod classifier;
mod components;
mod descent;
mod elastic_net;
mod logistic;
mod mean_difference;
mod mlp;
mod ols;
mod rank;
mod regressor;
mod scale;
mod sparse;
mod sphere;
mod time;

pub use classifier::{ClassificationTask, Classifier};
pub use regressor::{ChosenRegressor, Circle, FitStatistic, MethodPredictions, RegressionTask, Regressor};

/// The regressors.
pub const REGRESSORS: [&dyn Regressor; 10] = [
    &ols::LeastSquares,
    &components::Components,
    &elastic_net::ElasticNet,
    &mlp::Perceptron,
    &sphere::Sphere,
    &rank::Rank,
    &circle::OnCircle,
    &time::LogTime,
    &time::PiecewiseTime,
    &sparse::KSparse,
];

/// The classifiers.
pub const CLASSIFIERS: [&dyn Classifier; 2] = [&logistic::Logistic, &mean_difference::MeanDifference];

#[cfg(test)]
mod tests;
