//! Elastic net: ridge with an additional penalty on absolute weights, which sets some weights to exactly 0.
//!
//! On standardised columns it minimises `‖y − Xw − b‖² / 2n + λ (½ ‖w‖₁ + ¼ ‖w‖²)`, for which only the means of
//! products `XᵀX / n` and `Xᵀy / n` are needed; `descent` finds the minimum.

use super::descent::{Descent, L1_RATIO, Stopping};
use super::regressor::{FitStatistic, MethodPredictions, RegressionTask, Regressor};
use crate::error::{Error, Result};
use crate::probes::probe::Probe;
use crate::probes::ridge::{ActivationRows, Moments};
use crate::results::PENALTY;
use ndarray::{Array1, Array2, ArrayView2, Axis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// The number of cross-validation folds of the training rows.
const N_FOLDS: usize = 5;
/// The ratio of a penalty to the one before it: half a decade lower.
const STEP: f64 = 0.316_227_766_016_837_94;
/// Maximum number of steps below the least penalty that sets every weight to 0.
const MOST_STEPS: usize = 12;
/// The search ends after this number of consecutive penalties that are worse than the best.
const WORSE: usize = 2;

const STOPPING: Stopping = Stopping { gap: 1e-6, sweeps: 20_000 };

/// Elastic net by coordinate descent; the penalty of each target is chosen by five-fold cross-validation on the
/// training rows.
///
/// # Source
/// J. Friedman, T. Hastie and R. Tibshirani, "Regularization paths for generalized linear models via coordinate
/// descent" (2010), section 2.2; penalty and duality gap as in scikit-learn's `ElasticNet`.
#[derive(Debug)]
pub(super) struct ElasticNet;

impl Regressor for ElasticNet {
    fn name(&self) -> &'static str {
        "elastic-net"
    }

    fn about(&self) -> &'static str {
        "ridge that can set weights to 0"
    }

    fn fit_predict(&self, task: &RegressionTask) -> Result<Vec<MethodPredictions>> {
        let activations = task.activations.as_standard_layout();
        let rows = TrainingRows::of(activations.view(), task.train, task.targets)?;
        let mut places: Vec<usize> = (0..task.train.len()).collect();
        places.shuffle(&mut ChaCha8Rng::seed_from_u64(task.seed));
        let n_folds = N_FOLDS.min(places.len());
        let fold = |first: usize| places.iter().copied().skip(first).step_by(n_folds).collect();
        let folds: Vec<Vec<usize>> = (0..n_folds).map(fold).collect();
        let fit = rows.fit(&folds, STOPPING)?;
        let targets = task.kind.names().into_iter().zip(&fit.paths).enumerate();
        let statistics = targets.flat_map(|(t, (target, path))| {
            let n_used = fit.probe.weights.row(t).iter().filter(|w| **w != 0.0).count() as f64;
            let statistic =
                |metric, value, range| FitStatistic { metric, target: target.to_string(), value, range };
            [
                statistic(PENALTY, path.penalty(path.best), (path.penalty(path.lowest), path.highest)),
                statistic("dimensions_used", n_used, (n_used, n_used)),
            ]
        });
        let statistics = statistics.collect();
        Ok(vec![MethodPredictions {
            statistics,
            ..MethodPredictions::of(self.name(), task.predictions(&fit.probe))
        }])
    }
}

/// The training rows.
struct TrainingRows<'a> {
    stored: ActivationRows<'a>,
    entities: &'a [usize],
    targets: &'a Array2<f64>,
    activations: ArrayView2<'a, f32>,
    moments: Moments,
}

/// A probe with the penalty path of each target.
struct Fitted {
    probe: Probe,
    paths: Vec<PenaltyPath>,
}

