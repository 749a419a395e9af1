//! Latents of sparse dictionaries: active entities and tokens, groups, and the effect of clamping.

use serde::{Deserialize, Serialize};

/// A latent of a sparse dictionary over a dataset's entities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LatentRow {
    /// The latent.
    pub unit: usize,
    /// The share of entities on which it is active.
    pub density: f64,
    /// Its greatest activation.
    pub greatest: f64,
    /// The rank of the entity by its activation, from 1.
    pub rank: usize,
    /// The entity.
    pub entity: String,
    /// The latent's activation on the entity.
    pub activation: f64,
}

/// The quality of a latent of a sparse dictionary as a classifier of one group of entities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LatentGroupRow {
    /// `unit` for the best group of a latent, `group` for the best latent of a group, both chosen on training entities.
    pub chosen_for: String,
    /// The latent.
    pub unit: usize,
    /// The column of the dataset.
    pub column: String,
    /// The group.
    pub group: String,
    /// The least activation at which an entity is classified into the group; chosen for the best F1 on training
    /// entities.
    pub threshold: f64,
    /// The F1 on training entities at this threshold.
    pub train_f1: f64,
    /// Precision: the share of the group among the test entities classified into it.
    pub precision: Option<f64>,
    /// Recall: the share of the group's test entities that are classified into it.
    pub recall: Option<f64>,
    /// F1 on test entities.
    pub f1: Option<f64>,
    /// The area under the precision–recall curve on test entities.
    pub average_precision: Option<f64>,
    /// The share of the group among test entities: the average precision of a random ranking.
    pub share: Option<f64>,
    /// The number of test entities of the group.
    pub n_test: usize,
}

/// A token of a text on which a latent of a sparse dictionary is active.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LatentTokenRow {
    /// The latent.
    pub unit: usize,
    /// The rank of the token by the latent's activation, from 1.
    pub rank: usize,
    /// The activation.
    pub activation: f64,
    /// The text before the token.
    pub before: String,
    /// The token.
    pub token: String,
    /// The text after the token.
    pub after: String,
}

/// The effect of clamping a latent of a sparse dictionary, over all prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClampRow {
    /// The group of the latent.
    pub group: String,
    /// The latent; in `random` rows, the other latent whose direction is added.
    pub unit: usize,
    /// `unit`, or `random`: the direction of another latent, added with the length of the clamp's change.
    pub way: String,
    /// The activation at which the latent is clamped, as a multiple of its greatest activation on the dataset.
    pub times: f64,
    /// The mean change of the log-probability of the group's name, in nats.
    pub own: f64,
    /// The mean change over all other groups' names, in nats.
    pub others: f64,
    /// The rank of the group among all groups by the change of their log-probability: 1 is the most raised.
    pub rank: usize,
    /// The number of groups.
    pub n_groups: usize,
    /// The share of texts that name this group first.
    pub named: f64,
    /// The share of texts that name this group first without clamping.
    pub named_before: f64,
    /// The mean Kullback–Leibler divergence of the next-token distribution from the unclamped model's, in nats.
    pub kl: f64,
    /// The number of prompts.
    pub n_prompts: usize,
}
