//! What the person at the terminal sees besides results: progress and errors, on stderr.

use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeSet;
use std::error::Error as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A progress bar with rate and time left.
pub fn bar(title: &str, n: u64) -> ProgressBar {
    styled(title, n, "{prefix:<28} {bar:28} {pos}/{len} {per_sec} {eta} left {msg}")
}

/// A progress bar over bytes, with rate and time left.
pub fn byte_bar(title: &str, n: u64) -> ProgressBar {
    styled(title, n, "{prefix:<28} {bar:28} {bytes}/{total_bytes} {bytes_per_sec} {eta} left {msg}")
}

fn styled(title: &str, n: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(n).with_style(style).with_prefix(title.to_string());
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// A sign of life where it is not known how much is to be done.
pub fn spinner(title: &str) -> ProgressBar {
    styled(title, 0, "{prefix:<28} {spinner} {elapsed}")
}

/// Lets the program end quietly when nobody reads its output any more, as under `| head`.
pub fn end_quietly_on_closed_pipe() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str().is_some_and(|text| text.contains("Broken pipe")) {
            std::process::exit(0);
        }
        before(panic);
    }));
}

/// Prints what a user should know of a result, once however often it comes up.
pub fn note(text: &str) {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_string()) {
        eprintln!("note: {text}");
    }
}

/// Prints an error and what caused it.
pub fn print_error(error: &mappa::Error) {
    match error {
        mappa::Error::Stopped { .. } | mappa::Error::StoppedTraining { .. } => eprintln!("{error}"),
        _ => eprintln!("error: {error}"),
    }
    let mut cause = error.source();
    while let Some(inner) = cause {
        eprintln!("  caused by: {inner}");
        cause = inner.source();
    }
}
