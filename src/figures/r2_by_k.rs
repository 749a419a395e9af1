//! R² of probes of the best k dimensions of a hook point, by k.

use super::curves::{Curve, CurvePanel};
use super::figure_kind::{FigureKind, Subject};
use super::format::{Caption, Format};
use super::paint::paint;
use super::scene::Scene;
use super::style::*;
use crate::error::Result;
use crate::results::{K_SPARSE, MEAN, NAMES_ONLY, R2, RIDGE, SHUFFLED, ScoreRow, TEST, UNTRAINED};

/// This figure's entry in [`FIGURES`](super::FIGURES).
pub(super) const FIGURE: FigureKind = FigureKind {
    name: "r2_by_k",
    about: "R² of probes of the best 1, 2, 4, … dimensions",
    subject: Subject::Dataset { suffix: "_by_k" },
    applies: |rows| !rows.sparse.rows.is_empty(),
    draw: |rows, format| r2_by_k(&rows.sparse.rows, &rows.sparse.caption(), format),
};

/// Draws the test R² of probes of `k` dimensions against `k` on a logarithmic axis, with the same probes on an untrained
/// model and on shuffled labels, and as horizontal lines the probe of all dimensions and the names alone.
///
/// `rows` are of one hook point.
///
/// # Errors
/// [`crate::Error::Invalid`] without such rows; [`crate::Error::NonFinite`] for a score that is not finite.
pub fn r2_by_k(rows: &[ScoreRow], caption: &Caption, format: Format) -> Result<Vec<u8>> {
    paint(&scene(rows, caption)?, format)
}

pub(super) fn scene(rows: &[ScoreRow], caption: &Caption) -> Result<Scene> {
    let main = |row: &&ScoreRow| row.metric == R2 && row.target == MEAN && row.split == TEST;
    let by_k = |baseline: Option<&str>| -> Vec<(Option<f64>, ScoreRow)> {
        let of = |row: &ScoreRow| Some((Some((k_of(&row.method, baseline)? as f64).log2()), row.clone()));
        rows.iter().filter(main).filter_map(of).collect()
    };
    let flat = |method: &str| -> Vec<(Option<f64>, ScoreRow)> {
        let rows = rows.iter().filter(main).filter(|row| row.method == method);
        rows.map(|row| (None, row.clone())).collect()
    };
    let curve = |words: &str, stroke: Stroke, scores| Curve {
        words: words.into(),
        stroke,
        has_band: stroke.ink == BLUE && stroke.dashes.is_empty(),
        scores,
    };
    let own = by_k(None);
    let ticks = own.iter().filter_map(|(x, _)| Some(((*x)?, format!("{}", x.map_or(0.0, f64::exp2)))));
    let ticks = ticks.collect();
    let curves = vec![
        curve("names only (reads no model)", Stroke::dashed(GREEN, 2.2, LONG_DASH), flat(NAMES_ONLY)),
        curve("shuffled labels", Stroke::dashed(GREY, 2.2, DOTS), by_k(Some(SHUFFLED))),
        curve("untrained model", Stroke::dashed(VERMILLION, 2.2, SHORT_DASH), by_k(Some(UNTRAINED))),
        curve("all dimensions", Stroke::dashed(BLUE, 2.2, LONG_DASH), flat(RIDGE)),
        curve("the best k dimensions, 95 % interval", Stroke::solid(BLUE, 2.8), own),
    ];
    let labels = ["k, the number of dimensions".into(), "R² on the test rows".into()];
    CurvePanel { curves, ticks, labels }.scene(caption)
}

/// The number of dimensions of a method, such as `k-sparse-8` or, with a baseline, `k-sparse-8/shuffled`.
fn k_of(method: &str, baseline: Option<&str>) -> Option<usize> {
    let (method, of) = match method.split_once('/') {
        Some((method, of)) => (method, Some(of)),
        None => (method, None),
    };
    let k = method.strip_prefix(K_SPARSE)?.strip_prefix('-')?.parse().ok();
    k.filter(|k: &usize| of == baseline && *k > 0)
}
