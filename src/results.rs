//! Result rows: what probes and steering write, what figures read, as tidy CSV.

use crate::artefact;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// One score of one method at one hook point, with its 95 % interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreRow {
    /// The dataset's name.
    pub dataset: String,
    /// The model's name; empty for methods that read no model.
    pub model: String,
    /// The prompt's name.
    pub prompt: String,
    /// The hook point as it is printed; empty for methods that read no model.
    pub hook_point: String,
    /// `embed` or the block index; empty for methods that read no model.
    pub layer: String,
    /// `ridge` or another reader, or a baseline: `names-only`, `group centroid`, `untrained`,
    /// `shuffled-weights`, `shuffled`; a baseline of another reader is `READER/BASELINE`.
    pub method: String,
    /// `train`, `test` or `leave-one-out`.
    pub split: String,
    /// `r2`, `spearman`, `mean_km`, `median_km`, `mae_years` or `mae_` and another unit, …; docs/probes.md lists them.
    pub metric: String,
    /// `latitude`, `longitude`, `year`, a quantity's own name, or `mean` over the targets; for classes their column.
    pub target: String,
    /// The score.
    pub value: f64,
    /// Lower end of the 95 % bootstrap interval.
    pub low: f64,
    /// Upper end of the 95 % bootstrap interval.
    pub high: f64,
}

/// Scores of a probe on activations.
pub const RIDGE: &str = "ridge";
/// Baseline: a ridge on hashed n-grams of the name alone.
pub const NAMES_ONLY: &str = "names-only";
/// Baseline: the mean target of the entity's group in the training rows.
pub const CENTROID: &str = "group centroid";
/// Baseline: the same probe on an untrained model of the same shape.
pub const UNTRAINED: &str = "untrained";
/// Baseline: the same probe on the model with the numbers of each weight tensor shuffled.
pub const SHUFFLED_WEIGHTS: &str = "shuffled-weights";
/// Baseline for classes: the class that most training entities have.
pub const MAJORITY: &str = "majority";
/// Baseline: the same probe trained on shuffled targets.
pub const SHUFFLED: &str = "shuffled";

/// One entity's true value and what a method read for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictionRow {
    /// The dataset's name.
    pub dataset: String,
    /// The entity.
    pub name: String,
    /// Its group, as the centroid baseline uses it.
    pub group: String,
    /// `train` or `test`.
    pub split: String,
    /// The hook point as it is printed.
    pub hook_point: String,
    /// `latitude`, `longitude`, `year`, or a quantity's own name.
    pub target: String,
    /// The dataset's value, in the target's unit.
    pub truth: f64,
    /// The probe's reading, in the target's unit.
    pub prediction: f64,
}

/// One score of two ways to read the same test entities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRow {
    /// The score, as in `scores.csv`.
    pub metric: String,
    /// The target, as in `scores.csv`.
    pub target: String,
    /// What A scores.
    pub a: f64,
    /// What B scores.
    pub b: f64,
    /// A less B.
    pub difference: f64,
    /// Lower end of the difference's 95 % interval, both sides drawn alike.
    pub low: f64,
    /// Upper end of it.
    pub high: f64,
}

/// How many principal components the stream and a probe's reading lie in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParticipationRow {
    /// The dataset's name.
    pub dataset: String,
    /// The model's name.
    pub model: String,
    /// The prompt's name.
    pub prompt: String,
    /// The hook point as it is printed.
    pub hook_point: String,
    /// `embed` or the block index.
    pub layer: String,
    /// The target that the probe reads.
    pub target: String,
    /// The width of the stream: the most that either number can be.
    pub d_model: usize,
    /// The participation ratio of the stream's principal components.
    pub stream: f64,
    /// The participation ratio of the components that the probe's reading is made of.
    pub probe: f64,
}

/// The angle between two readings: of two layers, two targets, or two datasets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CosineRow {
    /// The model's name.
    pub model: String,
    /// The prompt's name.
    pub prompt: String,
    /// The first reading's dataset.
    pub dataset_a: String,
    /// Its hook point as it is printed.
    pub hook_point_a: String,
    /// Its layer: `embed` or the block index.
    pub layer_a: String,
    /// Its target.
    pub target_a: String,
    /// The second reading's dataset.
    pub dataset_b: String,
    /// Its hook point as it is printed.
    pub hook_point_b: String,
    /// Its layer: `embed` or the block index.
    pub layer_b: String,
    /// Its target.
    pub target_b: String,
    /// The cosine between their weights: what reads.
    pub weights: f64,
    /// The cosine between their patterns: how the stream moves.
    pub pattern: f64,
}

