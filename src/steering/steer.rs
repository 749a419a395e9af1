//! The hook that changes the stream at one hook point and some positions.

use super::op::{Norm, Op};
use super::positions::Positions;
use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::model::{Forest, Hook};
use candle_core::Tensor;

/// Changes the stream at one hook point.
#[derive(Debug, Clone)]
pub struct Steer {
    point: HookPoint,
    op: Op,
    norm: Norm,
    positions: Positions,
    /// Rows of the pass at hand that are changed.
    rows: Vec<usize>,
    n_changed: usize,
}

impl Steer {
    /// A hook that applies `op` at `point` for the chosen positions.
    pub fn new(point: HookPoint, op: Op, norm: Norm, positions: Positions) -> Steer {
        Steer { point, op, norm, positions, rows: vec![], n_changed: 0 }
    }

    /// How many rows were changed so far; zero after a pass means that the hook was not reached.
    pub fn n_changed(&self) -> usize {
        self.n_changed
    }
}

impl Hook for Steer {
    fn begin(&mut self, forest: &Forest) -> Result<()> {
        let positions = forest.new_positions().iter().enumerate();
        self.rows = positions.filter(|(_, p)| self.positions.contains(**p)).map(|(row, _)| row).collect();
        Ok(())
    }

    fn at(&mut self, point: HookPoint, stream: Tensor) -> Result<Tensor> {
        if point != self.point || self.rows.is_empty() {
            return Ok(stream);
        }
        self.n_changed += self.rows.len();
        if self.op.is_identity() {
            return Ok(stream); // dose 0 is no steering, to the bit
        }
        let (n, width) = stream.dims2()?;
        let mut values = stream.flatten_all()?.to_vec1::<f32>()?;
        for &row in &self.rows {
            self.op.apply(&mut values[row * width..][..width], self.norm);
        }
        Ok(Tensor::from_vec(values, (n, width), stream.device())?)
    }
}
