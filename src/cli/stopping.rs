//! Ctrl-C, SIGTERM and SIGHUP: the first signal requests a stop, a second one ends the program at once.
//!
//! Work that calls [`is_asked`] saves its results and stops by itself. Other work is ended from here: every file is
//! written completely or not at all, so finished files are kept, and the same command resumes.

use super::{output, terminal};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// The exit code of a program that was stopped by a signal, minus the signal's number.
const BY_SIGNAL: i32 = 128;
/// The interval between checks for a signal.
const POLL: Duration = Duration::from_millis(50);
/// The time that the work has to notice a stop, if its last call of [`is_asked`] was at most this long ago.
const PATIENCE: Duration = Duration::from_secs(1);
/// A second signal within this time belongs to the first: `timeout` sends each signal twice.
const SAME: Duration = Duration::from_millis(300);

/// The state of a stop, shared with the signal handlers.
struct Stop {
    began: Instant,
    /// The number of the signal; 0 if there was none.
    signal: Arc<AtomicUsize>,
    /// True if another signal ends the program.
    ends: Arc<AtomicBool>,
    /// The time of the work's last call of [`is_asked`], in milliseconds since `began`; 0 if there was none.
    asked_at: AtomicU64,
    /// True if a call of [`is_asked`] has returned true.
    is_noticed: AtomicBool,
}

static STOP: LazyLock<Stop> = LazyLock::new(|| Stop {
    began: Instant::now(),
    signal: Arc::default(),
    ends: Arc::default(),
    asked_at: AtomicU64::new(0),
    is_noticed: AtomicBool::new(false),
});

/// Listens to signals until the program ends. If that fails, a signal ends the program at once.
pub(super) fn listen() {
    let listened = signals().into_iter().try_for_each(|signal| {
        // The order matters: a signal that finds the flag already set ends the program.
        flag::register_conditional_shutdown(signal, BY_SIGNAL + signal, STOP.ends.clone())?;
        flag::register_usize(signal, STOP.signal.clone(), signal.unsigned_abs() as usize).map(drop)
    });
    let watcher = std::thread::Builder::new().name("signals".into());
    if listened.is_err() || watcher.spawn(watch).is_err() {
        STOP.ends.store(true, SeqCst);
    }
    long_files_are_errors();
}

/// The signals to listen to: without SIGHUP if it was ignored at the start, as under `nohup`.
fn signals() -> Vec<i32> {
    let mut signals = vec![SIGINT, SIGTERM];
    #[cfg(unix)]
    signals.extend(Some(signal_hook::consts::SIGHUP).filter(|hangup| !is_ignored(*hangup)));
    signals
}

/// True if the program was started with this signal ignored, or if the system does not tell.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = mappa::artefact::load_text(std::path::Path::new("/proc/self/status"));
    let mask = status.ok().and_then(|status| {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?.trim().to_string();
        u64::from_str_radix(&mask, 16).ok()
    });
    mask.is_none_or(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Ignores SIGXFSZ, so that a file above the limit of `ulimit -f` is an error that names the file; by default, the
/// signal ends the program.
fn long_files_are_errors() {
    #[cfg(unix)]
    drop(flag::register(signal_hook::consts::SIGXFSZ, Arc::default()));
}

/// Returns true if a signal has requested a stop; the work that asks must then end by itself.
pub(super) fn is_asked() -> bool {
    let now = u64::try_from(STOP.began.elapsed().as_millis()).unwrap_or(u64::MAX);
    STOP.asked_at.store(now.max(1), SeqCst);
    let is_asked = STOP.signal.load(SeqCst) != 0;
    if is_asked {
        STOP.is_noticed.store(true, SeqCst);
    }
    is_asked
}

/// The exit code of the stopped program; `otherwise` if no signal stopped it.
pub(super) fn exit_code(otherwise: u8) -> u8 {
    match STOP.signal.load(SeqCst) {
        0 => otherwise,
        signal => u8::try_from(signal).map_or(otherwise, |signal| signal.saturating_add(BY_SIGNAL as u8)),
    }
}

/// Waits for a signal, then ends the program unless its work notices the stop.
fn watch() {
    while STOP.signal.load(SeqCst) == 0 {
        std::thread::sleep(POLL);
    }
    let since = STOP.began.elapsed();
    let last = STOP.asked_at.load(SeqCst);
    let asks = last > 0 && since.saturating_sub(Duration::from_millis(last)) < PATIENCE;
    let patience = if asks { PATIENCE } else { Duration::ZERO };
    loop {
        let waited = STOP.began.elapsed().saturating_sub(since);
        if waited > SAME {
            STOP.ends.store(true, SeqCst);
        }
        if STOP.is_noticed.load(SeqCst) {
            std::thread::sleep(SAME);
            STOP.ends.store(true, SeqCst);
            return;
        }
        if waited >= patience {
            end();
        }
        std::thread::sleep(POLL / 5);
    }
}

/// Prints a line about the kept files, and ends the program.
fn end() -> ! {
    let line = match (terminal::under_way(), output::is_only_printing()) {
        (_, true) => "stopped".to_string(),
        (None, false) => format!("stopped: {KEPT}"),
        (Some(work), false) => format!("stopped in {work}: {KEPT}"),
    };
    terminal::print_last(&line);
    std::process::exit(i32::from(exit_code(130)))
}

/// The sentence about the kept files, after a stop.
const KEPT: &str = "finished files are kept; the same command makes the others";
