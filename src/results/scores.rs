//! Scores and predictions of probes and baselines.

use crate::hook_point::HookPoint;
use serde::{Deserialize, Serialize};

/// One score of one method at one hook point, with its 95 % interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreRow {
    /// The dataset's name.
    pub dataset: String,
    /// The model's name; empty for methods that need no model.
    pub model: String,
    /// The prompt's name.
    pub prompt: String,
    /// The hook point as it is printed; empty for methods that need no model.
    pub hook_point: String,
    /// `embed` or the block index; empty for methods that need no model.
    pub layer: String,
    /// `ridge` or another method, `ridge+` with a text baseline (such as `ridge+text`), `nested-ridge` (a layer for each
    /// fold), the oracle `group centroid`, or a baseline: `names-only`, `word-vectors`, `text`, `untrained`, `shuffled-weights`, `shuffled`; the baseline of
    /// another method is `METHOD/BASELINE`.
    pub method: String,
    /// `train`, `test` or `leave-one-out`, or the leave-one-out score of a fold (`leave-one-out of fold 1`).
    pub split: String,
    /// `r2`, `spearman`, `mean_km`, `median_km`, `mae_years` or `mae_` and another unit, …; docs/probes.md lists them.
    pub metric: String,
    /// `latitude`, `longitude`, `year`, a quantity's name, or `mean` over the targets; for classes their column.
    pub target: String,
    /// The score.
    pub value: f64,
    /// Lower end of the 95 % bootstrap interval.
    pub low: f64,
    /// Upper end of the 95 % bootstrap interval.
    pub high: f64,
}

/// Split of scores on training entities.
pub const TRAIN: &str = "train";
/// Split of scores on test entities.
pub const TEST: &str = "test";
/// Split of leave-one-out scores: each training entity is predicted by a fit without it.
pub const LEAVE_ONE_OUT: &str = "leave-one-out";

/// The metric of a fit's penalty.
pub const PENALTY: &str = "penalty";
/// Metric: the share of the variance that predictions explain.
pub const R2: &str = "r2";
/// Metric of two classes: the area under the receiver operating characteristic.
pub const AUROC: &str = "auroc";
/// Metric of two classes: average precision.
pub const AVERAGE_PRECISION: &str = "average_precision";
/// Metric of classes: the share of correct predictions.
pub const ACCURACY: &str = "accuracy";
/// Metric of classes: minus the mean log-probability of the true class, in nats.
pub const LOG_LOSS: &str = "log_loss";
/// Metric of classes: the share by which the log-loss is below that of the shares of the classes.
pub const MCFADDEN_R2: &str = "mcfadden_r2";
/// Metric: accuracy from text and activations together, minus that from the text alone.
pub const SURPLUS_OF_ACCURACY: &str = "surplus_accuracy";
/// Metric: log-loss from the text alone, minus that from text and activations together.
pub const SURPLUS_OF_LOG_LOSS: &str = "surplus_log_loss";
/// Metric: McFadden's R² from text and activations together, minus that from the text alone.
pub const SURPLUS_OF_MCFADDEN_R2: &str = "surplus_mcfadden_r2";
/// Metric of an angle: the share of its circular variance that predictions explain.
pub const CIRCULAR_R2: &str = "circular_r2";
/// Target of scores averaged over the targets.
pub const MEAN: &str = "mean";

/// Method: the ridge probe.
pub const RIDGE: &str = "ridge";
/// Methods: ridge probes of the best k dimensions; the number follows after a hyphen.
pub const K_SPARSE: &str = "k-sparse";
/// Baseline: a ridge on hashed n-grams of the name alone.
pub const NAMES_ONLY: &str = "names-only";
/// Baseline: a ridge on the static word vectors of the name.
pub const WORD_VECTORS: &str = "word-vectors";
/// Baseline: a ridge on both the n-grams and the word vectors of the name.
pub const TEXT: &str = "text";
/// The probe on both the activations and the text of [`TEXT`].
pub const RIDGE_AND_TEXT: &str = "ridge+text";
/// Method: the ridge probe with a layer for each fold, chosen by the fold's own training entities; with text, followed
/// by `+` and the text baseline.
pub const NESTED: &str = "nested-ridge";
/// Metric: R² of text and activations together, minus that of the text alone.
pub const SURPLUS: &str = "surplus_r2";
/// Oracle: the mean target of the entity's true group over the training entities.
pub const CENTROID: &str = "group centroid";
/// Baseline: the same probe on an untrained model of the same shape.
pub const UNTRAINED: &str = "untrained";
/// Baseline: the same probe on the model with each weight tensor shuffled.
pub const SHUFFLED_WEIGHTS: &str = "shuffled-weights";
/// Baseline for classification: the most frequent class of the training entities.
pub const MAJORITY: &str = "majority";
/// Baseline: the same probe trained on shuffled targets.
pub const SHUFFLED: &str = "shuffled";

/// The true value of one entity and target, and the probe's prediction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictionRow {
    /// The dataset's name.
    pub dataset: String,
    /// The entity's name.
    pub name: String,
    /// The entity's group, as the oracle uses it.
    pub group: String,
    /// `train` or `test`.
    pub split: String,
    /// The hook point as it is printed.
    pub hook_point: String,
    /// `latitude`, `longitude`, `year`, or a quantity's name.
    pub target: String,
    /// The true value, in the target's unit.
    pub truth: f64,
    /// The prediction, in the target's unit.
    pub prediction: f64,
}

/// The two columns of a hook point: its name and its layer.
pub fn hook_columns(point: HookPoint) -> (String, String) {
    (point.to_string(), point.label())
}

/// The columns that pick one score of a table at each hook point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreKey<'a> {
    /// The method.
    pub method: &'a str,
    /// The split.
    pub split: &'a str,
    /// The metric.
    pub metric: &'a str,
    /// The target.
    pub target: &'a str,
}

impl<'a> ScoreKey<'a> {
    /// A test score.
    pub fn test(method: &'a str, metric: &'a str, target: &'a str) -> ScoreKey<'a> {
        ScoreKey { method, split: TEST, metric, target }
    }

    /// The test R², averaged over the targets.
    pub fn test_r2(method: &'a str) -> ScoreKey<'a> {
        ScoreKey::test(method, R2, MEAN)
    }

    /// Returns true if a row has these values in its columns.
    pub fn picks(&self, row: &ScoreRow) -> bool {
        let ScoreRow { method, split, metric, target, .. } = row;
        ScoreKey { method, split, metric, target } == *self
    }

    /// The score at every hook point, in the order of the rows.
    pub fn all(self, rows: &'a [ScoreRow]) -> impl Iterator<Item = &'a ScoreRow> {
        rows.iter().filter(move |row| self.picks(row))
    }

    /// The score at a hook point; `point` is `None` for a method that needs no model.
    pub fn at(self, rows: &[ScoreRow], point: Option<HookPoint>) -> Option<&ScoreRow> {
        let name = point.map(|point| point.to_string()).unwrap_or_default();
        rows.iter().find(|row| row.hook_point == name && self.picks(row))
    }
}
