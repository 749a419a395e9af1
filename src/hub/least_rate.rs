//! Limits of a transfer: its minimum rate and the maximum length of its file.

use super::failure::Failure;
use std::time::{Duration, Instant};

/// Limits of a transfer, so that a broken or hostile server cannot keep a download running for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferLimits {
    /// The time in which at least [`TransferLimits::least`] bytes must arrive.
    pub window: Duration,
    /// The least number of bytes in each window.
    pub least: u64,
    /// The maximum length of a file other than weights.
    pub small: u64,
    /// The maximum length of a weights file whose length the server does not state.
    pub weights: u64,
}

impl Default for TransferLimits {
    fn default() -> TransferLimits {
        TransferLimits { window: Duration::from_secs(60), least: 60 << 10, small: 1 << 30, weights: 1 << 36 }
    }
}

/// The rate of one transfer, measured in consecutive windows.
pub(super) struct LeastRate {
    limits: TransferLimits,
    begun: Instant,
    n_bytes: u64,
}

impl LeastRate {
    /// A transfer that begins now.
    pub(super) fn new(limits: TransferLimits) -> LeastRate {
        LeastRate { limits, begun: Instant::now(), n_bytes: 0 }
    }

    /// Counts received bytes.
    ///
    /// # Errors
    /// [`Failure::Slow`] at the end of a window with too few bytes.
    pub(super) fn count(&mut self, n: usize) -> Result<(), Failure> {
        self.n_bytes += n as u64;
        if self.begun.elapsed() < self.limits.window {
            return Ok(());
        }
        if self.n_bytes < self.limits.least {
            let seconds = self.begun.elapsed().as_secs();
            return Err(Failure::Slow(format!("{} bytes in {seconds} seconds, too slow", self.n_bytes)));
        }
        *self = LeastRate::new(self.limits);
        Ok(())
    }
}
