//! The progress of a long pass that runs on its own thread.

use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::Hook;
use candle_core::Tensor;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// The interval at which the progress is reported.
const EVERY: Duration = Duration::from_millis(200);

/// Runs `work` on another thread. Meanwhile, `report` is called on this thread with the count that `work` increases.
///
/// # Errors
/// Those of `work`.
pub(super) fn watched<T: Send>(
    work: impl FnOnce(&AtomicU64) -> Result<T> + Send,
    report: &mut dyn FnMut(u64),
) -> Result<T> {
    let (done, (sender, receiver)) = (&AtomicU64::new(0), channel());
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || sender.send(work(done)));
        loop {
            match receiver.recv_timeout(EVERY) {
                Ok(outcome) => return outcome,
                Err(RecvTimeoutError::Timeout) => report(done.load(Ordering::Relaxed)),
                Err(RecvTimeoutError::Disconnected) => match thread.join() {
                    Err(panic) => std::panic::resume_unwind(panic),
                    Ok(_) => return Err(Error::Internal("a pass ended without an outcome".into())),
                },
            }
        }
    })
}

/// A hook that counts computed tokens, once per block.
pub(super) struct CountedWork<'a>(pub(super) &'a AtomicU64);

impl Hook for CountedWork<'_> {
    fn at(&mut self, point: HookPoint, stream: Tensor) -> Result<Tensor> {
        if self.sees(point) {
            self.0.fetch_add(stream.dim(0)? as u64, Ordering::Relaxed);
        }
        Ok(stream)
    }

    fn sees(&self, point: HookPoint) -> bool {
        matches!(point, HookPoint::ResidPost(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_of_work_on_another_thread_is_reported() {
        let mut seen = Vec::new();
        let work = |done: &AtomicU64| {
            for _ in 0..5 {
                std::thread::sleep(EVERY);
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(7)
        };
        assert_eq!(watched(work, &mut |done| seen.push(done)).unwrap(), 7);
        assert!(seen.len() >= 3 && seen.is_sorted() && seen[0] < 3 && seen.last() > Some(&2), "{seen:?}");
        let fails = |_: &AtomicU64| Err::<(), _>(Error::Internal("a fault".into()));
        assert!(watched(fails, &mut |_| {}).is_err());
    }
}
