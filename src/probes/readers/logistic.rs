//! Logistic regression for two or more classes.

use super::classifier::{ClassificationTask, Classifier};
use super::scale::Scale;
use crate::error::{Error, Result};
use linfa::DatasetBase;
use linfa::traits::{Fit, Predict};
use linfa_logistic::{LogisticRegression, MultiLogisticRegression};
use ndarray::{Array1, Array2};

/// The penalty on the squared weights of standardised columns, as scikit-learn's default `C = 1`.
const PENALTY: f64 = 1.0;
/// The gradient norm at which the fit stops.
const TOLERANCE: f64 = 1e-5;
/// Maximum number of steps of the fit.
const MAX_STEPS: u64 = 300;

/// Logistic regression on standardised columns, with a penalty on the squared weights.
///
/// Two classes share one set of weights; with more classes, each has its own weights (multinomial).
#[derive(Debug)]
pub(super) struct Logistic;

impl Classifier for Logistic {
    fn name(&self) -> &'static str {
        "logistic"
    }

    fn about(&self) -> &'static str {
        "logistic regression"
    }

    fn classify(&self, task: &ClassificationTask) -> Result<Vec<usize>> {
        let ClassificationTask { activations, train, classes, test, .. } = task;
        let scale = Scale::of(*activations, train);
        let classes = Array1::from_vec(classes.to_vec());
        let train = DatasetBase::new(scale.apply(*activations, train), classes);
        let test = scale.apply(*activations, test);
        let classes = if n_occurring(train.targets()) == 2 {
            binary(&train, &test)
        } else {
            multinomial(&train, &test)
        };
        Ok(classes?.to_vec())
    }
}

/// The number of different classes among the rows.
fn n_occurring(classes: &Array1<usize>) -> usize {
    classes.iter().collect::<std::collections::HashSet<_>>().len()
}

/// Rows with their classes.
type Labelled = DatasetBase<Array2<f64>, Array1<usize>>;

fn binary(train: &Labelled, test: &Array2<f64>) -> Result<Array1<usize>> {
    let settings =
        LogisticRegression::default().alpha(PENALTY).gradient_tolerance(TOLERANCE).max_iterations(MAX_STEPS);
    Ok(settings.fit(train).map_err(fault)?.predict(test))
}

fn multinomial(train: &Labelled, test: &Array2<f64>) -> Result<Array1<usize>> {
    let settings = MultiLogisticRegression::default()
        .alpha(PENALTY)
        .gradient_tolerance(TOLERANCE)
        .max_iterations(MAX_STEPS);
    Ok(settings.fit(train).map_err(fault)?.predict(test))
}

fn fault(error: linfa_logistic::error::Error) -> Error {
    Error::Internal(format!("logistic regression: {error}"))
}
