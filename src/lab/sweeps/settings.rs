//! The settings of a sweep, from an experiment file or the flags of `mappa steer sweep`.

use super::super::steering::Latent;
use super::super::written::{each, maybe, written};
use crate::artefact::FolderName;
use crate::error::Result;
use crate::steering::{Basis, LayerSet, TokenChoice};
use serde::Deserialize;
use std::ops::Range;
use std::path::PathBuf;

/// The settings of one dose–response sweep.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepSettings {
    /// The name of its folder; by default the kind, otherwise the target.
    pub called: Option<String>,
    /// `place` or `year`, the default name of the folder.
    pub kind: Option<String>,
    /// The dataset of the steering probe; in an experiment, one of the experiment's datasets.
    pub dataset: String,
    /// The folder of probes; by default the dataset's folder with the best test R², in an experiment its own probes.
    pub probes: Option<PathBuf>,
    /// The target to move: `latitude`, `longitude`, `year` or another probed target.
    pub target: String,
    /// The doses, in the target's unit; in rms for a file's direction or a dictionary's latent.
    pub doses: Vec<f64>,
    /// The texts to continue.
    #[serde(default)]
    pub prompts: Vec<String>,
    /// Selects test entities of the dataset in place of `prompts`, by a value such as `country=Japan`.
    #[serde(default)]
    pub entities: Vec<String>,
    /// The template around each text or entity.
    #[serde(default = "bare")]
    pub template: String,
    /// The block whose output is changed; by default one chosen from the probes and the depth.
    pub layer: Option<usize>,
    /// Several layer sets in place of `layer`, swept one after the other; `+` joins blocks that are changed together.
    #[serde(default, deserialize_with = "each")]
    pub layers: Vec<LayerSet>,
    /// The directions: the probe's pattern, its weights, or both.
    #[serde(default = "pattern", deserialize_with = "each")]
    pub along: Vec<Basis>,
    /// A file of vectors, which replaces the probe's direction.
    pub direction: Option<PathBuf>,
    /// A latent of a sparse dictionary, which replaces the probe's direction.
    #[serde(default, deserialize_with = "maybe")]
    pub feature: Option<Latent>,
    /// The tokens to change.
    #[serde(default = "all", deserialize_with = "written")]
    pub at: TokenChoice,
    /// The number of random directions for comparison.
    #[serde(default = "three")]
    pub random: u64,
    /// The number of tokens to generate.
    #[serde(default = "sixteen")]
    pub tokens: usize,
    /// Selects entities whose probability is measured: `country=Japan`, `age=Roman`.
    pub names: Option<String>,
    /// The column whose values are searched for in the generated text, as its answer: `country`, `age`.
    pub read: Option<String>,
    /// The maximum KL divergence of the next token at the recommended dose, in nats.
    #[serde(default = "two")]
    pub budget: f64,
}

impl SweepSettings {
    /// The name of the sweep.
    pub fn name(&self) -> &str {
        self.called.as_ref().or(self.kind.as_ref()).unwrap_or(&self.target)
    }

    /// The name of its folder.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a name that a folder cannot have.
    pub fn folder(&self) -> Result<FolderName> {
        FolderName::new("--called", self.name())
    }

    /// The texts to continue, each inserted into the template.
    pub fn texts(&self) -> Vec<String> {
        self.prompts.iter().map(|prompt| self.template.replace("{}", prompt)).collect()
    }

    /// The byte range of the prompt in each text.
    pub fn parts(&self) -> Vec<Range<usize>> {
        let begin = self.template.find("{}").unwrap_or(0);
        self.prompts.iter().map(|prompt| begin..begin + prompt.len()).collect()
    }
}

fn bare() -> String {
    "{}".into()
}

fn pattern() -> Vec<Basis> {
    vec![Basis::Pattern]
}

fn all() -> TokenChoice {
    TokenChoice::All
}

fn three() -> u64 {
    3
}

fn sixteen() -> usize {
    16
}

fn two() -> f64 {
    2.0
}
