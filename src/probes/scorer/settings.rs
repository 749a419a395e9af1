//! The scorer: a dataset, its split and the settings of fits and scores.

use crate::datasets::Dataset;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::limits::number_words;
use crate::probes::baselines::{BaselineData, SparseRidge};
use crate::probes::classes::Classes;
use crate::probes::metrics::{Bootstrap, Metrics};
use crate::probes::readers::{ChosenRegressor, Circle, Classifier};
use crate::probes::ridge::PenaltyGrid;
use crate::probes::splits::GroupsApart;
use crate::probes::splits::Split;
use crate::probes::targets::target_matrix;
use crate::results::RIDGE;
use crate::word_vectors::NameVectors;
use ndarray::{Array2, ArrayView2};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// A choice: with or without baselines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Baselines {
    /// Fits the baselines as well.
    #[default]
    Included,
    /// Fits no baselines, to save time.
    Omitted,
}

/// Fits and scores the probes of one dataset, model and prompt; every fit uses training entities only.
#[derive(Debug, Clone)]
pub struct Scorer<'a> {
    /// The entities and their targets.
    pub dataset: &'a Dataset,
    /// Training and test entities.
    pub split: Split,
    /// The model's name.
    pub model: String,
    /// The prompt's name.
    pub prompt: String,
    /// The resamples of the intervals; its seed also shuffles the targets of the shuffled baseline.
    pub bootstrap: Bootstrap,
    /// The group of each entity, if whole groups are resampled instead of entities.
    pub clusters: Option<Vec<usize>>,
    /// The grid of penalties of each fit.
    pub grid: PenaltyGrid,
    /// The settings of the names-only ridge.
    pub name_ridge: SparseRidge,
    /// The word vectors of the names, one row per entity, for the baselines that need them.
    pub vectors: Option<NameVectors>,
    /// The set of metrics.
    pub metrics: Metrics,
    /// The regressors in addition to the ridge probe.
    pub regressors: Vec<ChosenRegressor>,
    /// The classes that classifiers predict.
    pub classes: Option<Classes>,
    /// The classifiers.
    pub classifiers: Vec<&'static dyn Classifier>,
    /// Included, if shuffled targets are fitted as well.
    pub baselines: Baselines,
}

impl<'a> Scorer<'a> {
    /// A scorer on the dataset's own split, with 500 resamples from seed 0 and the default penalties.
    ///
    /// # Errors
    /// As [`Split::of_dataset`] and [`Scorer::new`].
    pub fn with_dataset_split(dataset: &'a Dataset, model: &str, prompt: &str) -> Result<Scorer<'a>> {
        Scorer::new(Split::of_dataset(dataset)?, dataset, model, prompt)
    }

    /// A scorer on the given split, with default settings.
    ///
    /// # Errors
    /// [`Error::NonFinite`] naming an entity with a target that is not a number; [`Error::Invalid`] if a target is
    /// constant over the training entities.
    pub fn new(split: Split, dataset: &'a Dataset, model: &str, prompt: &str) -> Result<Scorer<'a>> {
        check_targets(dataset, &split)?;
        Ok(Scorer {
            split,
            dataset,
            model: model.to_string(),
            prompt: prompt.to_string(),
            bootstrap: Bootstrap::default(),
            clusters: None,
            grid: PenaltyGrid::default(),
            name_ridge: SparseRidge::default(),
            vectors: None,
            metrics: Metrics::default(),
            regressors: Vec::new(),
            classes: None,
            classifiers: Vec::new(),
            baselines: Baselines::default(),
        })
    }

    /// The targets of the given entities, `[n, n_targets]`.
    pub(super) fn targets(&self, entities: &[usize]) -> Array2<f64> {
        target_matrix(self.dataset, entities)
    }

    /// The circle on which one of the methods predicts.
    pub fn circle(&self) -> Option<Circle> {
        self.regressors.iter().find_map(|chosen| chosen.circle(&self.dataset.kind))
    }

    /// The given entities in a random order, which depends on the seed.
    pub(super) fn shuffled(&self, entities: &[usize]) -> Vec<usize> {
        let mut order = entities.to_vec();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(self.bootstrap.seed));
        order
    }

    /// The data for baselines that need no model.
    pub(super) fn baseline_data(&self) -> BaselineData<'_> {
        let name_ridge = SparseRidge { seed: self.bootstrap.seed, ..self.name_ridge.clone() };
        let apart = GroupsApart::of(self.dataset, &self.split);
        BaselineData { dataset: self.dataset, name_ridge, apart, vectors: self.vectors.as_ref() }
    }

    /// Refuses activations that are not finite, or not exactly one row per entity.
    pub(super) fn check_activations(&self, point: HookPoint, activations: ArrayView2<f32>) -> Result<()> {
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

/// The name of a method's baseline in result rows; for the ridge probe, just the baseline's name.
pub(super) fn baseline_name(method: &str, baseline: &str) -> String {
    if method == RIDGE { baseline.to_string() } else { format!("{method}/{baseline}") }
}

/// The least range of a target: squares of smaller differences are subnormal, and have few digits.
const LEAST_RANGE: f64 = 1e-150;

/// Refuses NaN and infinite targets, and targets that are constant over the training entities or nearly so.
fn check_targets(dataset: &Dataset, split: &Split) -> Result<()> {
    let names = dataset.kind.names();
    for entity in &dataset.entities {
        let bad = names.iter().zip(entity.target.values()).find(|(_, value)| !value.is_finite());
        if let Some((target, found)) = bad {
            return Err(Error::NonFinite {
                place: format!("{} row {} (`{}`): {target}", dataset.name, entity.row, entity.name),
                found,
                advice: "correct the row or remove it from the file".into(),
            });
        }
    }
    for (values, target) in dataset.targets().iter().zip(names) {
        for fold in &split.folds {
            let first = fold.train.first().map_or(f64::NAN, |&i| values[i]);
            let train = || fold.train.iter().map(|&i| values[i]);
            let range = train().fold(first, f64::max) - train().fold(first, f64::min);
            if range > 0.0 && range < LEAST_RANGE {
                let found = format!("values within {} of each other", number_words(range));
                let expected = "a larger unit, because squares of such numbers are rounded to 0";
                return Err(Error::invalid(format!("{target} of {}", dataset.name), found, expected));
            }
            if range == 0.0 {
                let found = format!("{} for all {} training entities", number_words(first), fold.train.len());
                let expected = "values that differ; a constant target has nothing to predict";
                return Err(Error::invalid(format!("{target} of {}", dataset.name), found, expected));
            }
        }
    }
    Ok(())
}
