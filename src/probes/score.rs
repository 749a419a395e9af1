//! Scores of a probe at one hook point, and of the baselines beside it.

use super::bootstrap::{Bootstrap, Interval};
use super::centroid::Centroids;
use super::decomposition::Decomposition;
use super::measure::{Breadth, measures};
use super::names::name_features;
use super::probe::Probe;
use super::ridge::{Edge, PenaltyGrid, Solution};
use super::sparse_ridge::SparseRidge;
use super::split::Split;
use super::store::{StoredProbe, StreamMoments};
use crate::datasets::Dataset;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::results::{
    CENTROID, NAMES_ONLY, PredictionRow, RIDGE, SHUFFLED, ScoreRow, UNTRAINED, hook_columns,
};
use ndarray::{Array2, ArrayView2, Axis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Scores the probes of one dataset, model and prompt; all that learns learns on the training split.
#[derive(Debug, Clone)]
pub struct Scorer<'a> {
    /// The entities and their targets.
    pub dataset: &'a Dataset,
    /// What is learnt on and what is scored on.
    pub split: Split,
    /// The model's name.
    pub model: String,
    /// The prompt's name.
    pub prompt: String,
    /// How the intervals are drawn; its seed also shuffles the targets of the shuffled baseline.
    pub bootstrap: Bootstrap,
    /// The penalties that each fit tries.
    pub grid: PenaltyGrid,
}

/// A probe at one hook point with its scores.
#[derive(Debug, Clone)]
pub struct Scored {
    /// Its scores, and those of the same probe on shuffled targets.
    pub rows: Vec<ScoreRow>,
    /// Its reading for every entity, `[n_entities, n_targets]`.
    pub predictions: Array2<f64>,
    /// The probe.
    pub probe: Probe,
    /// The stream's moments over the training entities.
    pub stream: StreamMoments,
    /// Whether the penalty search ended at a bound.
    pub edge: Edge,
}

/// A baseline with its scores.
#[derive(Debug, Clone)]
pub struct Baseline {
    /// Its scores.
    pub rows: Vec<ScoreRow>,
    /// Its prediction for every entity, `[n_entities, n_targets]`.
    pub predictions: Array2<f64>,
}

impl Scored {
    /// The part that is saved.
    pub fn stored(&self) -> StoredProbe {
        StoredProbe { probe: self.probe.clone(), stream: self.stream.clone() }
    }
}

/// The columns of a score row that do not depend on the score.
struct Heading {
    method: &'static str,
    point: Option<HookPoint>,
}

/// Predictions for some entities, all of one split.
struct Part<'a> {
    split: &'static str,
    entities: &'a [usize],
    predicted: Array2<f64>,
}

