//! Limits of a transfer: its least rate, and its length where the server tells none.

use super::failure::Failure;
use std::time::{Duration, Instant};

/// Limits of a transfer, which keep a broken or hostile server from holding a download for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferLimits {
    /// The time in which a transfer must bring at least [`TransferLimits::least`].
    pub window: Duration,
    /// The least number of bytes in each window.
    pub least: u64,
    /// The greatest length of a file other than weights.
    pub small: u64,
    /// The greatest length of weights whose length the server does not tell.
    pub weights: u64,
}

impl Default for TransferLimits {
    fn default() -> TransferLimits {
        TransferLimits { window: Duration::from_secs(60), least: 60 << 10, small: 1 << 30, weights: 1 << 36 }
    }
}

/// The rate of one transfer, measured over one window after the other.
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

    /// Counts bytes that came.
    ///
    /// # Errors
    /// [`Failure::Slow`] at the end of a window that brought too few.
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
