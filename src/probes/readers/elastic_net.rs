//! Elastic net: ridge that may also leave columns of the stream out.

use super::{Fact, Reader, Reading, Training};
use crate::error::{Error, Result};
use crate::probes::probe::Probe;
use crate::probes::ridge::{ActivationRows, Moments};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// How much of the penalty is on absolute values, which leaves columns out; the rest is on squares.
const L1_RATIO: f64 = 0.5;
/// Parts of the training rows, each of which is read once by a fit to the others.
const N_FOLDS: usize = 5;
/// From one penalty to the next lower one.
const STEP: f64 = 0.316_227_766_016_837_94;
/// Half decades below the penalty that leaves every column out.
const MOST_STEPS: usize = 12;
/// So many penalties in a row that do worse than the best end the search.
const WORSE: usize = 2;

/// When a fit is done.
#[derive(Debug, Clone, Copy)]
struct Until {
    /// The largest duality gap, as a share of the target's variance.
    gap: f64,
    /// Lower penalties than one that takes more sweeps over the columns are not tried.
    sweeps: usize,
}

const UNTIL: Until = Until { gap: 1e-6, sweeps: 20_000 };

/// Minimises `‖y − Xw − b‖² / 2n + penalty · (½ ‖w‖₁ + ¼ ‖w‖²)` on columns put on one scale; each target chooses its
/// penalty by its error on fifths of the training rows that were left out.
///
/// Coordinate descent on the products of columns: what a step costs does not depend on how many rows there are.
///
/// # Source
/// J. Friedman, T. Hastie and R. Tibshirani, "Regularization paths for generalized linear models via coordinate
/// descent" (2010), section 2.2; penalty and duality gap as scikit-learn's `ElasticNet` has them.
#[derive(Debug)]
pub(super) struct ElasticNet;

impl Reader for ElasticNet {
    fn name(&self) -> &'static str {
        "elastic-net"
    }

    fn about(&self) -> &'static str {
        "ridge that may also leave dimensions out"
    }

    fn read(&self, training: &Training) -> Result<Vec<Reading>> {
        let activations = training.activations.as_standard_layout();
        let rows = Rows::of(activations.view(), (training.train, training.targets))?;
        let mut places: Vec<usize> = (0..training.train.len()).collect();
        places.shuffle(&mut ChaCha8Rng::seed_from_u64(training.seed));
        let n_folds = N_FOLDS.min(places.len());
        let fold = |first: usize| places.iter().copied().skip(first).step_by(n_folds).collect();
        let folds: Vec<Vec<usize>> = (0..n_folds).map(fold).collect();
        let fit = rows.fit(&folds, UNTIL)?;
        let targets = training.kind.names().into_iter().zip(&fit.paths).enumerate();
        let facts = targets.flat_map(|(t, (target, path))| {
            let n_used = fit.probe.weights.row(t).iter().filter(|w| **w != 0.0).count() as f64;
            let fact = |metric, value, tried| Fact { metric, target: target.to_string(), value, tried };
            [
                fact("penalty", path.penalty(path.best), (path.penalty(path.lowest), path.highest)),
                fact("dimensions_used", n_used, (n_used, n_used)),
            ]
        });
        let facts = facts.collect();
        Ok(vec![Reading { facts, ..Reading::of(self.name(), training.readings(&fit.probe)) }])
    }
}

/// What is learnt from.
struct Rows<'a> {
    stored: ActivationRows<'a>,
    entities: &'a [usize],
    targets: &'a Array2<f64>,
    activations: ArrayView2<'a, f32>,
    moments: Moments,
}

/// A probe, and how far each target went to find its penalty.
struct Fitted {
    probe: Probe,
    paths: Vec<Path>,
}

impl<'a> Rows<'a> {
    fn of(
        activations: ArrayView2<'a, f32>,
        (entities, targets): (&'a [usize], &'a Array2<f64>),
    ) -> Result<Rows<'a>> {
        let stored = stored(activations, entities)?;
        let moments = Moments::of(&stored)?;
        Ok(Rows { stored, entities, targets, activations, moments })
    }

    /// Each target at the penalty that reads the folds best, learnt from all rows.
    fn fit(&self, folds: &[Vec<usize>], until: Until) -> Result<Fitted> {
        let problem = Problem::of(&self.moments, &self.stored, self.targets)?;
        let left_out = folds.par_iter().map(|fold| LeftOut::of(self, fold)).collect::<Result<Vec<_>>>()?;
        let targets: Vec<usize> = (0..self.targets.ncols()).collect();
        let found = targets.into_par_iter().map(|t| {
            let mut path = Path::search(&problem, (t, &left_out), until)?;
            let weights = path.walk(&problem, t, until);
            Ok((path, weights))
        });
        let found = found.collect::<Result<Vec<_>>>()?;
        let (paths, weights): (Vec<Path>, Vec<Array1<f64>>) = found.into_iter().unzip();
        let rows: Vec<_> = weights.iter().map(|weights| weights.view()).collect();
        let weights = ndarray::stack(Axis(0), &rows).map_err(|e| Error::Internal(e.to_string()))?;
        let weights = weights / &problem.spread; // [n_targets, d_model]
        let bias = &problem.mean_target - &weights.dot(&problem.mean);
        // Each target has a penalty of its own, and the facts beside the reading say which.
        Ok(Fitted { probe: Probe { weights, bias, penalty: f64::NAN }, paths })
    }
}