impl<'a> Scorer<'a> {
    /// A scorer on the dataset's own split, with 500 resamples from seed 0 and the default penalties.
    ///
    /// # Errors
    /// As [`Split::official`].
    pub fn official(dataset: &'a Dataset, model: &str, prompt: &str) -> Result<Scorer<'a>> {
        Ok(Scorer {
            split: Split::official(dataset)?,
            dataset,
            model: model.to_string(),
            prompt: prompt.to_string(),
            bootstrap: Bootstrap::default(),
            grid: PenaltyGrid::default(),
        })
    }

    /// Fits a probe to the activations at one hook point and scores it: on test, training and
    /// left-out training entities; then the same fit to shuffled targets, R² on test entities.
    ///
    /// # Shapes
    /// `activations` is `[n_entities, d_model]`, in dataset order.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is not one activation an entity, [`Error::NonFinite`] naming hook
    /// point, entity and column of a bad value.
    pub fn layer(&self, point: HookPoint, activations: ArrayView2<f32>) -> Result<Scored> {
        let decomposition = self.decompose(&point.to_string(), activations)?;
        let solution = decomposition.solve(&self.targets(&self.split.train), &self.grid)?;
        let predictions = solution.probe.readings(activations);
        let heading = Heading { method: RIDGE, point: Some(point) };
        let mut rows = self.probe_rows(&heading, &solution, &predictions)?;
        let shuffled = decomposition.solve(&self.shuffled_targets(), &self.grid)?.probe.readings(activations);
        let heading = Heading { method: SHUFFLED, point: Some(point) };
        rows.extend(self.rows(&heading, Breadth::R2, &self.test_part(&shuffled))?);
        let probe = solution.probe;
        let stream = StreamMoments {
            mean: decomposition.mean().clone(),
            pattern: decomposition.pattern(&probe)?,
            resid_rms: decomposition.rms_norm(),
        };
        Ok(Scored { rows, predictions, probe, stream, edge: solution.edge })
    }

    /// Scores the same fit on the activations of an untrained model: R² on test entities.
    ///
    /// # Shapes
    /// `activations` is `[n_entities, d_model]`, in dataset order.
    ///
    /// # Errors
    /// As [`Scorer::layer`].
    pub fn untrained(&self, point: HookPoint, activations: ArrayView2<f32>) -> Result<Baseline> {
        let decomposition = self.decompose(&point.to_string(), activations)?;
        let solution = decomposition.solve(&self.targets(&self.split.train), &self.grid)?;
        let predictions = solution.probe.readings(activations);
        let heading = Heading { method: UNTRAINED, point: Some(point) };
        let rows = self.rows(&heading, Breadth::R2, &self.test_part(&predictions))?;
        Ok(Baseline { rows, predictions })
    }

    /// Scores a ridge on the n-grams of the names: test and training entities.
    ///
    /// # Errors
    /// As [`SparseRidge::fit`].
    pub fn names_only(&self) -> Result<Baseline> {
        let names: Vec<&str> = self.dataset.entities.iter().map(|e| e.name.as_str()).collect();
        let features = name_features(&names);
        let settings = SparseRidge { seed: self.bootstrap.seed, ..SparseRidge::default() };
        let train = &self.split.train;
        let predictions = settings.fit(&features.select(train), &self.targets(train))?.readings(&features);
        let rows = self.baseline_rows(NAMES_ONLY, &predictions)?;
        Ok(Baseline { rows, predictions })
    }

    /// Scores the mean training target of each entity's group: test and training entities.
    ///
    /// A dataset without group columns is one group, whose score is about 0.
    ///
    /// # Errors
    /// As [`Scorer::layer`].
    pub fn centroid(&self) -> Result<Baseline> {
        let Scorer { dataset, split, .. } = self;
        let groups: Vec<&str> = split.train.iter().map(|&i| dataset.group(&dataset.entities[i])).collect();
        let predictions = Centroids::of(&groups, &self.targets(&split.train)).predict_all(dataset);
        let rows = self.baseline_rows(CENTROID, &predictions)?;
        Ok(Baseline { rows, predictions })
    }

    /// The readings of a probe beside the truth, for every entity and target.
    ///
    /// # Shapes
    /// `readings` is `[n_entities, n_targets]`, in dataset order.
    pub fn prediction_rows(&self, point: HookPoint, readings: ArrayView2<f64>) -> Vec<PredictionRow> {
        let names = self.dataset.kind.names();
        let mut splits = vec![""; self.dataset.entities.len()];
        self.split.train.iter().for_each(|&i| splits[i] = "train");
        self.split.test.iter().for_each(|&i| splits[i] = "test");
        let entities = self.dataset.entities.iter().zip(splits).zip(readings.rows());
        entities
            .filter(|((_, split), _)| !split.is_empty())
            .flat_map(|((entity, split), readings)| {
                let values = names.iter().zip(entity.target.values()).zip(readings.to_vec());
                values.map(move |((target, truth), prediction)| PredictionRow {
                    dataset: self.dataset.name.clone(),
                    name: entity.name.clone(),
                    group: self.dataset.group(entity).to_string(),
                    split: split.to_string(),
                    hook_point: point.to_string(),
                    target: target.to_string(),
                    truth,
                    prediction,
                })
            })
            .collect()
    }

    /// The targets of some entities, `[n, n_targets]`: latitude, then longitude; or the year.
    fn targets(&self, entities: &[usize]) -> Array2<f64> {
        let columns = self.dataset.targets();
        Array2::from_shape_fn((entities.len(), columns.len()), |(i, t)| columns[t][entities[i]])
    }

    /// The training targets, each whole target given to another entity.
    fn shuffled_targets(&self) -> Array2<f64> {
        let mut order = self.split.train.clone();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(self.bootstrap.seed));
        self.targets(&order)
    }

