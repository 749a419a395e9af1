//! Selection of the hook point to report: by leave-one-out R² on training entities, without the test entities.

use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::results::{LEAVE_ONE_OUT, MEAN, R2, RIDGE, SCORES_FILE, ScoreKey, ScoreRow};

/// The hook point whose ridge probe has the best leave-one-out R²; among equal ones, the first.
///
/// # Errors
/// [`Error::Invalid`] if no ridge probe has a finite leave-one-out R².
pub fn best_point(rows: &[ScoreRow]) -> Result<HookPoint> {
    let key = ScoreKey { method: RIDGE, split: LEAVE_ONE_OUT, metric: R2, target: MEAN };
    let mut best: Option<&ScoreRow> = None;
    for row in key.all(rows).filter(|row| row.value.is_finite()) {
        if best.is_none_or(|best| row.value > best.value) {
            best = Some(row);
        }
    }
    let best =
        best.ok_or_else(|| Error::invalid(SCORES_FILE, "no leave-one-out rows", "scores of a ridge probe"))?;
    best.hook_point.parse()
}

/// The test R² of a method, averaged over the targets; `point` is `None` for a method that needs no model.
pub fn test_r2<'a>(rows: &'a [ScoreRow], method: &str, point: Option<HookPoint>) -> Option<&'a ScoreRow> {
    ScoreKey::test_r2(method).at(rows, point)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::TEST;

    fn row(point: HookPoint, split: &str, value: f64) -> ScoreRow {
        ScoreRow {
            dataset: "art".into(),
            model: "small".into(),
            prompt: "empty".into(),
            hook_point: point.to_string(),
            layer: point.label(),
            method: RIDGE.into(),
            split: split.into(),
            metric: R2.into(),
            target: MEAN.into(),
            value,
            low: value,
            high: value,
        }
    }

    #[test]
    fn the_best_point_is_chosen_without_the_test_entities() {
        let points = HookPoint::stream(3);
        let chosen = [0.2, 0.7, f64::NAN, 0.7];
        let tests = [0.9, 0.5, 0.8, 0.6];
        let rows: Vec<ScoreRow> = points
            .iter()
            .zip(chosen.iter().zip(tests))
            .flat_map(|(&point, (&chosen, test))| [row(point, LEAVE_ONE_OUT, chosen), row(point, TEST, test)])
            .collect();
        assert_eq!(best_point(&rows).unwrap(), points[1]);
        assert_eq!(test_r2(&rows, RIDGE, Some(points[1])).unwrap().value, 0.5);
        assert_eq!(test_r2(&rows, RIDGE, Some(points[3])).unwrap().value, 0.6);
        assert!(test_r2(&rows, RIDGE, None).is_none());
        let error = best_point(&rows[1..2]).unwrap_err().to_string();
        assert!(error.contains("scores.csv") && error.contains("leave-one-out"), "{error}");
    }
}
