//! Scores of a probe at one hook point, and of the other readers and baselines beside it.

use super::classes::Classes;
use super::folds::Folds;
use super::metrics::{Bootstrap, Metrics};
use super::probe::Probe;
use super::readers::{Classifier, Fact, Reader, Training};
use super::ridge::{Decomposition, Edge, PenaltyGrid, Solution, Trial};
use super::sparse_ridge::SparseRidge;
use super::split::{Fold, Split};
use super::store::{StoredProbe, StreamMoments};
use crate::datasets::Dataset;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::results::{PredictionRow, RIDGE, SHUFFLED, ScoreRow, UNTRAINED};
use ndarray::{Array2, ArrayView2};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Whether baselines are scored beside a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Beside {
    /// Every score has its baselines.
    #[default]
    Baselines,
    /// Scores stand alone, for those in a hurry.
    Nothing,
}

/// Scores the probes of one dataset, model and prompt; all that learns learns on training entities.
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
    /// Entities that are drawn together, as the group of each entity; by default each is drawn by itself.
    pub clusters: Option<Vec<usize>>,
    /// The penalties that each fit tries.
    pub grid: PenaltyGrid,
    /// The fit to the names alone.
    pub names: SparseRidge,
    /// Which scores are counted.
    pub metrics: Metrics,
    /// Readers beside the ridge probe.
    pub readers: Vec<&'static dyn Reader>,
    /// What readers of classes read.
    pub classes: Option<Classes>,
    /// The readers of classes.
    pub classifiers: Vec<&'static dyn Classifier>,
    /// Whether shuffled labels are fitted as well.
    pub beside: Beside,
}

/// A probe at one hook point with its scores.
#[derive(Debug, Clone)]
pub struct Scored {
    /// Its scores, those of the other readers, and those of the same fits on shuffled targets.
    pub rows: Vec<ScoreRow>,
    /// The probe's reading for every entity, `[n_entities, n_targets]`; with several folds, each entity is read
    /// by a probe that did not learn from it.
    pub predictions: Array2<f64>,
    /// The probe; with several folds, one that learnt from all entities.
    pub probe: Probe,
    /// The stream's moments over the entities that the probe learnt from.
    pub stream: StreamMoments,
    /// Whether the penalty search ended at a bound.
    pub edge: Edge,
    /// By how many decades the penalty grid grew.
    pub n_grown: usize,
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

/// What was read of entities that were not learnt from, by method, fold by fold.
pub(super) struct HeldOut {
    shape: (usize, usize),
    pub methods: Vec<(String, Array2<f64>)>,
    /// What is to be told of the fits to true labels, by method.
    pub facts: Vec<(String, Fact)>,
}

impl HeldOut {
    pub fn new(dataset: &Dataset) -> HeldOut {
        HeldOut {
            shape: (dataset.entities.len(), dataset.kind.names().len()),
            methods: Vec::new(),
            facts: Vec::new(),
        }
    }

    /// Adds what a method read for some entities.
    pub fn put(&mut self, method: &str, entities: &[usize], values: &Array2<f64>) {
        let at = self.methods.iter().position(|(known, _)| known == method).unwrap_or_else(|| {
            self.methods.push((method.to_string(), Array2::from_elem(self.shape, f64::NAN)));
            self.methods.len() - 1
        });
        let all = &mut self.methods[at].1;
        entities.iter().zip(values.rows()).for_each(|(&entity, row)| all.row_mut(entity).assign(&row));
    }

