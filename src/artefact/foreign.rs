//! Calls of other libraries: their panics become errors.
//!
//! Called through this file (`tests/it/tidy.rs` has the list): Parquet files, pickles and tensors of candle, arrays of
//! NumPy, tokenizers, chat templates, TOML. In each of these readers, panics, deep recursion or endless growth were
//! found, or are likely because of its size.
//!
//! May be called directly: `serde_json`, `csv`, `safetensors` (its table of contents) and `zip` (an archive's
//! directory).
//! No panic of theirs is known: the targets `csv`, `json`, `dataset` and `card` of `fuzz/` and the test `fuzzed` search for
//! one, which proves nothing about inputs that were not tried. JSON ends at 128 levels of nesting. Their memory grows in
//! proportion to the input, whose length is compared with the free memory before it is read
//! ([`super::load_bytes`]); where the factor is large, the caller counts the values first (`datasets/formats/json.rs`).

use crate::error::{Error, Result};
use std::any::Any;
use std::cell::{Cell, LazyCell};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::Path;
use std::sync::Once;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The stack of a reader's thread, in bytes. The system provides memory only for the used part.
const STACK: usize = 256 << 20;
/// The interval at which the limits of a call are checked.
const WATCH: Duration = Duration::from_millis(20);
/// The maximum number of characters of a library's message in an error.
const LETTERS: usize = 200;

thread_local! {
    /// True while this thread is in another library's code whose panics are caught.
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Runs a reader of another library on a thread with a large stack, and turns its panic into an error that names the
/// file; `expected` is the advice.
///
/// A lack of memory or of stack cannot be caught: the caller checks sizes and depths first.
///
/// # Errors
/// [`Error::BadFile`] after a panic, otherwise those of `read`.
pub(crate) fn guarded<T: Send>(
    path: &Path,
    expected: &str,
    read: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    let outcome = thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || caught(read));
        thread.map(|thread| thread.join().unwrap_or_else(|panic| Err(message(&*panic))))
    });
    outcome
        .map_err(Error::io("start a thread to read", path))?
        .unwrap_or_else(|problem| Err(Error::bad_file(path, failure(&problem), expected)))
}

/// The limits of a call by [`limited`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The size of its stack, in bytes.
    pub stack: usize,
    /// Its duration.
    pub seconds: u64,
    /// The growth of this program's memory during the call; it is checked on Linux only.
    pub bytes: u64,
}

/// Calls a function of another library, which cannot be stopped, on a thread of its own. This function returns when the
/// call exceeds a limit; the thread then continues until the call or the program ends.
///
/// # Errors
/// The message of its panic, or the exceeded limit.
pub(crate) fn limited<T: Send + 'static>(
    limits: Limits,
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let (sender, receiver) = channel();
    let run = move || _ = sender.send(caught(call));
    let thread = thread::Builder::new().stack_size(limits.stack).spawn(run);
    thread.map_err(|e| format!("no thread can be started ({e})"))?;
    let (start, before) = (Instant::now(), LazyCell::new(memory));
    loop {
        match receiver.recv_timeout(WATCH) {
            Ok(outcome) => return outcome.map_err(|panic| failure(&panic)),
            Err(RecvTimeoutError::Disconnected) => return Err("it ended without an answer".into()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if start.elapsed().as_secs() >= limits.seconds {
            return Err(format!("no end after {} seconds", limits.seconds));
        }
        if memory().saturating_sub(*before) > limits.bytes {
            return Err(format!("more than {} MB of memory", limits.bytes >> 20));
        }
    }
}

/// The memory of this program in bytes, without mapped files; 0 if unknown.
fn memory() -> u64 {
    const PAGE: u64 = 4096;
    let text = std::fs::read("/proc/self/statm").unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut pages = text.split(' ').skip(1).map(|pages| pages.parse::<u64>().unwrap_or_default());
    let (all, of_files) = (pages.next().unwrap_or_default(), pages.next().unwrap_or_default());
    all.saturating_sub(of_files) * PAGE
}

/// Calls another library on this thread, for frequent calls: a new thread per call, as in [`guarded`], would be slow.
///
/// # Errors
/// The message of its panic, in one short line.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    static QUIET: Once = Once::new();
    // A caught panic is reported as an error; Rust's own panic message would report it twice.
    QUIET.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !IS_CAUGHT.get() {
                usual(panic);
            }
        }));
    });
    let before = IS_CAUGHT.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(call));
    IS_CAUGHT.set(before);
    outcome.map_err(|panic| message(&*panic))
}

/// The words of an error after a caught panic.
fn failure(message: &str) -> String {
    format!("content on which the library that reads it fails ({message})")
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|letter| !letter.is_control()).take(LETTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deep(n: usize) -> usize {
        if n == 0 { 0 } else { std::hint::black_box(deep(n - 1)) + 1 }
    }

    #[test]
    fn a_call_beyond_its_limits_is_given_up() {
        let limits = Limits { stack: 1 << 20, seconds: 1, bytes: 64 << 20 };
        assert_eq!(limited(limits, || 3), Ok(3));
        assert!(limited(limits, || panic!("seven")).unwrap_err().contains("seven"));
        let sleep = || thread::sleep(Duration::from_secs(4));
        assert_eq!(limited(limits, sleep).unwrap_err(), "no end after 1 seconds");
        if cfg!(target_os = "linux") {
            assert!(memory() > 1 << 20);
            let limits = Limits { seconds: 60, ..limits };
            let grow = || {
                let bytes = vec![1_u8; 512 << 20];
                thread::sleep(Duration::from_secs(2));
                bytes.len()
            };
            assert!(limited(limits, grow).unwrap_err().contains("memory"));
        }
    }

    #[test]
    fn a_panic_of_a_reader_is_an_error_of_the_file() {
        let path = Path::new("some/file.bin");
        let panics = |text: &'static str| guarded::<()>(path, "another file", move || panic!("{text}"));
        let error = panics("index 7\n  out of\tbounds\u{1b}[31m").unwrap_err().to_string();
        assert!(error.contains("some/file.bin") && error.contains("index 7 out of bounds"), "{error}");
        assert!(error.contains("another file") && !error.contains(['\n', '\u{1b}']), "{error}");
        assert!(panics("1").is_err() && !IS_CAUGHT.get(), "a second panic is caught as well");
        assert_eq!(guarded(path, "", || Ok(deep(200_000))).unwrap(), 200_000);
        let own = || Err::<(), _>(Error::bad_file(path, "its own error", ""));
        assert!(guarded(path, "", own).unwrap_err().to_string().contains("its own error"));
        assert_eq!(caught(|| 3).unwrap(), 3);
    }
}