/// One unit of an MLP and one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NeuronRow {
    /// The dataset's name.
    pub dataset: String,
    /// The model's name.
    pub model: String,
    /// The prompt's name.
    pub prompt: String,
    /// The hook point of the unit as it is printed.
    pub hook_point: String,
    /// The block.
    pub layer: usize,
    /// The unit within its block, from 0.
    pub unit: usize,
    /// The target.
    pub target: String,
    /// Spearman's rank correlation of the unit with the target over training entities.
    pub rho: f64,
    /// How probable a correlation as strong is by chance.
    pub p: f64,
    /// The same, adjusted for all units of all blocks (Benjamini and Hochberg).
    pub q: f64,
    /// Cosine of the unit's input weights and the probe of the stream that enters the block.
    pub input_cosine: f64,
    /// Cosine of the unit's output weights and the probe of the stream that leaves the block.
    pub output_cosine: f64,
}

/// What becomes of the probe's score and of the losses when some units are held at their mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AblationRow {
    /// The dataset's name.
    pub dataset: String,
    /// The model's name.
    pub model: String,
    /// The prompt's name.
    pub prompt: String,
    /// The target by which units were chosen and that is read.
    pub target: String,
    /// The hook point that is read.
    pub hook_point: String,
    /// `none`, or how units were chosen: `correlated`, `input`, `output`, or `random` of the same blocks.
    pub units: String,
    /// Which of the random choices; 0 for the others.
    pub seed: u64,
    /// How many units are held.
    pub k: usize,
    /// R² of the reading on test entities.
    pub r2: f64,
    /// Mean loss of a token in the entities' texts, in nats; not a number where the model does not generate.
    pub entity_loss: f64,
    /// Mean loss of a token in the control texts, in nats; as above.
    pub control_loss: f64,
}

/// One point of a dose–response sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepRow {
    /// Which sweep: `place` or `year`.
    pub kind: String,
    /// The prompt that was steered.
    pub prompt: String,
    /// The layer whose output was moved; several that were moved together with `+` between them.
    pub layers: String,
    /// `probe` (along its pattern), `weights` (along the probe's weights), `random`, or a name.
    pub direction: String,
    /// Which of the random directions; 0 for the others.
    pub seed: u64,
    /// The target that the probe's direction moves: `latitude`, `longitude` or `year`.
    pub target: String,
    /// How far the reading was asked to move, in the target's unit; a random direction moves the
    /// stream as far as the probe's direction does at the same dose.
    pub dose: f64,
    /// The layer at which the reading was taken.
    pub read_layer: usize,
    /// The probe's reading there, in the target's unit.
    pub reading: f64,
    /// Kullback–Leibler divergence of the next-token distribution from the unsteered one, in nats.
    pub kl: f64,
    /// Perplexity of the text under the unsteered model; empty for a text of no tokens.
    pub perplexity: Option<f64>,
    /// Share of repeated token pairs in the text, 0 to 1.
    pub repetition: f64,
    /// Log-probability that the prompt goes on with one of the names looked for, in nats; empty without any.
    #[serde(default)]
    pub names_log_prob: Option<f64>,
    /// The first place or age that the text names, if what reads it was given.
    #[serde(default)]
    pub named: String,
    /// Where or when that is, in the target's unit; empty where the text names nothing known.
    #[serde(default)]
    pub named_value: Option<f64>,
    /// The generated text.
    pub text: String,
}

/// A point of a sweep: the mean over prompts, and over seeds where the direction is random.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SweepPoint {
    /// The block whose output was moved; several that were moved together with `+` between them.
    pub layers: String,
    /// Along what; `random` stands apart.
    pub direction: String,
    /// How far.
    pub dose: f64,
    /// The change from dose 0, along the dose's sign.
    pub effect: f64,
    /// Divergence of the next token, in nats.
    pub kl: f64,
    /// How many texts there are.
    pub n: usize,
    /// How many of them name something further along the dose than the unsteered text does.
    pub along: usize,
    /// How many name something further against the dose.
    pub against: usize,
    /// How many name nothing that is known.
    pub nothing: usize,
}

/// A hook point's two columns: its name and its label.
pub fn hook_columns(point: HookPoint) -> (String, String) {
    (point.to_string(), point.label())
}

/// A unit of a sparse dictionary over a dataset's entities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureRow {
    /// The unit.
    pub unit: usize,
    /// The share of entities on which it is active.
    pub density: f64,
    /// Its greatest activation.
    pub greatest: f64,
    /// The rank of an entity by its activation, from 1 on.
    pub rank: usize,
    /// The entity.
    pub entity: String,
    /// The unit's activation there.
    pub activation: f64,
}