impl<'a> TrainingRows<'a> {
    fn of(
        activations: ArrayView2<'a, f32>,
        entities: &'a [usize],
        targets: &'a Array2<f64>,
    ) -> Result<TrainingRows<'a>> {
        let stored = stored(activations, entities)?;
        let moments = Moments::of(&stored)?;
        Ok(TrainingRows { stored, entities, targets, activations, moments })
    }

    /// Fits each target on all rows, at the penalty with the least error on the held-out folds.
    fn fit(&self, folds: &[Vec<usize>], stopping: Stopping) -> Result<Fitted> {
        let problem = NormalEquations::of(&self.moments, &self.stored, self.targets)?;
        let held_out =
            folds.par_iter().map(|fold| HeldOutFold::of(self, fold)).collect::<Result<Vec<_>>>()?;
        let targets: Vec<usize> = (0..self.targets.ncols()).collect();
        let found = targets.into_par_iter().map(|t| {
            let mut path = PenaltyPath::search(&problem, t, &held_out, stopping)?;
            let weights = path.follow(&problem, t, stopping);
            Ok((path, weights))
        });
        let found = found.collect::<Result<Vec<_>>>()?;
        let (paths, weights): (Vec<PenaltyPath>, Vec<Array1<f64>>) = found.into_iter().unzip();
        let rows: Vec<_> = weights.iter().map(|weights| weights.view()).collect();
        let weights = ndarray::stack(Axis(0), &rows).map_err(|e| Error::Internal(e.to_string()))?;
        let weights = weights / &problem.std_dev; // [n_targets, d_model]
        let bias = &problem.mean_target - &weights.dot(&problem.mean);
        // Each target has its own penalty, which its fit statistics report.
        Ok(Fitted { probe: Probe { weights, bias, penalty: f64::NAN }, paths })
    }
}

/// The stored activations at the given rows.
fn stored<'a>(activations: ArrayView2<'a, f32>, rows: &'a [usize]) -> Result<ActivationRows<'a>> {
    ActivationRows::of(activations, rows)
        .ok_or_else(|| Error::Internal("activations are not row-major".into()))
}

/// The penalties of one target, descending from the least penalty that sets every weight to 0.
struct PenaltyPath {
    highest: f64,
    best: usize,
    lowest: usize,
}

impl PenaltyPath {
    /// The penalty of a step.
    fn penalty(&self, step: usize) -> f64 {
        self.highest * STEP.powi(step as i32)
    }

    /// Lowers the penalty while the error on the held-out folds falls.
    fn search(
        problem: &NormalEquations,
        t: usize,
        held_out: &[HeldOutFold],
        stopping: Stopping,
    ) -> Result<PenaltyPath> {
        let mut path = PenaltyPath { highest: problem.highest(t), best: 0, lowest: 0 };
        let mut descents: Vec<Descent> = held_out.iter().map(|fold| fold.problem.descent(t)).collect();
        let mut least = f64::INFINITY;
        for step in 0..=MOST_STEPS {
            let penalty = path.penalty(step);
            let errors = descents.par_iter_mut().zip(held_out).map(|(descent, fold)| {
                descent.to(penalty, stopping).then(|| fold.squared_error(t, descent.weights())).transpose()
            });
            let errors: Option<Vec<f64>> = errors.collect::<Result<Vec<_>>>()?.into_iter().collect();
            let Some(errors) = errors else { break };
            path.lowest = step;
            let error = errors.iter().sum::<f64>();
            if error < least {
                (least, path.best) = (error, step);
            } else if step >= path.best + WORSE {
                break;
            }
        }
        Ok(path)
    }

    /// The weights of standardised columns at the best penalty. If a fit on the way to it does not converge, the
    /// last penalty whose fit converged becomes the best.
    fn follow(&mut self, problem: &NormalEquations, t: usize, stopping: Stopping) -> Array1<f64> {
        let mut descent = problem.descent(t);
        let mut weights = descent.weights().clone();
        for step in 0..=self.best {
            if !descent.to(self.penalty(step), stopping) {
                self.best = step.saturating_sub(1);
                break;
            }
            weights.assign(descent.weights());
        }
        weights
    }
}

