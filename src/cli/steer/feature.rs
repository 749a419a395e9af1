//! `--feature DICT:UNIT`: a unit of a sparse dictionary, pressed.

use super::super::features;
use super::super::stages::activations;
use mappa::datasets::Prompt;
use mappa::features::Dictionary;
use mappa::hook_point::HookPoint;
use mappa::model::Model;
use mappa::steering::{ClampLevel, Dose, Op};
use mappa::{Error, Result};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// A dictionary's folder or file, and one of its units.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    path: PathBuf,
    unit: usize,
}

impl std::fmt::Display for Feature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.unit)
    }
}

impl FromStr for Feature {
    type Err = Error;

    fn from_str(text: &str) -> Result<Feature> {
        let parts = text.rsplit_once(':').and_then(|(path, unit)| Some((path, unit.trim().parse().ok()?)));
        match parts {
            Some((path, unit)) => Ok(Feature { path: path.into(), unit }),
            None => Err(Error::invalid("--feature", text, "DICT:UNIT, a folder or file and a unit's number")),
        }
    }
}

/// A unit of a dictionary that is at hand, and where its greatest activation is found.
pub struct Pressed<'a> {
    /// The lab.
    pub lab: &'a Path,
    /// The model that is steered.
    pub model: &'a Model,
    /// The dataset on which the greatest activation is 1x.
    pub dataset: &'a str,
    dictionary: Arc<Dictionary>,
    unit: usize,
}

impl Feature {
    /// The dictionary, which must fit the model; `given` says where its rows are read if its file does not.
    pub fn dictionary(&self, model: &Model, given: Option<HookPoint>) -> Result<Arc<Dictionary>> {
        Ok(Arc::new(features::load(&self.path, given, model)?))
    }

    /// What the unit writes, and where.
    pub fn vector(&self, model: &Model, given: Option<HookPoint>) -> Result<(HookPoint, Vec<f64>)> {
        let dictionary = self.dictionary(model, given)?;
        match Op::add_latent(&dictionary, self.unit, 1.0)? {
            Op::Add(vector) => Ok((dictionary.hook_point, vector)),
            other => Err(Error::Internal(format!("{other:?} in place of a vector"))),
        }
    }

    /// The unit, ready to be pressed.
    pub fn pressed<'a>(
        &self,
        dictionary: Arc<Dictionary>,
        (lab, model, dataset): (&'a Path, &'a Model, &'a str),
    ) -> Pressed<'a> {
        Pressed { lab, model, dataset, dictionary, unit: self.unit }
    }
}

impl Pressed<'_> {
    /// What a dose does.
    pub fn op(&self, dose: &Dose, rms: impl FnOnce() -> Result<f64>) -> Result<Op> {
        let add = |activation| Op::add_latent(&self.dictionary, self.unit, activation);
        let clamp = |activation| Op::clamp(&self.dictionary, self.unit, activation);
        match *dose {
            Dose::Times(times) => add(times * self.greatest()?),
            Dose::Activation(activation) => add(activation),
            Dose::Clamp(ClampLevel::Times(0.0)) => clamp(0.0),
            Dose::Clamp(ClampLevel::Times(times)) => clamp(times * self.greatest()?),
            Dose::Clamp(ClampLevel::Activation(activation)) => clamp(activation),
            Dose::Rms(rms_times) => {
                let length = self.dictionary.direction(self.unit);
                let length = length.dot(&length).sqrt().max(f32::MIN_POSITIVE);
                add(rms_times * rms()? / f64::from(length))
            }
            Dose::Place { .. } | Dose::Years(_) | Dose::Quantity(..) => {
                let expected = "`clamp 3x`, `3x`, `4 activation` or `2 rms` with --feature";
                Err(Error::invalid("--dose", "a dose in the unit of a probe, such as degrees", expected))
            }
        }
    }

    /// The unit's greatest activation on the dataset's entities.
    fn greatest(&self) -> Result<f64> {
        let point = self.dictionary.hook_point;
        let store = activations(self.lab, (&self.model.name, self.dataset, &Prompt::empty().name))?;
        let missing = |_| {
            let make = format!(
                "activations at {point}, on which 1x is measured; make them with `mappa extract --model {} \
                 --dataset {} --hook-points {point}`, or give the dose in activation",
                self.model.name, self.dataset
            );
            Error::bad_file(store.place(), "none", make)
        };
        let rows = store.load(point).map_err(missing)?;
        let encoded = self.dictionary.encode(rows.view())?;
        let greatest = encoded.column(self.unit).iter().copied().fold(0.0, f32::max);
        if greatest > 0.0 {
            return Ok(f64::from(greatest));
        }
        let found = format!("never active on {}", self.dataset);
        let expected = "a unit that is, another --dataset, or a dose in activation";
        Err(Error::invalid(format!("unit {}", self.unit), found, expected))
    }
}