/// How well a unit of a sparse dictionary tells one group of entities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureGroupRow {
    /// `unit` for the group that training entities choose for a unit, `group` for the unit they choose for a group.
    pub chosen_for: String,
    /// The unit.
    pub unit: usize,
    /// The column of the dataset.
    pub column: String,
    /// The group.
    pub group: String,
    /// Entities with this activation or more are picked; the best of F1 on training entities.
    pub threshold: f64,
    /// That F1.
    pub train_f1: f64,
    /// On test entities: the share of the group among those that are picked.
    pub precision: Option<f64>,
    /// On test entities: the share of the group that is picked.
    pub recall: Option<f64>,
    /// On test entities.
    pub f1: Option<f64>,
    /// On test entities: the area under precision over recall.
    pub average_precision: Option<f64>,
    /// The share of the group among test entities: the average precision that chance reaches.
    pub share: Option<f64>,
    /// The number of test entities of the group.
    pub n_test: usize,
}

/// A token of a text on which a unit of a sparse dictionary is active.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureTokenRow {
    /// The unit.
    pub unit: usize,
    /// The rank of the token by the unit's activation, from 1 on.
    pub rank: usize,
    /// The activation.
    pub activation: f64,
    /// What stands before the token.
    pub before: String,
    /// The token.
    pub token: String,
    /// What stands after it.
    pub after: String,
}

/// What pressing a unit of a sparse dictionary does, over all prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PressRow {
    /// The group that the unit stands for.
    pub group: String,
    /// The unit; of `random` rows another unit.
    pub unit: usize,
    /// `unit`, or `random`: another unit, its direction added as long as the clamp's change.
    pub way: String,
    /// The activation that the unit is clamped to, in its greatest activation on the dataset.
    pub times: f64,
    /// The mean change of the log-probability of the group's name, in nats.
    pub own: f64,
    /// The mean change over all other groups' names, in nats.
    pub others: f64,
    /// The place of the group among all groups by that change: 1 is raised most.
    pub rank: usize,
    /// The number of groups.
    pub n_groups: usize,
    /// The share of texts that name the group first.
    pub named: f64,
    /// That share without pressing.
    pub named_before: f64,
    /// Mean divergence of the next token from the unpressed model's, in nats.
    pub kl: f64,
    /// The number of prompts.
    pub n_prompts: usize,
}

/// Writes rows as CSV with a header, whole or not at all.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn save_rows<R: Serialize>(path: &Path, rows: &[R]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).map_err(|e| Error::Internal(e.to_string()))?;
    }
    let bytes = writer.into_inner().map_err(|e| Error::Internal(e.to_string()))?;
    artefact::save_bytes(path, &bytes)
}

/// Reads rows that [`save_rows`] wrote.
///
/// # Errors
/// [`Error::BadRow`] naming file and row.
pub fn load_rows<R: DeserializeOwned>(path: &Path) -> Result<Vec<R>> {
    parse_rows(path, &artefact::load_bytes(path)?)
}

/// Reads rows from CSV text; `path` names it in errors.
///
/// # Errors
/// [`Error::BadRow`] naming file and row.
pub fn parse_rows<R: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<Vec<R>> {
    csv::Reader::from_reader(artefact::text_of(path, bytes)?.as_bytes())
        .deserialize()
        .zip(1..)
        .map(|(row, number)| {
            row.map_err(|e| Error::BadRow { path: path.to_path_buf(), row: number, problem: e.to_string() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions.csv");
        let rows = vec![PredictionRow {
            dataset: "world_place".into(),
            name: "Paris, \"Ville\"\nLumière".into(),
            group: "France".into(),
            split: "test".into(),
            hook_point: HookPoint::ResidPost(2).to_string(),
            target: "latitude".into(),
            truth: 48.8566,
            prediction: 0.1 + 0.2,
        }];
        save_rows(&path, &rows).unwrap();
        assert_eq!(load_rows::<PredictionRow>(&path).unwrap(), rows);
    }

    #[test]
    fn a_bad_row_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions.csv");
        std::fs::write(
            &path,
            "dataset,name,group,split,hook_point,target,truth,prediction\na,b,c,d,e,f,1,x\n",
        )
        .unwrap();
        let error = load_rows::<PredictionRow>(&path).unwrap_err().to_string();
        assert!(error.contains("predictions.csv: row 1"), "{error}");
    }
}
