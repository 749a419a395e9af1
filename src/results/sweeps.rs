//! Dose–response sweeps of steering.

use serde::{Deserialize, Serialize};

/// One point of a dose–response sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepRow {
    /// The kind of target: `place`, `year` or `quantity`.
    pub kind: String,
    /// The steered prompt.
    pub prompt: String,
    /// The steered layer, or several joined by `+` that are steered together.
    pub layers: String,
    /// `probe` (along the probe's pattern, or along the vector of a file or a latent), `weights` (along the probe's
    /// weights), `random`, or another name.
    pub direction: String,
    /// The seed of the random direction; 0 for other directions.
    pub seed: u64,
    /// The target that the direction moves, such as `latitude`, `longitude` or `year`.
    pub target: String,
    /// The requested change of the prediction, in the target's unit; in rms for the vector of a file or a latent. A random
    /// direction changes the stream by the same length as the probe's direction at this dose.
    pub dose: f64,
    /// The layer at which the probe predicts.
    pub read_layer: usize,
    /// The probe's prediction at that layer, in the target's unit.
    pub reading: f64,
    /// Kullback–Leibler divergence of the next-token distribution from the unsteered one, in nats.
    pub kl: f64,
    /// Perplexity of the text under the unsteered model; empty for an empty text.
    pub perplexity: Option<f64>,
    /// Share of repeated token pairs in the text, 0 to 1.
    pub repetition: f64,
    /// The log-probability that the prompt continues with one of the given names, in nats; empty if no names are given.
    #[serde(default)]
    pub names_log_prob: Option<f64>,
    /// The first place or age that the text names, if a gazetteer was given.
    #[serde(default)]
    pub named: String,
    /// Its value in the target's unit; empty if the text names nothing known.
    #[serde(default)]
    pub named_value: Option<f64>,
    /// The generated text.
    pub text: String,
}

/// A point of a sweep: the mean over prompts, and over seeds for a random direction.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SweepPoint {
    /// The steered layer, or several joined by `+` that are steered together.
    pub layers: String,
    /// The direction; `random` for all random directions.
    pub direction: String,
    /// The dose.
    pub dose: f64,
    /// The mean change from dose 0 of the prediction, the text's value or the log-probability of the names; positive
    /// along the dose; 0 if no text is in the mean.
    pub effect: f64,
    /// The mean Kullback–Leibler divergence of the next token, in nats.
    pub kl: f64,
    /// The number of texts.
    pub n: usize,
    /// The number of texts that can be compared: if the text is measured, those whose unsteered text names something
    /// known, otherwise all.
    pub n_compared: usize,
    /// The number of texts in the mean effect: those that can be compared, and name something themselves.
    pub n_read: usize,
    /// The number of compared texts that name something further along the dose than the unsteered text.
    pub along: usize,
    /// The number of compared texts that name something further against the dose.
    pub against: usize,
    /// The number of compared texts that name nothing known; they are in no mean.
    pub nothing: usize,
}
