//! Predicts a value on a circle: a longitude, or any number with a period, such as a month.

use super::regressor::{Circle, MethodPredictions, RegressionTask, Regressor};
use crate::datasets::TargetKind;
use crate::error::{Error, Result};
use crate::probes::metrics::wrapped;
use ndarray::{Array2, Axis};
use std::f64::consts::TAU;

/// The period of a longitude, in degrees.
const WHOLE_TURN: f64 = 360.0;

/// Ridge on the sine and the cosine of a value as an angle; the prediction is the angle of the predicted point.
///
/// `circle:PERIOD` has the period in the target's unit; places need none: the angle is the longitude, and the latitude
/// is predicted as by the ridge. A predicted value is the one nearest to the middle of the training values among those
/// that differ by whole periods.
#[derive(Debug)]
pub(super) struct OnCircle;

impl Regressor for OnCircle {
    fn name(&self) -> &'static str {
        "circle"
    }

    fn about(&self) -> &'static str {
        "ridge on the longitude as an angle; circle:12 for numbers with the period 12"
    }

    fn check(&self, kind: &TargetKind, option: Option<f64>) -> Result<()> {
        match (kind, option) {
            (TargetKind::Place, None) => Ok(()),
            (TargetKind::Place, Some(period)) => Err(Error::invalid(
                "--method circle",
                format!("the period {period} for places"),
                "`circle`: a longitude has the period 360",
            )),
            (_, Some(period)) if period > 0.0 && period.is_finite() => Ok(()),
            (_, Some(period)) => {
                Err(Error::invalid("--method circle", format!("the period {period}"), "a period above 0"))
            }
            (_, None) => Err(Error::invalid(
                "--method circle",
                "no period",
                format!("`circle:PERIOD`, such as circle:12, with the period of {}", kind.names().join(", ")),
            )),
        }
    }

    fn circle(&self, kind: &TargetKind, option: Option<f64>) -> Option<Circle> {
        match kind {
            TargetKind::Place => Some(Circle { target: 1, period: WHOLE_TURN }),
            _ => option.map(|period| Circle { target: 0, period }),
        }
    }

    fn fit_predict(&self, task: &RegressionTask) -> Result<Vec<MethodPredictions>> {
        self.check(task.kind, task.option)?;
        let Some(Circle { target, period }) = self.circle(task.kind, task.option) else {
            return Err(Error::Internal("a circle without a period".into()));
        };
        let values = task.targets.column(target);
        let point = |(i, axis): (usize, usize)| {
            let angle = TAU * values[i] / period;
            if axis == 0 { angle.cos() } else { angle.sin() }
        };
        let points = Array2::from_shape_fn((values.len(), 2), point);
        let solutions = task.decomposition.solve_each(&[&points, task.targets], task.grid)?;
        let [on_circle, linear] = &solutions[..] else {
            return Err(Error::Internal("a fit of a circle without two solutions".into()));
        };
        let mut predicted = task.predictions(&linear.probe);
        let middle = middle(task.kind, values.iter().copied());
        let found = task.predictions(&on_circle.probe);
        for (value, point) in predicted.column_mut(target).iter_mut().zip(found.axis_iter(Axis(0))) {
            let angle = point[1].atan2(point[0]);
            *value = middle + wrapped(angle * period / TAU - middle, period);
        }
        let method =
            task.option.map_or(self.name().to_string(), |period| format!("{}:{period}", self.name()));
        Ok(vec![MethodPredictions::of(method, predicted)])
    }
}

/// The middle of the values: 0 for longitudes.
fn middle(kind: &TargetKind, values: impl Iterator<Item = f64> + Clone) -> f64 {
    match kind {
        TargetKind::Place => 0.0,
        _ => {
            let least = values.clone().fold(f64::INFINITY, f64::min);
            let greatest = values.fold(f64::NEG_INFINITY, f64::max);
            (least + greatest) / 2.0
        }
    }
}
