//! Titles and subtitles of the figures of one dataset, and the rows below them.

use crate::error::Result;
use crate::figures::Captioned;
use crate::hook_point::HookPoint;
use crate::probes::{StrataFinding, best_point, test_r2};
use crate::results::{
    ACCURACY, ALL, CENTROID, K_SPARSE, MEAN, NAMES_ONLY, NeuronRow, PredictionRow, RIDGE, SHUFFLED,
    SHUFFLED_WEIGHTS, ScoreRow, StratumRow, UNTRAINED, WORD_VECTORS,
};

/// The model and the dataset of a figure.
#[derive(Clone, Copy)]
pub(super) struct Named<'a> {
    pub model: &'a str,
    pub dataset: &'a str,
}

/// The predictions at the best layer.
pub(super) fn captioned_predictions(
    of: Named,
    scores: &[ScoreRow],
    predictions: &[PredictionRow],
) -> Result<Captioned<PredictionRow>> {
    let Named { model, dataset } = of;
    let point = best_point(scores)?;
    let r2 = test_r2(scores, RIDGE, Some(point));
    let interval = |r: &ScoreRow| format!("test R² {:.3} (95 % {:.3} to {:.3})", r.value, r.low, r.high);
    Ok(Captioned {
        rows: predictions.to_vec(),
        title: format!("{dataset}, {model}, {point}"),
        subtitle: r2.map_or(String::new(), interval),
        baselines: baselines(scores, point),
    })
}

/// The scores of a dataset's classes.
pub(super) fn captioned_classes(of: Named, scores: &[ScoreRow]) -> Captioned<ScoreRow> {
    let Named { model, dataset } = of;
    let Some(column) = scores.iter().find(|row| row.metric == ACCURACY).map(|row| &row.target) else {
        return Captioned::default();
    };
    Captioned {
        rows: scores.iter().filter(|row| row.target == *column).cloned().collect(),
        title: format!("{dataset}, {model}"),
        subtitle: format!("classes of the column {column}"),
        baselines: String::new(),
    }
}

/// The scores of a dataset's probes of few dimensions at the best layer, if there are any.
pub(super) fn captioned_sparse(of: Named, scores: &[ScoreRow]) -> Result<Captioned<ScoreRow>> {
    let Named { model, dataset } = of;
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

/// The MLP neurons of a dataset.
pub(super) fn captioned_neurons(of: Named, rows: &[NeuronRow]) -> Captioned<NeuronRow> {
    let Named { model, dataset } = of;
    Captioned {
        rows: rows.to_vec(),
        title: format!("{}, {model}: MLP units", dataset.replace('_', " ")),
        subtitle: "rank correlation with the target, training entities".into(),
        baselines: String::new(),
    }
}

/// The strata over the strongest text, of the mean over the targets.
pub(super) fn captioned_strata(rows: &[StratumRow]) -> Captioned<StratumRow> {
    let text = StrataFinding::strongest_text(rows).unwrap_or_default();
    let rows: Vec<StratumRow> =
        rows.iter().filter(|row| row.text == text && row.target == MEAN).cloned().collect();
    let Some(whole) = rows.iter().find(|row| row.by == ALL) else { return Captioned::default() };
    let StratumRow { dataset, model, hook_point, surplus, surplus_low, surplus_high, .. } = whole;
    let title = format!("{}, {model}, {hook_point}: where the surplus lies", dataset.replace('_', " "));
    let subtitle = format!("surplus over `{text}` {surplus:.3} (95 % {surplus_low:.3} to {surplus_high:.3})");
    Captioned { rows, title, subtitle: subtitle.replace('-', "−"), baselines: String::new() }
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
