//! The trait of regressors: trains on numeric targets of training entities and predicts those of test entities.

use crate::datasets::TargetKind;
use crate::error::{Error, Result};
use crate::probes::probe::Probe;
use crate::probes::ridge::{Decomposition, PenaltyGrid};
use ndarray::{Array2, ArrayView2};
use std::fmt::Debug;

/// The training data of a regressor, and the entities that it predicts.
pub struct RegressionTask<'a> {
    /// The decomposed training activations.
    pub decomposition: &'a Decomposition<'a>,
    /// The activation of every entity, `[n_entities, d_model]`.
    pub activations: ArrayView2<'a, f32>,
    /// The training entities.
    pub train: &'a [usize],
    /// The targets of the training entities, `[n_train, n_targets]`.
    pub targets: &'a Array2<f64>,
    /// The kind of the targets.
    pub kind: &'a TargetKind,
    /// The entities to predict.
    pub test: &'a [usize],
    /// The penalties to try.
    pub grid: &'a PenaltyGrid,
    /// The seed of random draws.
    pub seed: u64,
    /// The number after the method's name and a colon, as in `circle:12`.
    pub option: Option<f64>,
}

impl RegressionTask<'_> {
    /// The predictions of a probe for the test entities.
    pub(super) fn predictions(&self, probe: &Probe) -> Array2<f64> {
        probe.predict_rows(self.activations, self.test)
    }
}

/// The predictions of one method for the test entities.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodPredictions {
    /// The method, as result rows name it.
    pub method: String,
    /// The prediction for each of [`RegressionTask::test`] in the targets' unit, `[n_test, n_targets]`.
    pub values: Array2<f64>,
    /// Statistics of the fit.
    pub statistics: Vec<FitStatistic>,
}

impl MethodPredictions {
    /// Predictions without statistics.
    pub(super) fn of(method: impl Into<String>, values: Array2<f64>) -> MethodPredictions {
        MethodPredictions { method: method.into(), values, statistics: Vec::new() }
    }
}

/// A statistic of a fit; becomes a result row with split `train`.
#[derive(Debug, Clone, PartialEq)]
pub struct FitStatistic {
    /// The statistic, as result rows name it.
    pub metric: &'static str,
    /// The target of the fit.
    pub target: String,
    /// The value.
    pub value: f64,
    /// The range in which the value was searched; the value itself if it was not searched.
    pub range: (f64, f64),
}

/// A target that is an angle: values that differ by the period are the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Circle {
    /// The position of the target.
    pub target: usize,
    /// The period, in the target's unit.
    pub period: f64,
}

/// A regressor with the number after its name and a colon.
#[derive(Debug, Clone, Copy)]
pub struct ChosenRegressor {
    /// The regressor.
    pub regressor: &'static dyn Regressor,
    /// The number.
    pub option: Option<f64>,
}

impl From<&'static dyn Regressor> for ChosenRegressor {
    fn from(regressor: &'static dyn Regressor) -> ChosenRegressor {
        ChosenRegressor { regressor, option: None }
    }
}

impl ChosenRegressor {
    /// [`Regressor::check`] with the number.
    ///
    /// # Errors
    /// Those of the regressor.
    pub fn check(&self, kind: &TargetKind) -> Result<()> {
        self.regressor.check(kind, self.option)
    }

    /// [`Regressor::circle`] with the number.
    pub fn circle(&self, kind: &TargetKind) -> Option<Circle> {
        self.regressor.circle(kind, self.option)
    }
}

/// Trains on activations with numeric targets and predicts those of test entities.
pub trait Regressor: Debug + Sync {
    /// The name on the command line.
    fn name(&self) -> &'static str;

    /// A short description for help texts.
    fn about(&self) -> &'static str;

    /// Checks that the method suits a kind of targets, and takes the number after its name and a colon, if there is one.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the method.
    fn check(&self, _kind: &TargetKind, option: Option<f64>) -> Result<()> {
        match option {
            None => Ok(()),
            Some(_) => Err(Error::invalid(
                format!("--method {}", self.name()),
                "a number after its name",
                format!("`{}`, which takes no number", self.name()),
            )),
        }
    }

    /// The circle on which the method predicts, if it does.
    fn circle(&self, _kind: &TargetKind, _option: Option<f64>) -> Option<Circle> {
        None
    }

    /// Fits and predicts; a regressor with several variants, such as numbers of components, returns predictions for
    /// each.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a kind of target that the method cannot predict.
    fn fit_predict(&self, task: &RegressionTask) -> Result<Vec<MethodPredictions>>;
}
