//! AUROC of two classes, or accuracy of more, at each depth of the model.

use super::curves::{Curve, CurvePanel};
use super::figure_kind::{FigureKind, Subject};
use super::format::{Caption, Format};
use super::paint::paint;
use super::scene::Scene;
use super::style::*;
use crate::error::Result;
use crate::results::{
    ACCURACY, AUROC, MAJORITY, NAMES_ONLY, RIDGE_AND_TEXT, SHUFFLED, SHUFFLED_WEIGHTS, ScoreRow, TEST,
    TEXT as BOTH_TEXTS, UNTRAINED,
};

/// This figure's entry in [`FIGURES`](super::FIGURES).
pub(super) const FIGURE: FigureKind = FigureKind {
    name: "classes_by_layer",
    about: "AUROC or accuracy of a dataset's classes at each depth, with baselines",
    subject: Subject::Dataset { suffix: "_classes" },
    applies: |rows| !rows.classes.rows.is_empty(),
    draw: |rows, format| classes_by_layer(&rows.classes.rows, &rows.classes.caption(), format),
};

/// The colours of classifiers, in the order of their rows.
const CLASSIFIERS: [Ink; 3] = [BLUE, WINE, ORANGE];

/// Draws the test AUROC of two classes, or the accuracy of more, against depth: each classifier with its 95 % interval;
/// the first one also on an untrained model, on shuffled weights and on shuffled labels; the text with the activations;
/// and as horizontal lines the baselines without a model.
///
/// # Errors
/// [`crate::Error::Invalid`] without such rows; [`crate::Error::NonFinite`] for a score that is not finite.
pub fn classes_by_layer(rows: &[ScoreRow], caption: &Caption, format: Format) -> Result<Vec<u8>> {
    paint(&scene(rows, caption)?, format)
}

pub(super) fn scene(rows: &[ScoreRow], caption: &Caption) -> Result<Scene> {
    let has_two = rows.iter().any(|row| row.metric == AUROC);
    let metric = if has_two { AUROC } else { ACCURACY };
    let rows: Vec<&ScoreRow> = rows.iter().filter(|row| row.metric == metric && row.split == TEST).collect();
    let of = |method: &str| -> Vec<(Option<f64>, ScoreRow)> {
        let rows = rows.iter().filter(|row| row.method == method);
        rows.filter_map(|row| Some((depth(row)?, (*row).clone()))).collect()
    };
    let mut classifiers: Vec<&str> = Vec::new();
    for row in rows.iter().filter(|row| !row.layer.is_empty()) {
        let method = row.method.as_str();
        let is_classifier = !method.contains(['/', '+']) && !classifiers.contains(&method);
        if is_classifier {
            classifiers.push(method);
        }
    }
    let first = classifiers.first().copied().unwrap_or_default();
    let curve = |words: &str, stroke: Stroke, method: &str| Curve {
        words: words.into(),
        stroke,
        has_band: false,
        scores: of(method),
    };
    let of_first = |baseline: &str| format!("{first}/{baseline}");
    let mut curves = vec![
        curve("most frequent class", Stroke::dashed(ORANGE, 2.2, DASH_DOT), MAJORITY),
        curve("names only (reads no model)", Stroke::dashed(GREEN, 2.2, LONG_DASH), NAMES_ONLY),
        curve("shuffled labels", Stroke::dashed(GREY, 2.2, DOTS), &of_first(SHUFFLED)),
        curve("shuffled weights", Stroke::dashed(PURPLE, 2.2, DOTS), &of_first(SHUFFLED_WEIGHTS)),
        curve("untrained model", Stroke::dashed(VERMILLION, 2.2, SHORT_DASH), &of_first(UNTRAINED)),
        curve("names and word vectors (read no model)", Stroke::dashed(SKY, 2.2, LONG_DASH), BOTH_TEXTS),
        curve("activations with names and word vectors", Stroke::solid(SKY, 1.8), RIDGE_AND_TEXT),
    ];
    for (method, ink) in classifiers.iter().zip(CLASSIFIERS).rev() {
        let words = format!("{method}, 95 % interval");
        curves.push(Curve { has_band: true, ..curve(&words, Stroke::solid(ink, 2.8), method) });
    }
    let deepest = rows.iter().filter_map(|row| depth(row)?).fold(0.0, f64::max) as usize;
    let step = (0..).map(|power| 1 << power).find(|step| deepest / step <= 14).unwrap_or(1);
    let layers = (1..=deepest).filter(|depth| (depth - 1) % step == 0 && (*depth > step || deepest < 10));
    let ticks = layers.map(|depth| (depth as f64, (depth - 1).to_string()));
    let ticks = std::iter::once((0.0, "embed".to_string())).chain(ticks).collect();
    let label = if has_two { "AUROC on the test rows" } else { "accuracy on the test rows" };
    CurvePanel { curves, ticks, labels: ["layer".into(), label.into()] }.scene(caption)
}

/// The depth of a row's layer, `None` inside for a method that needs no model; `None` for another hook point.
fn depth(row: &ScoreRow) -> Option<Option<f64>> {
    match row.layer.as_str() {
        "" => Some(None),
        "embed" => Some(Some(0.0)),
        layer => layer.parse::<usize>().ok().map(|layer| Some((layer + 1) as f64)),
    }
}
