//! Threads that stay awake between many short parallel steps, as decoding takes them.
//!
//! A thread that fell asleep between two products is woken when the next is nearly over, and one from outside the pool would
//! hand over each product and sleep until it is done: together more than half of the time of decoding.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, TryLockError};
use std::time::{Duration, Instant};

/// Looks for work between two offers of the processor to others.
const LOOKS: usize = 64;
/// Without work for so long, a thread sleeps between its looks: whoever works waits for something else.
const PATIENCE: Duration = Duration::from_millis(1);
/// A sleep between two looks.
const NAP: Duration = Duration::from_micros(100);

/// Held while threads are kept awake: for one work at a time, as they would else take up each other's.
static AWAKE: Mutex<()> = Mutex::new(());

/// Runs work on one of rayon's threads, while the others look for parts of it all the time.
pub(super) fn on_awake_threads<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let held = match AWAKE.try_lock() {
        Ok(held) => Some(held),
        // Work that panicked has left nothing behind.
        Err(TryLockError::Poisoned(held)) => Some(held.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    };
    let is_done = AtomicBool::new(held.is_none());
    rayon::scope(|scope| {
        let worker = rayon::current_thread_index();
        for _ in 1..rayon::current_num_threads() {
            let is_done = &is_done;
            scope.spawn(move |_| {
                // The thread that works would wait for itself.
                if rayon::current_thread_index() != worker {
                    look_for_work(is_done);
                }
            });
        }
        let _end = End(&is_done);
        work()
    })
}

/// Tells that work is done, also where it panicked.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn look_for_work(is_done: &AtomicBool) {
    let (mut n_idle, mut worked) = (0, Instant::now());
    while !is_done.load(Ordering::Relaxed) {
        match rayon::yield_now() {
            Some(rayon::Yield::Executed) => (n_idle, worked) = (0, Instant::now()),
            _ if n_idle < LOOKS => {
                n_idle += 1;
                std::hint::spin_loop();
            }
            _ if worked.elapsed() > PATIENCE => std::thread::sleep(NAP),
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
    fn work_is_done_by_any_number_of_threads_within_others_and_beside_others() {
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
    fn work_that_pauses_fails_or_asks_another_pool_comes_to_its_end() {
        on_awake_threads(|| std::thread::sleep(5 * PATIENCE));
        let failed = std::panic::catch_unwind(|| on_awake_threads(|| panic!("as a hook may")));
        assert!(failed.is_err());
        let other = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        assert_eq!(on_awake_threads(|| (0..20).map(|_| other.install(|| sum(100))).sum::<u64>()), 20 * 4950);
        assert_eq!(steps(), 200 * 499_500);
    }
}