    fn decompose(&self, what: &str, activations: ArrayView2<f32>) -> Result<Decomposition> {
        let Dataset { name, entities, .. } = self.dataset;
        if activations.nrows() != entities.len() {
            let expected = format!("{}, one for each entity of {name}", entities.len());
            return Err(Error::invalid(format!("rows of {what}"), activations.nrows(), expected));
        }
        if let Some(((i, column), &value)) = activations.indexed_iter().find(|(_, v)| !v.is_finite()) {
            let entity = &entities[i];
            return Err(Error::NonFinite {
                place: format!(
                    "{what}, column {}: {name} row {} (`{}`)",
                    column + 1,
                    entity.row,
                    entity.name
                ),
                found: f64::from(value),
                advice: "extract the activations again as f32".into(),
            });
        }
        Decomposition::of(activations.select(Axis(0), &self.split.train).mapv(f64::from))
    }

    fn test_part(&self, predictions: &Array2<f64>) -> Part<'_> {
        let entities = &self.split.test;
        Part { split: "test", entities, predicted: predictions.select(Axis(0), entities) }
    }

    fn train_part(&self, predictions: &Array2<f64>) -> Part<'_> {
        let entities = &self.split.train;
        Part { split: "train", entities, predicted: predictions.select(Axis(0), entities) }
    }

    /// All scores of a baseline that reads no model, on test and training entities.
    fn baseline_rows(&self, method: &'static str, predictions: &Array2<f64>) -> Result<Vec<ScoreRow>> {
        let heading = Heading { method, point: None };
        let test = self.rows(&heading, Breadth::All, &self.test_part(predictions))?;
        let train = self.rows(&heading, Breadth::All, &self.train_part(predictions))?;
        Ok([test, train].concat())
    }

    /// All scores of a fitted ridge on test, training and left-out training entities.
    fn probe_rows(
        &self,
        heading: &Heading,
        solution: &Solution,
        predictions: &Array2<f64>,
    ) -> Result<Vec<ScoreRow>> {
        let predicted = solution.leave_one_out.clone();
        let left_out = Part { split: "leave-one-out", entities: &self.split.train, predicted };
        let parts = [self.test_part(predictions), self.train_part(predictions), left_out];
        let rows = parts.iter().map(|part| self.rows(heading, Breadth::All, part));
        Ok(rows.collect::<Result<Vec<_>>>()?.concat())
    }

    fn rows(&self, heading: &Heading, breadth: Breadth, part: &Part) -> Result<Vec<ScoreRow>> {
        let (hook_point, layer) = heading.point.map(hook_columns).unwrap_or_default();
        let model = heading.point.map(|_| self.model.clone()).unwrap_or_default();
        let truth = self.targets(part.entities);
        let all: Vec<usize> = (0..part.entities.len()).collect();
        let row = |measure: super::measure::Measure| {
            let value = (measure.of)(&all);
            // The score on what was fitted estimates nothing beyond it: it has no interval.
            let interval = match part.split {
                "train" => Interval { low: value, high: value },
                _ => self.bootstrap.interval(all.len(), &measure.of),
            };
            ScoreRow {
                dataset: self.dataset.name.clone(),
                model: model.clone(),
                prompt: self.prompt.clone(),
                hook_point: hook_point.clone(),
                layer: layer.clone(),
                method: heading.method.to_string(),
                split: part.split.to_string(),
                metric: measure.metric.to_string(),
                target: measure.target,
                value,
                low: interval.low,
                high: interval.high,
            }
        };
        Ok(measures(&self.dataset.kind, breadth, &truth, &part.predicted)?.into_iter().map(row).collect())
    }
}

#[cfg(test)]
#[path = "score_tests.rs"]
mod tests;
