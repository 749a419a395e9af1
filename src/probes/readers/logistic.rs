//! Logistic regression to two classes or more.

use super::{ClassTraining, Classifier, Scale};
use crate::error::{Error, Result};
use linfa::DatasetBase;
use linfa::traits::{Fit, Predict};
use linfa_logistic::{LogisticRegression, MultiLogisticRegression};
use ndarray::{Array1, Array2};

/// The penalty on the squared weights of columns on one scale; scikit-learn's `C = 1`.
const PENALTY: f64 = 1.0;
/// The gradient at which the fit is done.
const TOLERANCE: f64 = 1e-5;
/// More steps than this help no more.
const MAX_STEPS: u64 = 300;

/// Logistic regression with a penalty on the squared weights, on columns put on one scale.
///
/// Two classes share one set of weights; of more, each has its own (multinomial).
#[derive(Debug)]
pub(super) struct Logistic;

impl Classifier for Logistic {
    fn name(&self) -> &'static str {
        "logistic"
    }

    fn about(&self) -> &'static str {
        "logistic regression"
    }

    fn classify(&self, training: &ClassTraining) -> Result<Vec<usize>> {
        let ClassTraining { activations, train, classes, reads, .. } = training;
        let scale = Scale::of(*activations, train);
        let classes = Array1::from_vec(classes.to_vec());
        let seen = DatasetBase::new(scale.apply(*activations, train), classes);
        let unseen = scale.apply(*activations, reads);
        let classes = if occurring(seen.targets()) == 2 { two(&seen, &unseen) } else { more(&seen, &unseen) };
        Ok(classes?.to_vec())
    }
}

fn occurring(classes: &Array1<usize>) -> usize {
    classes.iter().collect::<std::collections::HashSet<_>>().len()
}

type Seen = DatasetBase<Array2<f64>, Array1<usize>>;

fn two(seen: &Seen, unseen: &Array2<f64>) -> Result<Array1<usize>> {
    let settings =
        LogisticRegression::default().alpha(PENALTY).gradient_tolerance(TOLERANCE).max_iterations(MAX_STEPS);
    Ok(settings.fit(seen).map_err(fault)?.predict(unseen))
}

fn more(seen: &Seen, unseen: &Array2<f64>) -> Result<Array1<usize>> {
    let settings = MultiLogisticRegression::default()
        .alpha(PENALTY)
        .gradient_tolerance(TOLERANCE)
        .max_iterations(MAX_STEPS);
    Ok(settings.fit(seen).map_err(fault)?.predict(unseen))
}

fn fault(error: linfa_logistic::error::Error) -> Error {
    Error::Internal(format!("logistic regression: {error}"))
}
