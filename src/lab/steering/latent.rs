//! A latent of a sparse dictionary, added or clamped while the model generates.

use super::super::dictionaries::load_dictionary;
use super::super::folders::Lab;
use super::super::suggest;
use crate::artefact::FolderName;
use crate::datasets::Prompt;
use crate::error::{Error, Result};
use crate::features::Dictionary;
use crate::hook_point::HookPoint;
use crate::model::Model;
use crate::progress::Observer;
use crate::steering::{ClampLevel, Dose, Op};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// A dictionary's folder or file, and one of its latents; written `DICT:LATENT`.
#[derive(Debug, Clone, PartialEq)]
pub struct Latent {
    path: PathBuf,
    index: usize,
}

impl std::fmt::Display for Latent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.index)
    }
}

impl FromStr for Latent {
    type Err = Error;

    fn from_str(text: &str) -> Result<Latent> {
        let parts = text.rsplit_once(':').and_then(|(path, unit)| Some((path, unit.trim().parse().ok()?)));
        match parts {
            Some((path, index)) => Ok(Latent { path: path.into(), index }),
            None => {
                Err(Error::invalid("--feature", text, "DICT:LATENT, a folder or file and a latent's number"))
            }
        }
    }
}

/// A latent of a loaded dictionary, and the dataset on which its greatest activation is measured.
pub struct LoadedLatent<'a> {
    /// The lab.
    pub lab: &'a Lab,
    /// The model that is steered.
    pub model: &'a Model,
    /// The dataset on which the latent's greatest activation counts as 1x.
    pub dataset: &'a str,
    /// The dictionary.
    pub dictionary: Arc<Dictionary>,
    /// The latent's number.
    pub index: usize,
}

impl Latent {
    /// The latent's number.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Loads the dictionary and checks that it fits the model; `given` is its hook point if its file does not name one.
    ///
    /// # Errors
    /// Those of [`load_dictionary`]; [`Error::Invalid`] for a latent that the dictionary lacks.
    pub fn dictionary(
        &self,
        model: &Model,
        given: Option<HookPoint>,
        observer: &mut dyn Observer,
    ) -> Result<Arc<Dictionary>> {
        let dictionary = load_dictionary(&self.path, given, model, observer)?;
        dictionary.check_latent(self.index)?;
        Ok(Arc::new(dictionary))
    }

    /// The decoder vector of the latent, and its hook point.
    ///
    /// # Errors
    /// As [`Latent::dictionary`].
    pub fn vector(
        &self,
        model: &Model,
        given: Option<HookPoint>,
        observer: &mut dyn Observer,
    ) -> Result<(HookPoint, Vec<f64>)> {
        let dictionary = self.dictionary(model, given, observer)?;
        match Op::add_latent(&dictionary, self.index, 1.0)? {
            Op::Add(vector) => Ok((dictionary.hook_point, vector)),
            other => Err(Error::Internal(format!("{other:?} instead of a vector"))),
        }
    }
}

impl LoadedLatent<'_> {
    /// The operation for a dose; `rms` is the RMS norm of the stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a dose in the unit of a probe, or a latent that is never active; [`Error::BadFile`] if the
    /// activations that define 1x are missing.
    pub fn op(&self, dose: &Dose, rms: impl FnOnce() -> Result<f64>) -> Result<Op> {
        self.dictionary.check_latent(self.index)?;
        let add = |activation| Op::add_latent(&self.dictionary, self.index, activation);
        let clamp = |activation| Op::clamp(&self.dictionary, self.index, activation);
        match *dose {
            Dose::Times(times) => add(times * self.greatest()?),
            Dose::Activation(activation) => add(activation),
            Dose::Clamp(ClampLevel::Times(0.0)) => clamp(0.0),
            Dose::Clamp(ClampLevel::Times(times)) => clamp(times * self.greatest()?),
            Dose::Clamp(ClampLevel::Activation(activation)) => clamp(activation),
            Dose::Rms(rms_times) => {
                let length = self.dictionary.direction(self.index);
                let length = length.dot(&length).sqrt().max(f32::MIN_POSITIVE);
                add(rms_times * rms()? / f64::from(length))
            }
            Dose::Place { .. } | Dose::Years(_) | Dose::Quantity(..) => {
                let expected = "`clamp 3x`, `3x`, `4 activation` or `2 rms` with --feature";
                Err(Error::invalid("--dose", "a dose in the unit of a probe, such as degrees", expected))
            }
        }
    }

    /// The latent's greatest activation on the dataset's entities.
    fn greatest(&self) -> Result<f64> {
        let point = self.dictionary.hook_point;
        let store = self.lab.activations(
            &self.model.name,
            &FolderName::new("--dataset", self.dataset)?,
            &Prompt::empty().name,
        )?;
        let missing = |_| {
            let rest =
                suggest::flag("dataset", self.dataset) + &suggest::flag("hook-points", &point.to_string());
            let make = suggest::command_in_error(self.lab, &suggest::of_model(self.model), "extract", &rest);
            let make = format!(
                "activations at {point}, which define 1x; extract them with `{make}`, or give the dose in activation"
            );
            Error::bad_file(store.place(), "none", make)
        };
        let rows = store.load(point).map_err(missing)?;
        let encoded = self.dictionary.encode(rows.view())?;
        let greatest = encoded.column(self.index).iter().copied().fold(0.0, f32::max);
        if greatest > 0.0 {
            return Ok(f64::from(greatest));
        }
        let found = format!("never active on {}", self.dataset);
        let expected = "another latent, another --dataset, or a dose in activation";
        Err(Error::invalid(format!("latent {}", self.index), found, expected))
    }
}
