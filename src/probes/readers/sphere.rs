//! A place read as a point in space: no pole, and no seam at 180°.

use super::{Reader, Reading, Training};
use crate::datasets::TargetKind;
use crate::error::{Error, Result};
use crate::probes::metrics::on_sphere;
use ndarray::{Array2, ArrayView1};

/// Ridge to the three coordinates of a place on the unit sphere; the reading is the direction of the point.
#[derive(Debug)]
pub(super) struct Sphere;

impl Reader for Sphere {
    fn name(&self) -> &'static str {
        "sphere"
    }

    fn about(&self) -> &'static str {
        "ridge to the place as a point in space"
    }

    fn read(&self, training: &Training) -> Result<Vec<Reading>> {
        if *training.kind != TargetKind::Place {
            let found = format!("a dataset of {}", training.kind.names().join(", "));
            return Err(Error::invalid("--method sphere", found, "a dataset of places"));
        }
        let mut points = Array2::zeros((training.targets.nrows(), 3));
        for (mut point, place) in points.rows_mut().into_iter().zip(training.targets.rows()) {
            point.assign(&ArrayView1::from(&on_sphere(place[0], place[1])));
        }
        let probe = training.decomposition.solve(&points, training.grid)?.probe;
        let read = training.readings(&probe); // [n_reads, 3]
        let mut values = Array2::zeros((read.nrows(), 2));
        for (mut place, point) in values.rows_mut().into_iter().zip(read.rows()) {
            let (x, y, z) = (point[0], point[1], point[2]);
            place[0] = z.atan2(x.hypot(y)).to_degrees();
            place[1] = y.atan2(x).to_degrees();
        }
        Ok(vec![Reading::of(self.name(), values)])
    }
}