fn stored<'a>(activations: ArrayView2<'a, f32>, rows: &'a [usize]) -> Result<ActivationRows<'a>> {
    ActivationRows::of(activations, rows)
        .ok_or_else(|| Error::Internal("activations do not lie row after row".into()))
}

/// The penalties of one target, from the one that leaves every column out downwards.
struct Path {
    highest: f64,
    best: usize,
    lowest: usize,
}

impl Path {
    fn penalty(&self, step: usize) -> f64 {
        self.highest * STEP.powi(step as i32)
    }

    /// Goes down while the rows that were left out are read better.
    fn search(problem: &Problem, (t, left_out): (usize, &[LeftOut]), until: Until) -> Result<Path> {
        let mut path = Path { highest: problem.highest(t), best: 0, lowest: 0 };
        let mut descents: Vec<Descent> = left_out.iter().map(|fold| Descent::of(&fold.problem, t)).collect();
        let mut least = f64::INFINITY;
        for step in 0..=MOST_STEPS {
            let penalty = path.penalty(step);
            let errors = descents.par_iter_mut().zip(left_out).map(|(descent, fold)| {
                descent.to(penalty, until).then(|| fold.squared_error(t, &descent.weights)).transpose()
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

    /// The weights of columns on one scale at the best penalty; what is not done there is no fit, and the last one that
    /// was done becomes the best.
    fn walk(&mut self, problem: &Problem, t: usize, until: Until) -> Array1<f64> {
        let mut descent = Descent::of(problem, t);
        let mut weights = descent.weights.clone();
        for step in 0..=self.best {
            if !descent.to(self.penalty(step), until) {
                self.best = step.saturating_sub(1);
                break;
            }
            weights.assign(&descent.weights);
        }
        weights
    }
}

/// A fit to all rows but some, and those.
struct LeftOut<'a> {
    problem: Problem,
    activations: ArrayView2<'a, f32>,
    /// The rows that were left out.
    entities: Vec<usize>,
    /// Their targets, less the mean of the others.
    y: Array2<f64>,
}

impl<'a> LeftOut<'a> {
    fn of(rows: &Rows<'a>, fold: &[usize]) -> Result<LeftOut<'a>> {
        let mut is_out = vec![false; rows.entities.len()];
        fold.iter().for_each(|&place| is_out[place] = true);
        let rest: Vec<usize> = (0..rows.entities.len()).filter(|&place| !is_out[place]).collect();
        let of_places = |places: &[usize]| places.iter().map(|&i| rows.entities[i]).collect::<Vec<usize>>();
        let (entities, learnt) = (of_places(fold), of_places(&rest));
        let learnt = stored(rows.activations.view(), &learnt)?;
        let moments = match rows.moments.without(&rows.stored, &entities)? {
            Some(moments) => moments,
            None => Moments::of(&learnt)?,
        };
        let problem = Problem::of(&moments, &learnt, &rows.targets.select(Axis(0), &rest))?;
        let y = rows.targets.select(Axis(0), fold) - &problem.mean_target;
        Ok(LeftOut { problem, activations: rows.activations, entities, y })
    }

    /// Of what weights of columns on one scale read of the rows that were left out.
    fn squared_error(&self, t: usize, weights: &Array1<f64>) -> Result<f64> {
        let Problem { mean, spread, .. } = &self.problem;
        let weights = (weights / spread).insert_axis(Axis(0)); // [1, d_model]
        let read = stored(self.activations.view(), &self.entities)?.times_weights(mean, &weights)?;
        let errors = &read.column(0) - &self.y.column(t);
        Ok(errors.dot(&errors))
    }
}

/// What a fit needs to know of the rows, whose columns are put on one scale: means of products.
struct Problem {
    /// Of columns with each other, `[d_model, d_model]`.
    gram: Array2<f64>,
    /// Of targets with columns, `[n_targets, d_model]`.
    along: Array2<f64>,
    /// Of targets with themselves, `[n_targets]`.
    variance: Array1<f64>,
    mean: Array1<f64>,
    /// The spread of each column; 1 for a still one, `[d_model]`.
    spread: Array1<f64>,
    mean_target: Array1<f64>,
}

impl Problem {
    fn of(moments: &Moments, stored: &ActivationRows, targets: &Array2<f64>) -> Result<Problem> {
        let (d, n) = (moments.mean.len(), moments.n as f64);
        let variances = (0..d).map(|j| moments.gram[(j, j)] / n);
        let spread: Array1<f64> = variances.map(|v| if v > 0.0 { v.sqrt() } else { 1.0 }).collect();
        let gram = Array2::from_shape_fn((d, d), |(i, j)| {
            moments.gram[(i.max(j), i.min(j))] / (n * spread[i] * spread[j])
        });
        let mean_target = targets.sum_axis(Axis(0)) / n;
        let y = targets - &mean_target;
        let along = stored.transposed_times(&moments.mean, &y)?.reversed_axes() / n / &spread;
        let variance = y.map_axis(Axis(0), |y| y.dot(&y) / n);
        Ok(Problem { gram, along, variance, mean: moments.mean.clone(), spread, mean_target })
    }

    /// The least penalty that leaves every column out.
    fn highest(&self, t: usize) -> f64 {
        self.along.row(t).iter().fold(0.0, |most: f64, slope| most.max(slope.abs())) / L1_RATIO
    }
}

/// One target on its way from penalty to penalty.
struct Descent<'a> {
    gram: &'a Array2<f64>,
    along: ArrayView1<'a, f64>,
    variance: f64,
    /// The last penalty that it went to.
    penalty: f64,
    /// On columns of one scale, `[d_model]`.
    weights: Array1<f64>,
    /// The means of products of what is not read yet with each column, `[d_model]`.
    left: Array1<f64>,
}

impl<'a> Descent<'a> {
    fn of(problem: &'a Problem, t: usize) -> Descent<'a> {
        let along = problem.along.row(t);
        let weights = Array1::zeros(along.len());
        let variance = problem.variance[t];
        Descent {
            gram: &problem.gram,
            along,
            variance,
            penalty: f64::INFINITY,
            weights,
            left: along.to_owned(),
        }
    }

    /// From where it is to the fit at a penalty; whether that is as exact as is asked for.
    fn to(&mut self, penalty: f64, until: Until) -> bool {
        self.penalty = penalty;
        let enough = until.gap * self.variance;
        let all: Vec<usize> = (0..self.weights.len()).collect();
        let mut n_sweeps = 0;
        while n_sweeps < until.sweeps {
            self.sweep(&all);
            n_sweeps += 1;
            self.left = &self.along - &self.gram.dot(&self.weights); // Steps leave rounding behind.
            if self.gap() <= enough {
                return true;
            }
            let used: Vec<usize> = all.iter().copied().filter(|&j| self.weights[j] != 0.0).collect();
            while n_sweeps < until.sweeps && self.sweep(&used) > 0.01 * enough {
                n_sweeps += 1;
            }
        }
        false
    }

    /// The best weight of each of some columns in turn, while the others stay; by how much the error falls.
    fn sweep(&mut self, columns: &[usize]) -> f64 {
        let (l1, l2) = (self.penalty * L1_RATIO, self.penalty * (1.0 - L1_RATIO));
        let mut fall = 0.0;
        for &j in columns {
            let (before, own) = (self.weights[j], self.gram[[j, j]]);
            let pull = self.left[j] + own * before;
            let after = pull.signum() * (pull.abs() - l1).max(0.0) / (own + l2);
            if after != before {
                self.weights[j] = after;
                self.left.scaled_add(before - after, &self.gram.row(j));
                fall += (own + l2) * (after - before).powi(2) / 2.0;
            }
        }
        fall
    }

    /// How far the error may still be from the least one.
    fn gap(&self) -> f64 {
        let (l1, l2) = (self.penalty * L1_RATIO, self.penalty * (1.0 - L1_RATIO));
        let w = &self.weights;
        let read = self.along.dot(w);
        let unread = self.variance - read - w.dot(&self.left); // mean of squared errors
        let slopes = self.left.iter().zip(w).map(|(left, w)| (left - l2 * w).abs());
        let steepest = slopes.fold(0.0, f64::max);
        let shrunk = if steepest > l1 { l1 / steepest } else { 1.0 };
        let sizes = w.iter().map(|w| w.abs()).sum::<f64>();
        let squares = 1.0 + shrunk * shrunk;
        squares * (unread + l2 * w.dot(w)) / 2.0 + l1 * sizes - shrunk * (self.variance - read)
    }
}

#[cfg(test)]
#[path = "elastic_net_tests.rs"]
mod tests;
