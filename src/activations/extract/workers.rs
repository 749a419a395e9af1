//! The worker pool: batches through the model, several at once, each by one worker with threads of its own.
//!
//! A worker with one thread never waits for another in the middle of a product, and its batch stays in the
//! core's own cache. The calling thread takes the rows while the workers continue.

use super::prepared::Prepared;
use super::recorder::{Outlet, Recorder};
use super::sink::Sink;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::TokenCache;
use crate::progress::Observer;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// Maximum bytes of the passes that run at once; one pass always runs, whatever its size.
const MEMORY: usize = 1 << 30;
/// Messages that the channel holds: enough that a worker seldom waits for the disk's syncs.
const CAPACITY: usize = 16;
/// The longest wait for a message before the observer is asked again.
const POLL: Duration = Duration::from_millis(50);

/// A worker's message.
enum Message {
    /// A batch's rows at a hook point, entity after entity.
    Rows {
        batch: usize,
        point: HookPoint,
        values: Vec<f32>,
    },
    /// All of a batch has been sent.
    End {
        batch: usize,
    },
    Failed(Error),
}

/// The queue of batches, which the workers share.
struct Queue<'a> {
    prepared: &'a Prepared<'a>,
    points: &'a [HookPoint],
    batches: &'a [usize],
    first: Option<TokenCache>,
    next: AtomicUsize,
    stop: AtomicBool,
}

/// A worker's end of the channel, for one batch.
struct Sender<'a> {
    queue: &'a Queue<'a>,
    batch: usize,
    channel: &'a SyncSender<Message>,
}

impl Outlet for Sender<'_> {
    fn put(&mut self, point: HookPoint, values: Vec<f32>) -> Result<()> {
        send(self.channel, Message::Rows { batch: self.batch, point, values })
    }

    fn should_stop(&self) -> bool {
        self.queue.stop.load(Ordering::Relaxed)
    }
}

/// Sends a message; a channel without a receiver means that the run was stopped.
fn send(channel: &SyncSender<Message>, message: Message) -> Result<()> {
    channel.send(message).map_err(|_| Error::Stopped { kept: 0, of: 0 })
}

impl Queue<'_> {
    /// Computes batch after batch, until none is left or the run is stopped.
    fn work(&self, channel: &SyncSender<Message>) {
        while let Some(&batch) = self.batches.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let mut sender = Sender { queue: self, batch, channel };
            let recorder = Recorder::new(self.prepared, self.points, batch, &mut sender);
            let passed = recorder.and_then(|mut recorder| recorder.pass(self.first.as_ref()));
            let message = match passed {
                Ok(()) => Message::End { batch },
                // The cause was reported by the observer, or by the worker that failed first.
                Err(Error::Stopped { .. }) => return,
                Err(error) => Message::Failed(error),
            };
            let is_last = matches!(message, Message::Failed(_));
            if send(channel, message).is_err() || is_last {
                return;
            }
        }
    }
}

/// Computes the given batches of a prepared dataset; no state is kept between batches.
pub(crate) fn run(
    prepared: &Prepared,
    jobs: &Jobs,
    sink: &mut dyn Sink,
    observer: &mut dyn Observer,
) -> Result<()> {
    let Jobs { points, batches } = *jobs;
    keep_pages();
    let pools = thread_pools(prepared, batches)?;
    let first = if batches.is_empty() { None } else { prepared.token_cache(points)? };
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let queue = Queue { prepared, points, batches, first, next, stop };
    let (channel, receiver) = sync_channel(CAPACITY);
    std::thread::scope(|scope| {
        for pool in &pools {
            let (channel, queue) = (channel.clone(), &queue);
            scope.spawn(move || pool.install(|| queue.work(&channel)));
        }
        drop(channel); // The channel closes with the last worker.
        let received = receive(&queue, receiver, sink, observer);
        queue.stop.store(true, Ordering::Relaxed);
        received
    })
}

/// The batches of a run, and the hook points that are recorded.
#[derive(Clone, Copy)]
pub(crate) struct Jobs<'a> {
    pub points: &'a [HookPoint],
    pub batches: &'a [usize],
}

/// Lets glibc keep the memory that one block frees for the next block.
///
/// glibc returns free pages to the system when they exceed twice the largest mapping freed so far, counting mappings of
/// up to 32 MiB; so this function frees one of nearly that size. Otherwise the system would clear the pages again for
/// each block.
fn keep_pages() {
    const JUST_BELOW: usize = (32 << 20) - (64 << 10);
    drop(std::hint::black_box(Vec::<u8>::with_capacity(JUST_BELOW)));
}

/// Takes the workers' messages, until all rows are there or the observer requests a stop.
fn receive(
    queue: &Queue,
    receiver: Receiver<Message>,
    sink: &mut dyn Sink,
    observer: &mut dyn Observer,
) -> Result<()> {
    let (prepared, batches) = (queue.prepared, queue.batches);
    let mut done: Vec<usize> = prepared.batches().filter(|batch| !batches.contains(batch)).collect();
    let n_before = done.len();
    // The number of hook points that each unfinished batch has passed.
    let mut under_way: BTreeMap<usize, usize> = BTreeMap::new();
    while done.len() < n_before + batches.len() {
        if observer.should_stop() {
            return Err(Error::Stopped { kept: prepared.n_entities_of(&done), of: prepared.n_entities() });
        }
        match receiver.recv_timeout(POLL) {
            Ok(Message::Rows { batch, point, values }) => {
                sink.put(batch, point, &values)?;
                *under_way.entry(batch).or_default() += 1;
            }
            Ok(Message::End { batch }) => {
                sink.end(batch)?;
                under_way.remove(&batch);
                done.push(batch);
            }
            Ok(Message::Failed(error)) => return Err(error),
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => {
                let (n, of) = (done.len() - n_before, batches.len());
                return Err(Error::Internal(format!("{n} of {of} batches passed through the model")));
            }
        }
        let n_tokens =
            |(batch, passed): (&usize, &usize)| prepared.n_batch_tokens(*batch) * passed / queue.points.len();
        prepared.report(&done, under_way.iter().map(n_tokens).sum(), observer);
    }
    Ok(())
}

/// One thread pool per worker. On the CPU there are as many workers as threads, or fewer if memory or the number of
/// batches limits them; on a GPU there is one. Each has an equal share of the threads.
fn thread_pools(prepared: &Prepared, batches: &[usize]) -> Result<Vec<ThreadPool>> {
    let n_threads = rayon::current_num_threads();
    let largest = batches.iter().map(|&batch| prepared.batch_bytes(batch)).max().unwrap_or(0);
    let n_workers = match prepared.is_on_cpu() {
        true => n_threads.min(batches.len()).min(MEMORY / largest.max(1)).max(1),
        false => 1,
    };
    let pool = |worker| {
        let n = n_threads / n_workers + usize::from(worker < n_threads % n_workers);
        let built = ThreadPoolBuilder::new().num_threads(n).build();
        built.map_err(|error| Error::Internal(format!("{n} threads could not be started: {error}")))
    };
    (0..n_workers).map(pool).collect()
}
