//! Groups through the model, several at once: each by a worker of its own, whose threads are its alone.
//!
//! A worker with one thread never waits for another in the middle of a product, and its group stays in the
//! nearest cache. Whoever asked for the groups takes what is read while the workers go on.

use super::extract::{Progress, Sink, Watch};
use super::recorder::{Outlet, Recorder};
use super::work::Work;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::TokenCache;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// Bytes of the passes that are under way at once; there is always one.
const MEMORY: usize = 1 << 30;
/// Reads that wait to be taken, so that a worker seldom waits for the disk, whose syncs take longest.
const WAITING: usize = 16;
/// How long nothing may come until the watch is asked again.
const PATIENCE: Duration = Duration::from_millis(50);

/// What a worker sends.
enum Message {
    /// A group's rows at a hook point, entity after entity.
    Rows {
        group: usize,
        point: HookPoint,
        values: Vec<f32>,
    },
    /// All of a group has been sent.
    End {
        group: usize,
    },
    Failed(Error),
}

/// What the workers share.
struct Orders<'a> {
    work: &'a Work<'a>,
    points: &'a [HookPoint],
    groups: &'a [usize],
    first: Option<TokenCache>,
    next: AtomicUsize,
    stop: AtomicBool,
}

/// A worker's end of the line.
struct Line<'a> {
    orders: &'a Orders<'a>,
    group: usize,
    sender: &'a SyncSender<Message>,
}

impl Outlet for Line<'_> {
    fn put(&mut self, point: HookPoint, values: Vec<f32>) -> Result<()> {
        send(self.sender, Message::Rows { group: self.group, point, values })
    }

    fn stops(&self) -> bool {
        self.orders.stop.load(Ordering::Relaxed)
    }
}

/// A line that nobody listens to any more is a run that was stopped.
fn send(sender: &SyncSender<Message>, message: Message) -> Result<()> {
    sender.send(message).map_err(|_| Error::Stopped { kept: 0, of: 0 })
}

impl Orders<'_> {
    /// Does group after group, until there is none or somebody says stop.
    fn follow(&self, sender: &SyncSender<Message>) {
        while let Some(&group) = self.groups.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let mut line = Line { orders: self, group, sender };
            let recorder = Recorder::new(self.work, (self.points, group), &mut line);
            let passed = recorder.and_then(|mut recorder| recorder.pass(self.first.as_ref()));
            let message = match passed {
                Ok(()) => Message::End { group },
                // Whoever said stop, or failed before, has told why.
                Err(Error::Stopped { .. }) => return,
                Err(error) => Message::Failed(error),
            };
            let is_last = matches!(message, Message::Failed(_));
            if send(sender, message).is_err() || is_last {
                return;
            }
        }
    }
}

/// Some of the work's groups through the model; nothing is kept between them.
pub(super) fn run(
    work: &Work,
    (points, groups): (&[HookPoint], &[usize]),
    sink: &mut dyn Sink,
    watch: &mut dyn Watch,
) -> Result<()> {
    keep_pages();
    let crew = crew(work, groups)?;
    let first = if groups.is_empty() { None } else { work.token_cache(points)? };
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let orders = Orders { work, points, groups, first, next, stop };
    let (sender, receiver) = sync_channel(WAITING);
    std::thread::scope(|scope| {
        for pool in &crew {
            let (sender, orders) = (sender.clone(), &orders);
            scope.spawn(move || pool.install(|| orders.follow(&sender)));
        }
        drop(sender); // The line ends with the last worker.
        let taken = take(&orders, receiver, sink, watch);
        orders.stop.store(true, Ordering::Relaxed);
        taken
    })
}

/// Lets glibc keep what a block frees for the next block: it gives pages back to the system once twice as much is free as
/// the largest mapping that was ever freed, and counts mappings up to 32 MiB. The system would clear them anew each time.
fn keep_pages() {
    const JUST_BELOW: usize = (32 << 20) - (64 << 10);
    drop(std::hint::black_box(Vec::<u8>::with_capacity(JUST_BELOW)));
}

/// Takes what the workers send, until all of it is there or the watch stops.
fn take(
    orders: &Orders,
    receiver: Receiver<Message>,
    sink: &mut dyn Sink,
    watch: &mut dyn Watch,
) -> Result<()> {
    let (work, groups) = (orders.work, orders.groups);
    let mut done: Vec<usize> = work.groups().filter(|group| !groups.contains(group)).collect();
    let n_before = done.len();
    // Hook points that groups under way have passed.
    let mut under_way: BTreeMap<usize, usize> = BTreeMap::new();
    while done.len() < n_before + groups.len() {
        if watch.stops() {
            let Progress { n_done: kept, n_entities: of, .. } = work.progress(&done, 0);
            return Err(Error::Stopped { kept, of });
        }
        match receiver.recv_timeout(PATIENCE) {
            Ok(Message::Rows { group, point, values }) => {
                sink.put(group, point, &values)?;
                *under_way.entry(group).or_default() += 1;
            }
            Ok(Message::End { group }) => {
                sink.end(group)?;
                under_way.remove(&group);
                done.push(group);
            }
            Ok(Message::Failed(error)) => return Err(error),
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => {
                let (n, of) = (done.len() - n_before, groups.len());
                return Err(Error::Internal(format!("{n} of {of} groups came through the model")));
            }
        }
        let part =
            |(group, passed): (&usize, &usize)| work.group_tokens(*group) * passed / orders.points.len();
        watch.at(work.progress(&done, under_way.iter().map(part).sum()));
    }
    Ok(())
}

/// As many workers as there are threads, or as their memory allows; the threads are theirs in even parts.
fn crew(work: &Work, groups: &[usize]) -> Result<Vec<ThreadPool>> {
    let n_threads = rayon::current_num_threads();
    let largest = groups.iter().map(|&group| work.group_bytes(group)).max().unwrap_or(0);
    let n_workers = match work.is_on_cpu() {
        true => n_threads.min(groups.len()).min(MEMORY / largest.max(1)).max(1),
        false => 1,
    };
    let pool = |worker| {
        let n = n_threads / n_workers + usize::from(worker < n_threads % n_workers);
        let built = ThreadPoolBuilder::new().num_threads(n).build();
        built.map_err(|error| Error::Internal(format!("{n} threads could not be started: {error}")))
    };
    (0..n_workers).map(pool).collect()
}
