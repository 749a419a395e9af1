//! The receiver of an extraction's rows: arrays in memory, or files.

use crate::error::Result;
use crate::hook_point::HookPoint;

/// Receives the rows of batches; calls for several batches may alternate.
pub(crate) trait Sink {
    /// Takes a batch's rows at a hook point, grouped by entity, `[n_rows, width]`.
    fn put(&mut self, batch: usize, point: HookPoint, values: &[f32]) -> Result<()>;

    /// Ends a batch, after `put` has received all of its rows.
    fn end(&mut self, batch: usize) -> Result<()>;
}
