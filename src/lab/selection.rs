//! Scores looked up in rows: the layer that is reported, and test scores by name.

use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::results::{RIDGE, ScoreRow};

/// The leave-one-out R² on the training rows, by hook point.
fn loo_by_point(rows: &[ScoreRow]) -> impl Iterator<Item = (&str, f64)> {
    let chosen = |r: &&ScoreRow| {
        r.method == RIDGE && r.split == "leave-one-out" && r.metric == "r2" && r.target == "mean"
    };
    rows.iter().filter(chosen).filter(|row| row.value.is_finite()).map(|row| (&*row.hook_point, row.value))
}

/// The hook point whose probe predicts its training rows best when each is left out.
pub fn best_point(rows: &[ScoreRow]) -> Result<HookPoint> {
    let mut best: Option<(&str, f64)> = None;
    for (point, r2) in loo_by_point(rows) {
        if best.is_none_or(|(_, before)| r2 > before) {
            best = Some((point, r2));
        }
    }
    let (point, _) =
        best.ok_or_else(|| Error::invalid("scores.csv", "no leave-one-out rows", "scores of a ridge probe"))?;
    point.parse()
}

/// A test score of a method, at a hook point or (for methods that read no model) at none.
pub fn test_score<'a>(
    rows: &'a [ScoreRow],
    method: &str,
    point: Option<HookPoint>,
    metric: &str,
    target: &str,
) -> Option<&'a ScoreRow> {
    let name = point.map(|p| p.to_string()).unwrap_or_default();
    rows.iter().find(|r| {
        r.method == method
            && r.split == "test"
            && r.metric == metric
            && r.target == target
            && r.hook_point == name
    })
}
