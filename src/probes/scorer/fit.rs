//! Fits at one hook point: the probe, the other methods, and the same fits on shuffled targets or another model.

use super::folds::FoldDecompositions;
use super::held_out::HeldOutPredictions;
use super::settings::{Baselines, Scorer, baseline_name};
use super::without_model::ScoredBaseline;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::probes::probe::Probe;
use crate::probes::readers::{ChosenRegressor, MethodPredictions, RegressionTask};
use crate::probes::ridge::{Decomposition, Edge, Solution};
use crate::probes::saved::{StoredProbe, StreamMoments};
use crate::probes::splits::Fold;
use crate::results::{RIDGE, SHUFFLED, ScoreRow};
use ndarray::{Array2, ArrayView2};

/// A probe at one hook point with its scores.
#[derive(Debug, Clone)]
pub struct ScoredProbe {
    /// Scores of the probe, of the other methods, and of the same fits on shuffled targets.
    pub rows: Vec<ScoreRow>,
    /// The probe's prediction for each entity, `[n_entities, n_targets]`; with several folds, by the probe of the
    /// fold that tests the entity.
    pub predictions: Array2<f64>,
    /// The probe; with several folds, one trained on all entities.
    pub probe: Probe,
    /// The stream's moments over the probe's training entities.
    pub stream: StreamMoments,
    /// The position of the chosen penalty in the grid.
    pub edge: Edge,
    /// The number of decades by which the grid grew.
    pub n_grown: usize,
}

impl ScoredProbe {
    /// The probe and its stream moments, for saving.
    pub fn stored(&self) -> StoredProbe {
        StoredProbe { probe: self.probe.clone(), stream: self.stream.clone() }
    }
}

/// The input of the fits of one fold at one hook point.
struct FoldFit<'a> {
    /// All entities, `[n_entities, d_model]`.
    activations: ArrayView2<'a, f32>,
    fold: &'a Fold,
    /// The decomposition of the training entities' activations.
    decomposition: &'a Decomposition<'a>,
}

/// Training targets, and the name of the baseline that they define, if any.
struct TargetSet<'a> {
    baseline: Option<&'a str>,
    targets: Array2<f64>,
}

impl TargetSet<'_> {
    /// The name of a method in result rows.
    fn name(&self, method: &str) -> String {
        self.baseline.map_or(method.into(), |baseline| baseline_name(method, baseline))
    }
}