/// A held-out fold, and the normal equations of the other rows.
struct HeldOutFold<'a> {
    problem: NormalEquations,
    activations: ArrayView2<'a, f32>,
    /// The held-out rows.
    entities: Vec<usize>,
    /// The targets of the held-out rows, minus the mean target of the other rows.
    y: Array2<f64>,
}

impl<'a> HeldOutFold<'a> {
    fn of(rows: &TrainingRows<'a>, fold: &[usize]) -> Result<HeldOutFold<'a>> {
        let mut is_held_out = vec![false; rows.entities.len()];
        fold.iter().for_each(|&place| is_held_out[place] = true);
        let rest: Vec<usize> = (0..rows.entities.len()).filter(|&place| !is_held_out[place]).collect();
        let of_places = |places: &[usize]| places.iter().map(|&i| rows.entities[i]).collect::<Vec<usize>>();
        let (entities, train) = (of_places(fold), of_places(&rest));
        let train = stored(rows.activations.view(), &train)?;
        let moments = match rows.moments.without(&rows.stored, &entities)? {
            Some(moments) => moments,
            None => Moments::of(&train)?,
        };
        let problem = NormalEquations::of(&moments, &train, &rows.targets.select(Axis(0), &rest))?;
        let y = rows.targets.select(Axis(0), fold) - &problem.mean_target;
        Ok(HeldOutFold { problem, activations: rows.activations, entities, y })
    }

    /// The squared error on the held-out rows of weights of standardised columns.
    fn squared_error(&self, t: usize, weights: &Array1<f64>) -> Result<f64> {
        let NormalEquations { mean, std_dev, .. } = &self.problem;
        let weights = (weights / std_dev).insert_axis(Axis(0)); // [1, d_model]
        let predicted = stored(self.activations.view(), &self.entities)?.times_weights(mean, &weights)?;
        let errors = &predicted.column(0) - &self.y.column(t);
        Ok(errors.dot(&errors))
    }
}

/// The means of products of standardised columns: a fit needs nothing else from the rows.
struct NormalEquations {
    /// Mean products of pairs of columns, `[d_model, d_model]`.
    gram: Array2<f64>,
    /// Mean products of targets and columns, `[n_targets, d_model]`.
    cross: Array2<f64>,
    /// Mean squares of each target, `[n_targets]`.
    variance: Array1<f64>,
    mean: Array1<f64>,
    /// The standard deviation of each column, 1 for a constant column, `[d_model]`.
    std_dev: Array1<f64>,
    mean_target: Array1<f64>,
}

impl NormalEquations {
    fn of(moments: &Moments, stored: &ActivationRows, targets: &Array2<f64>) -> Result<NormalEquations> {
        let (d, n) = (moments.mean.len(), moments.n as f64);
        let variances = (0..d).map(|j| moments.gram[(j, j)] / n);
        let std_dev: Array1<f64> = variances.map(|v| if v > 0.0 { v.sqrt() } else { 1.0 }).collect();
        let gram = Array2::from_shape_fn((d, d), |(i, j)| {
            moments.gram[(i.max(j), i.min(j))] / (n * std_dev[i] * std_dev[j])
        });
        let mean_target = targets.sum_axis(Axis(0)) / n;
        let y = targets - &mean_target;
        let cross = stored.transposed_times(&moments.mean, &y)?.reversed_axes() / n / &std_dev;
        let variance = y.map_axis(Axis(0), |y| y.dot(&y) / n);
        Ok(NormalEquations { gram, cross, variance, mean: moments.mean.clone(), std_dev, mean_target })
    }

    /// The descent to the weights of one target, which begins at 0.
    fn descent(&self, t: usize) -> Descent<'_> {
        Descent::new(&self.gram, self.cross.row(t), self.variance[t])
    }

    /// The least penalty that sets every weight to 0.
    fn highest(&self, t: usize) -> f64 {
        self.cross.row(t).iter().fold(0.0, |most: f64, slope| most.max(slope.abs())) / L1_RATIO
    }
}

#[cfg(test)]
#[path = "elastic_net_tests.rs"]
mod tests;
