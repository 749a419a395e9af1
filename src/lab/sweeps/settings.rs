//! The plan of a sweep, as an experiment file or the flags of `mappa steer sweep` give it.

use super::super::steering::Latent;
use super::super::written::{each, maybe, written};
use crate::steering::{Basis, LayerSet, TokenChoice};
use serde::Deserialize;
use std::ops::Range;
use std::path::PathBuf;

/// One dose–response sweep.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepSettings {
    /// The name of its folder; by default the kind, else the target.
    pub called: Option<String>,
    /// `place` or `year`, a name for the folder where no other is given.
    pub kind: Option<String>,
    /// The dataset whose probe steers; in an experiment one of its own.
    pub dataset: String,
    /// The folder of probes, where the newest of the dataset are not meant.
    pub probes: Option<PathBuf>,
    /// `latitude`, `longitude`, `year` or another target that was probed.
    pub target: String,
    /// The doses, in the target's unit; in rms for a file's direction or a dictionary's latent.
    pub doses: Vec<f64>,
    /// The texts that are continued.
    #[serde(default)]
    pub prompts: Vec<String>,
    /// In place of texts: the dataset's test entities with these values, such as `country=Japan`.
    #[serde(default)]
    pub entities: Vec<String>,
    /// The text around each of them.
    #[serde(default = "bare")]
    pub template: String,
    /// The block whose output is moved; by default a middle one.
    pub layer: Option<usize>,
    /// In place of one block: several, one after the other; together with `+` between them.
    #[serde(default, deserialize_with = "each")]
    pub layers: Vec<LayerSet>,
    /// Along the probe's pattern, its weights, or both.
    #[serde(default = "pattern", deserialize_with = "each")]
    pub along: Vec<Basis>,
    /// A file of vectors in place of the probe's direction.
    pub direction: Option<PathBuf>,
    /// A latent of a sparse dictionary in place of the probe's direction.
    #[serde(default, deserialize_with = "maybe")]
    pub feature: Option<Latent>,
    /// The tokens that are changed.
    #[serde(default = "all", deserialize_with = "written")]
    pub at: TokenChoice,
    /// The number of random directions for comparison.
    #[serde(default = "three")]
    pub random: u64,
    /// The number of tokens that are generated.
    #[serde(default = "sixteen")]
    pub tokens: usize,
    /// Entities whose probability is followed: `country=Japan`, `age=Roman`.
    pub names: Option<String>,
    /// The column by which the answer is read out of the text: `country`, `age`.
    pub read: Option<String>,
    /// The divergence of the next token that the recommended dose may cost, in nats.
    #[serde(default = "two")]
    pub budget: f64,
}

impl SweepSettings {
    /// The name of its folder.
    pub fn name(&self) -> &str {
        self.called.as_ref().or(self.kind.as_ref()).unwrap_or(&self.target)
    }

    /// The texts that are continued, each within the template.
    pub fn texts(&self) -> Vec<String> {
        self.prompts.iter().map(|prompt| self.template.replace("{}", prompt)).collect()
    }

    /// The place of the prompt in each text.
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