    pub fn get(&self, method: &str) -> Option<&Array2<f64>> {
        self.methods.iter().find(|(known, _)| known == method).map(|(_, values)| values)
    }
}

/// What a method is called in a baseline: the ridge probe lends its own name to it.
pub(super) fn baseline_name(method: &str, baseline: &str) -> String {
    if method == RIDGE { baseline.to_string() } else { format!("{method}/{baseline}") }
}

impl<'a> Scorer<'a> {
    /// A scorer on the dataset's own split, with 500 resamples from seed 0 and the default penalties.
    ///
    /// # Errors
    /// As [`Split::official`].
    pub fn official(dataset: &'a Dataset, model: &str, prompt: &str) -> Result<Scorer<'a>> {
        Scorer::on(Split::official(dataset)?, dataset, (model, prompt))
    }

    /// A scorer on any split, its other settings the usual ones.
    ///
    /// # Errors
    /// [`Error::NonFinite`] naming an entity whose target is no number; [`Error::Invalid`] if a target is the
    /// same for all entities that are learnt from.
    pub fn on(split: Split, dataset: &'a Dataset, (model, prompt): (&str, &str)) -> Result<Scorer<'a>> {
        check_targets(dataset, &split)?;
        Ok(Scorer {
            split,
            dataset,
            model: model.to_string(),
            prompt: prompt.to_string(),
            bootstrap: Bootstrap::default(),
            clusters: None,
            grid: PenaltyGrid::default(),
            names: SparseRidge::default(),
            metrics: Metrics::default(),
            readers: Vec::new(),
            classes: None,
            classifiers: Vec::new(),
            beside: Beside::default(),
        })
    }

    /// Fits the probe and the other readers to the activations at one hook point and scores them: on test
    /// entities, the probe also on the entities that it learnt from, as they are and each left out; then the
    /// same fits to shuffled targets, on test entities.
    ///
    /// # Shapes
    /// `activations` is `[n_entities, d_model]`, in dataset order.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is not one activation an entity, [`Error::NonFinite`] naming hook
    /// point, entity and column of a bad value.
    pub fn layer(&self, point: HookPoint, activations: ArrayView2<f32>) -> Result<Scored> {
        self.check(point, activations)?;
        let mut held_out = HeldOut::new(self.dataset);
        let mut kept = None;
        let entities = self.split.kept();
        let folds = Folds::of(activations.view(), &self.split, &entities)?;
        for fold in &self.split.folds {
            let decomposition = folds.train(fold)?;
            let mut sets = vec![(None, self.targets(&fold.train))];
            if self.beside == Beside::Baselines {
                sets.push((Some(SHUFFLED), self.shuffled_targets(&fold.train)));
            }
            let solution = self.read_fold((activations, fold, &decomposition), &sets, &mut held_out)?;
            kept = Some((decomposition, solution));
        }
        let (decomposition, solution) = match kept.filter(|_| self.split.folds.len() == 1) {
            Some(kept) => kept,
            None => {
                let decomposition = folds.kept()?;
                let solution = decomposition.solve(&self.targets(&entities), &self.grid)?;
                (decomposition, solution)
            }
        };
        let mut rows = self.reading_rows(point, &held_out)?;
        rows.extend(self.learnt_rows(point, activations, (&solution, &entities))?);
        rows.extend(self.class_rows(point, activations, None)?);
        let predictions = match self.split.folds.len() {
            1 => solution.probe.readings(activations),
            _ => held_out.get(RIDGE).cloned().unwrap_or_default(),
        };
        let (edge, n_grown) = (solution.edge, solution.n_grown);
        let probe = solution.probe;
        let stream = StreamMoments {
            mean: decomposition.mean().clone(),
            pattern: decomposition.pattern(&probe)?,
            resid_rms: decomposition.rms_norm(),
        };
        Ok(Scored { rows, predictions, probe, stream, edge, n_grown })
    }

    /// Scores the same fits on the activations of an untrained model, on test entities.
    ///
    /// # Shapes
    /// `activations` is `[n_entities, d_model]`, in dataset order.
    ///
    /// # Errors
    /// As [`Scorer::layer`].
    pub fn untrained(&self, point: HookPoint, activations: ArrayView2<f32>) -> Result<Baseline> {
        self.other_model(UNTRAINED, point, activations)
    }

    /// Scores the same fits on the activations of another model, which gives the rows its name.
    ///
    /// # Shapes
    /// `activations` is `[n_entities, d_model]`, in dataset order.
    ///
    /// # Errors
    /// As [`Scorer::layer`].
    pub fn other_model(
        &self,
        name: &str,
        point: HookPoint,
        activations: ArrayView2<f32>,
    ) -> Result<Baseline> {
        self.check(point, activations)?;
        let mut held_out = HeldOut::new(self.dataset);
        let entities = self.split.kept();
        let folds = Folds::of(activations.view(), &self.split, &entities)?;
        for fold in &self.split.folds {
            let decomposition = folds.train(fold)?;
            let sets = [(Some(name), self.targets(&fold.train))];
            self.read_fold((activations, fold, &decomposition), &sets, &mut held_out)?;
        }
        let mut rows = self.reading_rows(point, &held_out)?;
        rows.extend(self.class_rows(point, activations, Some(name))?);
        Ok(Baseline { rows, predictions: held_out.get(name).cloned().unwrap_or_default() })
    }

    /// What the probe reads of each entity: with several folds, by a probe that did not learn from it.
    ///
    /// # Shapes
    /// `activations` is `[n_entities, d_model]`, in dataset order; `[n_entities, n_targets]`.
    ///
    /// # Errors
    /// As [`Scorer::layer`].
    pub fn readings(&self, probe: &Probe, activations: ArrayView2<f32>) -> Result<Array2<f64>> {
        if self.split.folds.len() == 1 {
            return Ok(probe.readings(activations));
        }
        let mut held_out = HeldOut::new(self.dataset);
        let entities = self.split.kept();
        let folds = Folds::of(activations.view(), &self.split, &entities)?;
        for fold in &self.split.folds {
            let solution = folds.train(fold)?.solve(&self.targets(&fold.train), &self.grid)?;
            held_out.put(RIDGE, &fold.test, &solution.probe.readings_of(activations, &fold.test));
        }
        Ok(held_out.get(RIDGE).cloned().unwrap_or_default())
    }

    /// Every reader on one fold and on each set of targets, under its own name or that of a baseline; the first set's
    /// solution.
    fn read_fold(
        &self,
        (activations, fold, decomposition): (ArrayView2<f32>, &Fold, &Decomposition),
        sets: &[(Option<&str>, Array2<f64>)],
        held_out: &mut HeldOut,
    ) -> Result<Solution> {
        let targets: Vec<&Array2<f64>> = sets.iter().map(|(_, targets)| targets).collect();
        let solutions = decomposition.solve_each(&targets, &self.grid)?;
        for ((baseline, targets), solution) in sets.iter().zip(&solutions) {
            let name =
                |method: &str| baseline.map_or(method.into(), |baseline| baseline_name(method, baseline));
            held_out.put(&name(RIDGE), &fold.test, &solution.probe.readings_of(activations, &fold.test));
            let training = Training {
                decomposition,
                activations: activations.view(),
                train: &fold.train,
                targets,
                kind: &self.dataset.kind,
                reads: &fold.test,
                grid: &self.grid,
                seed: self.bootstrap.seed,
            };
            for reader in &self.readers {
                for reading in reader.read(&training)? {
                    held_out.put(&name(&reading.method), &fold.test, &reading.values);
                    // Of several folds each has facts of its own, and none is about all of them.
                    if baseline.is_none() && self.split.folds.len() == 1 {
                        let facts = reading.facts.into_iter();
                        held_out.facts.extend(facts.map(|fact| (reading.method.clone(), fact)));
                    }
                }
            }
        }
        let first = solutions.into_iter().next();
        first.ok_or_else(|| Error::Internal("no solution for a set of targets".into()))
    }

    /// The readings of a probe beside the truth, for every entity and target.
    ///
    /// # Shapes
    /// `readings` is `[n_entities, n_targets]`, in dataset order.
    pub fn prediction_rows(&self, point: HookPoint, readings: ArrayView2<f64>) -> Vec<PredictionRow> {
        let names = self.dataset.kind.names();
        let mut splits = vec![""; self.dataset.entities.len()];
        for fold in self.split.folds.iter().filter(|_| self.split.folds.len() == 1) {
            fold.train.iter().for_each(|&i| splits[i] = "train");
        }
        self.split.test().iter().for_each(|&i| splits[i] = "test");
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
    pub(super) fn targets(&self, entities: &[usize]) -> Array2<f64> {
        let columns = self.dataset.targets();
        Array2::from_shape_fn((entities.len(), columns.len()), |(i, t)| columns[t][entities[i]])
    }

    /// The targets of training entities, each whole target given to another entity.
    fn shuffled_targets(&self, train: &[usize]) -> Array2<f64> {
        self.targets(&self.shuffled(train))
    }

    /// Some entities in another order.
    pub(super) fn shuffled(&self, entities: &[usize]) -> Vec<usize> {
        let mut order = entities.to_vec();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(self.bootstrap.seed));
        order
    }

    /// Refuses activations that are not one finite row an entity.
    fn check(&self, point: HookPoint, activations: ArrayView2<f32>) -> Result<()> {
        let Dataset { name, entities, .. } = self.dataset;
        if activations.nrows() != entities.len() {
            let expected = format!("{}, one for each entity of {name}", entities.len());
            return Err(Error::invalid(format!("rows of {point}"), activations.nrows(), expected));
        }
        let Some(((i, column), &value)) = activations.indexed_iter().find(|(_, v)| !v.is_finite()) else {
            return Ok(());
        };
        let entity = &entities[i];
        Err(Error::NonFinite {
            place: format!("{point}, column {}: {name} row {} (`{}`)", column + 1, entity.row, entity.name),
            found: f64::from(value),
            advice: "extract the activations again as f32".into(),
        })
    }
}

/// The lowest and the highest penalty that were tried.
pub(super) fn tried(trials: &[Trial]) -> (f64, f64) {
    let ends = trials.first().zip(trials.last());
    ends.map_or((f64::NAN, f64::NAN), |(first, last)| (first.penalty, last.penalty))
}

/// Refuses targets that are no numbers, and those that are the same for all that is learnt from.
fn check_targets(dataset: &Dataset, split: &Split) -> Result<()> {
    let names = dataset.kind.names();
    for entity in &dataset.entities {
        let bad = names.iter().zip(entity.target.values()).find(|(_, value)| !value.is_finite());
        if let Some((target, found)) = bad {
            return Err(Error::NonFinite {
                place: format!("{} row {} (`{}`): {target}", dataset.name, entity.row, entity.name),
                found,
                advice: "mend the row or take it out of the file".into(),
            });
        }
    }
    for (values, target) in dataset.targets().iter().zip(names) {
        for fold in &split.folds {
            let first = fold.train.first().map_or(f64::NAN, |&i| values[i]);
            if fold.train.iter().all(|&i| values[i] == first) {
                let found = format!("{first} for all {} entities that are learnt from", fold.train.len());
                let expected = "values that differ; a constant leaves nothing to read";
                return Err(Error::invalid(format!("{target} of {}", dataset.name), found, expected));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "score_tests.rs"]
mod tests;
