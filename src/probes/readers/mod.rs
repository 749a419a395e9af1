//! Other readers than the ridge probe: one file each, chosen by name.
//!
//! - `ols`: least squares without a penalty
//! - `components`: ridge on the first principal components
//! - `elastic_net`: ridge that may leave columns of the stream out
//! - `mlp`: a perceptron with one hidden layer, to see what a straight line misses
//! - `sphere`: a place as a point in space, which has no seam
//! - `rank`: the order of the values, not their size
//! - `logistic`, `mean_difference`: which class of a column an entity belongs to
//!
//! To add one: its file, its `mod` line and its entry in [`READERS`] or [`CLASSIFIERS`] here.

mod components;
mod elastic_net;
mod logistic;
mod mean_difference;
mod mlp;
mod ols;
mod rank;
mod sphere;

use super::probe::Probe;
use super::ridge::{Decomposition, PenaltyGrid};
use crate::datasets::TargetKind;
use crate::error::{Error, Result};
use ndarray::{Array1, Array2, ArrayView2};
use std::fmt::Debug;

/// The readers of targets.
pub const READERS: [&dyn Reader; 6] = [
    &ols::LeastSquares,
    &components::Components,
    &elastic_net::ElasticNet,
    &mlp::Perceptron,
    &sphere::Sphere,
    &rank::Rank,
];

/// The readers of classes.
pub const CLASSIFIERS: [&dyn Classifier; 2] = [&logistic::Logistic, &mean_difference::MeanDifference];

/// What a reader of targets learns from, and what it is to read.
pub struct Training<'a> {
    /// The training activations, decomposed.
    pub decomposition: &'a Decomposition<'a>,
    /// Every entity's activation, `[n_entities, d_model]`.
    pub activations: ArrayView2<'a, f32>,
    /// The entities that are learnt from.
    pub train: &'a [usize],
    /// Their targets, `[n_train, n_targets]`.
    pub targets: &'a Array2<f64>,
    /// What the targets are.
    pub kind: &'a TargetKind,
    /// The entities that are read.
    pub reads: &'a [usize],
    /// The penalties to try.
    pub grid: &'a PenaltyGrid,
    /// Seeds what is drawn.
    pub seed: u64,
}

/// What one method read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The method, as result rows name it.
    pub method: String,
    /// A reading for each of [`Training::reads`], in the targets' unit, `[n_reads, n_targets]`.
    pub values: Array2<f64>,
    /// What else is to be told of the fit.
    pub facts: Vec<Fact>,
}

impl Reading {
    fn of(method: impl Into<String>, values: Array2<f64>) -> Reading {
        Reading { method: method.into(), values, facts: Vec::new() }
    }
}

/// A number about a fit, which result rows give under split `train`.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// What it is, as result rows name it.
    pub metric: &'static str,
    /// The target that it is about.
    pub target: String,
    /// The number.
    pub value: f64,
    /// Between which ends it was chosen; the number itself where there was no choice.
    pub tried: (f64, f64),
}

/// Fits something to training activations and reads other entities with it.
pub trait Reader: Debug + Sync {
    /// What the command line calls it.
    fn name(&self) -> &'static str;

    /// What it is, in a few words.
    fn about(&self) -> &'static str;

    /// Fits and reads; a reader may come in several sizes, each a reading of its own.
    ///
    /// # Errors
    /// [`Error::Invalid`] for targets that it cannot read.
    fn read(&self, training: &Training) -> Result<Vec<Reading>>;
}

/// What a reader of classes learns from, and what it is to read.
pub struct ClassTraining<'a> {
    /// Every entity's activation, `[n_entities, d_model]`.
    pub activations: ArrayView2<'a, f32>,
    /// The entities that are learnt from.
    pub train: &'a [usize],
    /// Their classes, below `n_classes`, of which at least two occur.
    pub classes: &'a [usize],
    /// How many classes there are.
    pub n_classes: usize,
    /// The entities that are read.
    pub reads: &'a [usize],
}

/// Fits something to the classes of training activations and names the classes of other entities.
pub trait Classifier: Debug + Sync {
    /// What the command line calls it.
    fn name(&self) -> &'static str;

    /// What it is, in a few words.
    fn about(&self) -> &'static str;

    /// Fits, and names a class for each of [`ClassTraining::reads`].
    ///
    /// # Errors
    /// What the fit cannot do.
    fn classify(&self, training: &ClassTraining) -> Result<Vec<usize>>;
}

/// A method by its name.
#[derive(Debug, Clone, Copy)]
pub enum Method {
    /// The ridge probe, which is always fitted.
    Ridge,
    /// A reader of targets.
    Reader(&'static dyn Reader),
    /// A reader of classes.
    Classifier(&'static dyn Classifier),
}

impl Method {
    /// Finds a method.
    ///
    /// # Errors
    /// [`Error::Invalid`] listing the methods there are.
    pub fn find(name: &str) -> Result<Method> {
        let reader = || READERS.into_iter().find(|reader| reader.name() == name).map(Method::Reader);
        let classifier = || CLASSIFIERS.into_iter().find(|c| c.name() == name).map(Method::Classifier);
        let found = if name == "ridge" { Some(Method::Ridge) } else { reader().or_else(classifier) };
        found.ok_or_else(|| {
            let of_targets = READERS.map(|reader| reader.name()).join(", ");
            let of_classes = CLASSIFIERS.map(|classifier| classifier.name()).join(", ");
            let expected = format!("ridge, {of_targets}, or with --classes {of_classes}");
            Error::invalid("--method", name, expected)
        })
    }
}

impl Training<'_> {
    /// What a probe reads for the entities that are read.
    fn readings(&self, probe: &Probe) -> Array2<f64> {
        probe.readings_of(self.activations, self.reads)
    }
}

/// Mean and spread of each column over some rows, to put columns on one scale; a still column has spread 1.
struct Scale {
    mean: Array1<f64>,
    spread: Array1<f64>,
}

impl Scale {
    /// # Shapes
    /// `rows` of `[n_entities, width]`.
    fn of(values: ArrayView2<f32>, rows: &[usize]) -> Scale {
        let (n, width) = (rows.len() as f64, values.ncols());
        let wide = |i: &usize| values.row(*i).mapv(f64::from);
        let mean = rows.iter().fold(Array1::zeros(width), |sum, i| sum + wide(i)) / n;
        let squares = |sum: Array1<f64>, i: &usize| {
            let from_mean = wide(i) - &mean;
            sum + &from_mean * &from_mean
        };
        let variance: Array1<f64> = rows.iter().fold(Array1::zeros(width), squares) / n;
        Scale { mean, spread: variance.mapv(|v| if v > 0.0 { v.sqrt() } else { 1.0 }) }
    }

    /// Some rows on the common scale, `[n_rows, width]`.
    fn apply(&self, values: ArrayView2<f32>, rows: &[usize]) -> Array2<f64> {
        let mut scaled = Array2::zeros((rows.len(), values.ncols()));
        for (mut row, &i) in scaled.rows_mut().into_iter().zip(rows) {
            row.assign(&((values.row(i).mapv(f64::from) - &self.mean) / &self.spread));
        }
        scaled
    }
}

#[cfg(test)]
mod tests;