impl Scorer<'_> {
    /// Fits the probe and the other methods to the activations at one hook point and scores them.
    ///
    /// All methods are scored on test entities, the probe also on its training entities (fitted and leave-one-out).
    /// The same fits on shuffled targets are scored on test entities, unless baselines are omitted.
    ///
    /// # Shapes
    /// `activations` is `[n_entities, d_model]`, in dataset order.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the number of activations differs from that of entities, [`Error::NonFinite`] naming
    /// hook point, entity and column of a bad value.
    pub fn fit_and_score(&self, point: HookPoint, activations: ArrayView2<f32>) -> Result<ScoredProbe> {
        self.check_activations(point, activations)?;
        let mut held_out = HeldOutPredictions::new(self.dataset);
        let (mut last, mut of_folds) = (None, Vec::new());
        let entities = self.split.saved_train();
        let folds = FoldDecompositions::of(activations.view(), &self.split, &entities)?;
        for fold in &self.split.folds {
            let decomposition = folds.train(fold)?;
            let mut sets = vec![TargetSet { baseline: None, targets: self.targets(&fold.train) }];
            if self.baselines == Baselines::Included {
                let targets = self.targets(&self.shuffled(&fold.train));
                sets.push(TargetSet { baseline: Some(SHUFFLED), targets });
            }
            let fit = FoldFit { activations: activations.view(), fold, decomposition: &decomposition };
            let solution = self.fit_fold(&fit, &sets, &mut held_out)?;
            of_folds.extend(self.fold_score(point, fold, &solution)?);
            last = Some((decomposition, solution));
        }
        let (decomposition, solution) = match last.filter(|_| self.split.folds.len() == 1) {
            Some(only) => only,
            None => {
                let decomposition = folds.saved_train()?;
                let solution = decomposition.solve(&self.targets(&entities), &self.grid)?;
                (decomposition, solution)
            }
        };
        let mut rows = self.prediction_scores(point, &held_out)?;
        rows.extend(of_folds);
        rows.extend(self.training_scores(point, activations, &solution, &entities)?);
        rows.extend(self.classifier_scores(point, activations, None)?);
        let predictions = match self.split.folds.len() {
            1 => solution.probe.predict_all(activations),
            _ => held_out.get(RIDGE).cloned().unwrap_or_default(),
        };
        let (edge, n_grown) = (solution.edge, solution.n_grown);
        let probe = solution.probe;
        let stream = StreamMoments {
            mean: decomposition.mean().clone(),
            pattern: decomposition.pattern(&probe)?,
            resid_rms: decomposition.rms_norm(),
        };
        Ok(ScoredProbe { rows, predictions, probe, stream, edge, n_grown })
    }

    /// Scores the same fits on the activations of another model, on test entities, under the baseline's name.
    ///
    /// # Shapes
    /// `activations` is `[n_entities, d_model]`, in dataset order.
    ///
    /// # Errors
    /// As [`Scorer::fit_and_score`].
    pub fn other_model(
        &self,
        name: &str,
        point: HookPoint,
        activations: ArrayView2<f32>,
    ) -> Result<ScoredBaseline> {
        self.check_activations(point, activations)?;
        let mut held_out = HeldOutPredictions::new(self.dataset);
        let entities = self.split.saved_train();
        let folds = FoldDecompositions::of(activations.view(), &self.split, &entities)?;
        for fold in &self.split.folds {
            let decomposition = folds.train(fold)?;
            let set = TargetSet { baseline: Some(name), targets: self.targets(&fold.train) };
            let fit = FoldFit { activations: activations.view(), fold, decomposition: &decomposition };
            self.fit_fold(&fit, &[set], &mut held_out)?;
        }
        let mut rows = self.prediction_scores(point, &held_out)?;
        rows.extend(self.classifier_scores(point, activations, Some(name))?);
        Ok(ScoredBaseline { rows, predictions: held_out.get(name).cloned().unwrap_or_default() })
    }

    /// The predictions of a saved probe for each entity; with several folds, of the probe of the fold that tests
    /// the entity.
    ///
    /// # Shapes
    /// `activations` is `[n_entities, d_model]`, in dataset order; the result is `[n_entities, n_targets]`.
    ///
    /// # Errors
    /// As [`Scorer::fit_and_score`].
    pub fn predictions(&self, probe: &Probe, activations: ArrayView2<f32>) -> Result<Array2<f64>> {
        if self.split.folds.len() == 1 {
            return Ok(probe.predict_all(activations));
        }
        let mut held_out = HeldOutPredictions::new(self.dataset);
        let entities = self.split.saved_train();
        let folds = FoldDecompositions::of(activations.view(), &self.split, &entities)?;
        for fold in &self.split.folds {
            let solution = folds.train(fold)?.solve(&self.targets(&fold.train), &self.grid)?;
            held_out.put(RIDGE, &fold.test, &solution.probe.predict_rows(activations, &fold.test));
        }
        Ok(held_out.get(RIDGE).cloned().unwrap_or_default())
    }

    /// Fits every method on one fold to each set of targets; returns the probe of the first set.
    fn fit_fold(
        &self,
        fit: &FoldFit,
        sets: &[TargetSet],
        held_out: &mut HeldOutPredictions,
    ) -> Result<Solution> {
        let (fold, decomposition) = (fit.fold, fit.decomposition);
        let targets: Vec<&Array2<f64>> = sets.iter().map(|set| &set.targets).collect();
        let solutions = decomposition.solve_each(&targets, &self.grid)?;
        for (set, solution) in sets.iter().zip(&solutions) {
            let predicted = solution.probe.predict_rows(fit.activations.view(), &fold.test);
            held_out.put(&set.name(RIDGE), &fold.test, &predicted);
            let task = |option| RegressionTask {
                decomposition,
                activations: fit.activations.view(),
                train: &fold.train,
                targets: &set.targets,
                kind: &self.dataset.kind,
                test: &fold.test,
                grid: &self.grid,
                seed: self.bootstrap.seed,
                option,
            };
            for ChosenRegressor { regressor, option } in &self.regressors {
                for MethodPredictions { method, values, statistics } in
                    regressor.fit_predict(&task(*option))?
                {
                    held_out.put(&set.name(&method), &fold.test, &values);
                    // With several folds, statistics of one fold would not describe the others.
                    if set.baseline.is_none() && self.split.folds.len() == 1 {
                        let statistics = statistics.into_iter();
                        held_out.statistics.extend(statistics.map(|statistic| (method.clone(), statistic)));
                    }
                }
            }
        }
        let first = solutions.into_iter().next();
        first.ok_or_else(|| Error::Internal("no solution for the first set of targets".into()))
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
