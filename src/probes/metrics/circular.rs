//! Scores of a target that is an angle, such as a longitude or a month: values that differ by its period are the same.

use super::counted::{mean_counted, sums};
use super::predicted::{Column, Predicted};
use super::score::TargetScore;
use crate::results::CIRCULAR_R2;
use std::f64::consts::TAU;
use std::sync::Arc;

/// The circular R², and the mean absolute error along the circle in the target's unit.
///
/// With `d` the error as an angle, the circular R² is `1 − mean(1 − cos d) / (1 − R)`, where `1 − R` is the circular
/// variance of the truth: 1 for exact predictions, 0 for the best constant one. It is R² with the squared distance of
/// points on the unit circle, `2 (1 − cos d)`, in place of squared errors.
///
/// # Source
/// K. Mardia and P. Jupp, "Directional Statistics" (2000), sections 2.2.1 and 2.3.1: mean direction and circular variance.
pub(in crate::probes) fn circular_scores(
    predicted: &Predicted,
    target: usize,
    period: f64,
) -> Vec<TargetScore> {
    let Some(Column { target, truth, predicted: values }) = predicted.columns.get(target) else {
        return Vec::new();
    };
    let unit = match predicted.kind.unit() {
        "" => String::new(),
        unit => format!("_{}", unit.replace(char::is_whitespace, "_")),
    };
    let errors = truth.iter().zip(values.iter()).map(|(t, p)| wrapped(p - t, period));
    let errors: Vec<f64> = errors.collect();
    let losses: Arc<Vec<f64>> = Arc::new(errors.iter().map(|e| 1.0 - (TAU * e / period).cos()).collect());
    let angles = |of: fn(f64) -> f64| truth.iter().map(|t| of(TAU * t / period)).collect::<Vec<f64>>();
    let (cos, sin) = (angles(f64::cos), angles(f64::sin));
    let r2 = move |counts: &[f64]| {
        let [n, x, y] = sums([&cos, &sin, counts], |x, y, count| [count, count * x, count * y]);
        let loss = mean_counted(&losses, counts);
        match 1.0 - x.hypot(y) / n {
            // A truth in one direction, but for rounding errors: as for R².
            variance if variance < 1e-12 => f64::from(u8::from(loss < 1e-12)),
            variance => 1.0 - loss / variance,
        }
    };
    let sizes = errors.iter().map(|error| error.abs()).collect();
    vec![
        TargetScore::new(CIRCULAR_R2, target, r2),
        TargetScore::mean_of(&format!("circular_mae{unit}"), target, sizes),
    ]
}

/// A difference brought between minus and plus half a period.
pub(in crate::probes) fn wrapped(difference: f64, period: f64) -> f64 {
    difference - period * (difference / period).round()
}

#[cfg(test)]
mod tests {
    use super::super::score::values;
    use super::*;
    use crate::datasets::{Quantity, TargetKind};
    use crate::probes::metrics::Metrics;
    use ndarray::Array2;

    fn scores(truth: &[f64], predicted: &[f64], period: f64) -> [f64; 2] {
        let kind = TargetKind::Quantity(Quantity { name: "month".into(), unit: "months".into() });
        let column = |values: &[f64]| Array2::from_shape_fn((values.len(), 1), |(i, _)| values[i]);
        let (truth, predicted) = (column(truth), column(predicted));
        let all = circular_scores(&Predicted::of(&kind, Metrics::Usual, &truth, &predicted), 0, period);
        assert_eq!(all[1].metric, "circular_mae_months");
        let found = values(&all, &vec![1.0; truth.nrows()]);
        [found[0], found[1]]
    }

    #[test]
    fn december_and_january_are_neighbours() {
        let [_, error] = scores(&[12.0, 1.0], &[1.0, 11.0], 12.0);
        assert_eq!(error, 1.5);
        assert_eq!(scores(&[3.0, 9.0, 12.0], &[15.0, -3.0, 0.0], 12.0)[1], 0.0);
    }

    #[test]
    fn exact_predictions_score_1_and_the_mean_direction_0() {
        let truth = [350.0, 10.0, 30.0];
        assert!((scores(&truth, &truth, 360.0)[0] - 1.0).abs() < 1e-12);
        assert!(scores(&truth, &[10.0; 3], 360.0)[0].abs() < 1e-12);
        // A rotation of both changes nothing; SciPy's circvar of these angles, 0.0402, is the mean loss of a constant.
        let rotated = |by: f64| scores(&truth.map(|t| t + by), &[12.0 + by, 9.0 + by, 25.0 + by], 360.0)[0];
        assert!((rotated(0.0) - rotated(123.0)).abs() < 1e-12);
        let loss = [22f64, 1.0, 5.0].iter().map(|d| 1.0 - d.to_radians().cos()).sum::<f64>() / 3.0;
        assert!((rotated(0.0) - (1.0 - loss / 0.040_204_919_476_061)).abs() < 1e-9, "{}", rotated(0.0));
    }

    #[test]
    fn one_direction_has_no_variance() {
        assert_eq!(scores(&[5.0, 5.0, 17.0], &[5.0, 5.0, 5.0], 12.0)[0], 1.0);
        assert_eq!(scores(&[5.0, 5.0], &[4.0, 5.0], 12.0)[0], 0.0);
    }
}
