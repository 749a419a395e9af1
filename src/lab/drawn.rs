//! The saved rows of one dataset, with the captions of their figures.

use super::placed::check_place;
use crate::error::Result;
use crate::figures::Captioned;
use crate::hook_point::HookPoint;
use crate::probes::{best_point, test_r2};
use crate::results::{
    ACCURACY, AUROC, CENTROID, K_SPARSE, NAMES_ONLY, NeuronRow, PREDICTIONS_FILE, PredictionRow, RIDGE,
    SCORES_FILE, SHUFFLED, SHUFFLED_WEIGHTS, STRATA_FILE, ScoreRow, StratumRow, TEST, UNITS_FILE, UNTRAINED,
    WORD_VECTORS, load_unchanged_rows,
};
use std::path::Path;

/// The rows of one dataset, for drawing.
pub struct Drawn {
    /// The dataset.
    pub dataset: String,
    /// Its scores.
    pub scores: Vec<ScoreRow>,
    /// Its predictions at the best layer.
    pub predictions: Vec<PredictionRow>,
    /// Its MLP neurons, if they were analysed.
    pub neurons: Vec<NeuronRow>,
    /// The strata of its test entities, if they were scored.
    pub strata: Vec<StratumRow>,
}

impl Drawn {
    /// Loads the rows of a folder of probes.
    ///
    /// # Errors
    /// Those of the files.
    pub fn load(dataset: &str, folder: &Path) -> Result<Drawn> {
        check_place(folder)?;
        let units = folder.join("neurons").join(UNITS_FILE);
        let strata = folder.join("strata").join(STRATA_FILE);
        Ok(Drawn {
            dataset: dataset.into(),
            scores: load_unchanged_rows(&folder.join(SCORES_FILE))?,
            predictions: load_unchanged_rows(&folder.join(PREDICTIONS_FILE))?,
            neurons: if units.is_file() { load_unchanged_rows(&units)? } else { Vec::new() },
            strata: if strata.is_file() { load_unchanged_rows(&strata)? } else { Vec::new() },
        })
    }
}

/// The predictions at the best layer.
pub(super) fn captioned_predictions(model: &str, drawn: &Drawn) -> Result<Captioned<PredictionRow>> {
    let Drawn { dataset, scores, predictions, .. } = drawn;
    let point = best_point(scores)?;
    let r2 = test_r2(scores, RIDGE, Some(point));
    let interval = |r: &ScoreRow| format!("test R² {:.3} (95 % {:.3} to {:.3})", r.value, r.low, r.high);
    Ok(Captioned {
        rows: predictions.clone(),
        title: format!("{dataset}, {model}, {point}"),
        subtitle: r2.map_or(String::new(), interval),
        baselines: baselines(scores, point),
    })
}

/// The scores of a dataset's classes; without AUROC if it is not defined because the test rows, or those of every
/// resample, have one class.
pub(super) fn captioned_classes(model: &str, Drawn { dataset, scores, .. }: &Drawn) -> Captioned<ScoreRow> {
    let Some(column) = scores.iter().find(|row| row.metric == ACCURACY).map(|row| &row.target) else {
        return Captioned::default();
    };
    let is_auroc = |row: &&ScoreRow| row.metric == AUROC && row.split == TEST;
    let is_defined = |row: &ScoreRow| [row.value, row.low, row.high].iter().all(|value| value.is_finite());
    let is_shown = scores.iter().filter(is_auroc).all(is_defined);
    let rows = scores.iter().filter(|row| row.target == *column && (is_shown || row.metric != AUROC));
    Captioned {
        rows: rows.cloned().collect(),
        title: format!("{dataset}, {model}"),
        subtitle: format!("classes of the column {column}"),
        baselines: String::new(),
    }
}

/// The scores of a dataset's probes of few dimensions at the best layer, if there are any.
pub(super) fn captioned_sparse(
    model: &str,
    Drawn { dataset, scores, .. }: &Drawn,
) -> Result<Captioned<ScoreRow>> {
    let is_sparse = |row: &ScoreRow| row.method.starts_with(K_SPARSE);
    if !scores.iter().any(is_sparse) {
        return Ok(Captioned::default());
    }
    let point = best_point(scores)?.to_string();
    let is_drawn = |row: &&ScoreRow| row.hook_point.is_empty() || row.hook_point == point;
    Ok(Captioned {
        rows: scores.iter().filter(is_drawn).cloned().collect(),
        title: format!("{dataset}, {model}, {point}"),
        subtitle: "ridge probes of the best k dimensions, chosen on training rows".into(),
        baselines: String::new(),
    })
}

/// MLP neurons of a dataset.
pub(super) fn captioned_neurons(model: &str, dataset: &str, rows: &[NeuronRow]) -> Captioned<NeuronRow> {
    Captioned {
        rows: rows.to_vec(),
        title: format!("{}, {model}: MLP units", dataset.replace('_', " ")),
        subtitle: "rank correlation with the target, training entities".into(),
        baselines: String::new(),
    }
}

/// The R² of each baseline at a hook point, as text; empty if no baseline was scored.
pub(super) fn baselines(scores: &[ScoreRow], point: HookPoint) -> String {
    let embed = Some(HookPoint::ResidPre(0)).filter(|_| scores.iter().any(|row| row.method == UNTRAINED));
    let all = [
        ("names only", NAMES_ONLY, None),
        ("word vectors", WORD_VECTORS, None),
        ("untrained", UNTRAINED, Some(point)),
        ("shuffled weights", SHUFFLED_WEIGHTS, Some(point)),
        ("embed", RIDGE, embed),
        ("shuffled labels", SHUFFLED, Some(point)),
        ("oracle: the group's mean", CENTROID, None),
    ];
    let words = all.into_iter().filter_map(|(name, method, point)| {
        let score = test_r2(scores, method, point)?;
        Some(format!("{name} {:.2}", score.value).replace('-', "−"))
    });
    words.collect::<Vec<String>>().join(", ")
}
