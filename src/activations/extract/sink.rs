//! The receiver of an extraction's rows: arrays in memory, or files.

use crate::error::Result;
use crate::hook_point::HookPoint;

/// Receives the rows of batches, several of which may be under way.
pub(crate) trait Sink {
    /// Takes a batch's rows at a hook point, those of one entity after the other, `[n_rows, width]`.
    fn put(&mut self, batch: usize, point: HookPoint, values: &[f32]) -> Result<()>;

    /// Ends a batch: all of its rows were put.
    fn end(&mut self, batch: usize) -> Result<()>;
}
