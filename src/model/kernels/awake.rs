//! Keeps rayon's threads awake between many short parallel steps, such as those of decoding.
//!
//! Waking a sleeping thread takes almost as long as computing a product; and a thread outside the pool sleeps while the
//! pool computes a product for it. Without this module, decoding would spend more than half of its time on waking
//! threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, TryLockError};
use std::time::{Duration, Instant};

/// Number of polls for work before a thread offers its processor to other threads.
const POLLS: usize = 64;
/// A thread without work for longer than this sleeps between its polls: the working thread probably waits for something
/// other than this pool.
const IDLE_LIMIT: Duration = Duration::from_millis(1);
/// The sleep between two polls.
const NAP: Duration = Duration::from_micros(100);

/// Locked while a call keeps threads awake. A call that finds it locked lets its threads sleep, because the polling
/// threads of two calls would take each other's work.
static AWAKE: Mutex<()> = Mutex::new(());

/// Runs work on one of rayon's threads, while the others poll for parts of it.
pub(crate) fn on_awake_threads<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let guard = match AWAKE.try_lock() {
        Ok(guard) => Some(guard),
        // Work that panicked leaves no state behind.
        Err(TryLockError::Poisoned(guard)) => Some(guard.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    };
    let is_done = AtomicBool::new(guard.is_none());
    rayon::scope(|scope| {
        let worker = rayon::current_thread_index();
        for _ in 1..rayon::current_num_threads() {
            let is_done = &is_done;
            scope.spawn(move |_| {
                // On the working thread, polling would wait for the end of the work that it interrupts.
                if rayon::current_thread_index() != worker {
                    poll_for_work(is_done);
                }
            });
        }
        let _end = SetOnDrop(&is_done);
        work()
    })
}

/// Sets the flag when the work ends, also by a panic.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn poll_for_work(is_done: &AtomicBool) {
    let (mut n_idle, mut worked) = (0, Instant::now());
    while !is_done.load(Ordering::Relaxed) {
        match rayon::yield_now() {
            Some(rayon::Yield::Executed) => (n_idle, worked) = (0, Instant::now()),
            _ if n_idle < POLLS => {
                n_idle += 1;
                std::hint::spin_loop();
            }
            _ if worked.elapsed() > IDLE_LIMIT => std::thread::sleep(NAP),
            _ => {
                n_idle = 0;
                std::thread::yield_now();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    fn sum(n: u64) -> u64 {
        (0..n as usize).into_par_iter().with_max_len(10).map(|i| i as u64).sum()
    }

    fn steps() -> u64 {
        on_awake_threads(|| (0..200).map(|_| sum(1000)).sum())
    }

    #[test]
    fn work_is_done_with_any_number_of_threads_nested_and_concurrent() {
        let all = 200 * 499_500;
        assert_eq!(steps(), all);
        for n in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            assert_eq!(pool.install(steps), all);
            assert_eq!(pool.install(|| (0..4).into_par_iter().map(|_| steps()).sum::<u64>()), 4 * all);
        }
        std::thread::scope(|scope| {
            let several: Vec<_> = (0..4).map(|_| scope.spawn(steps)).collect();
            several.into_iter().for_each(|one| assert_eq!(one.join().unwrap(), all));
        });
    }

    #[test]
    fn work_that_pauses_panics_or_uses_another_pool_ends() {
        on_awake_threads(|| std::thread::sleep(5 * IDLE_LIMIT));
        let failed = std::panic::catch_unwind(|| on_awake_threads(|| panic!("as a hook may")));
        assert!(failed.is_err());
        let other = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        assert_eq!(on_awake_threads(|| (0..20).map(|_| other.install(|| sum(100))).sum::<u64>()), 20 * 4950);
        assert_eq!(steps(), 200 * 499_500);
    }
}
