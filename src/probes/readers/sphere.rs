//! Predicts a place as a point in space: no special case at the poles, and no jump at 180°.

use super::regressor::{MethodPredictions, RegressionTask, Regressor};
use crate::datasets::TargetKind;
use crate::error::{Error, Result};
use crate::probes::metrics::on_sphere;
use ndarray::{Array2, ArrayView1};

/// Ridge on the three coordinates of a place on the unit sphere; the prediction is the direction of the predicted
/// point.
#[derive(Debug)]
pub(super) struct Sphere;

impl Regressor for Sphere {
    fn name(&self) -> &'static str {
        "sphere"
    }

    fn about(&self) -> &'static str {
        "ridge on the place as a point in space"
    }

    fn check(&self, kind: &TargetKind, option: Option<f64>) -> Result<()> {
        if *kind != TargetKind::Place || option.is_some() {
            let number = if option.is_some() { "a number after its name, and " } else { "" };
            let found = format!("{number}a dataset of {}", kind.names().join(", "));
            return Err(Error::invalid("--method sphere", found, "no number, and a dataset of places"));
        }
        Ok(())
    }

    fn fit_predict(&self, task: &RegressionTask) -> Result<Vec<MethodPredictions>> {
        self.check(task.kind, task.option)?;
        let mut points = Array2::zeros((task.targets.nrows(), 3));
        for (mut point, place) in points.rows_mut().into_iter().zip(task.targets.rows()) {
            point.assign(&ArrayView1::from(&on_sphere(place[0], place[1])));
        }
        let probe = task.decomposition.solve(&points, task.grid)?.probe;
        let predicted = task.predictions(&probe); // [n_test, 3]
        let mut values = Array2::zeros((predicted.nrows(), 2));
        for (mut place, point) in values.rows_mut().into_iter().zip(predicted.rows()) {
            let (x, y, z) = (point[0], point[1], point[2]);
            place[0] = z.atan2(x.hypot(y)).to_degrees();
            place[1] = y.atan2(x).to_degrees();
        }
        Ok(vec![MethodPredictions::of(self.name(), values)])
    }
}
