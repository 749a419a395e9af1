//! Progress bars, notes and errors on standard error.

use super::pace::Pace;
use indicatif::{ProgressBar, ProgressState, ProgressStyle, WeakProgressBar};
use std::collections::BTreeSet;
use std::error::Error as _;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A progress bar with rate and time left.
pub(super) fn bar(title: &str, n: u64) -> ProgressBar {
    bar_from(title, n, 0)
}

/// A progress bar over work that an earlier run has partly done; that part does not count for the rate.
pub(super) fn bar_from(title: &str, n: u64, done: u64) -> ProgressBar {
    styled(title, n, done, "{prefix:<28} {bar:28} {pos}/{len} {rate}, {left} left {msg}")
}

/// A progress bar over bytes, with rate and time left.
pub(super) fn byte_bar(title: &str, n: u64, done: u64) -> ProgressBar {
    styled(title, n, done, "{prefix:<28} {bar:28} {bytes}/{total_bytes} {left} left {msg}")
}

fn styled(title: &str, n: u64, done: u64, template: &str) -> ProgressBar {
    let (left, rate) = (Pace::default(), Pace::default());
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("left", move |state: &ProgressState, to: &mut dyn Write| left.write_left(state, to))
        .with_key("rate", move |state: &ProgressState, to: &mut dyn Write| rate.write_rate(state, to));
    let bar = ProgressBar::new(n).with_position(done).with_style(style).with_prefix(title.to_string());
    bar.enable_steady_tick(Duration::from_millis(500));
    *LATEST.lock().unwrap_or_else(PoisonError::into_inner) = Some((title.to_string(), bar.downgrade()));
    bar
}

/// A spinner for work of unknown size.
pub(super) fn spinner(title: &str) -> ProgressBar {
    styled(title, 0, 0, "{prefix:<28} {spinner} {elapsed}")
}

/// The latest bar, to tell where a stopped program was.
static LATEST: Mutex<Option<(String, WeakProgressBar)>> = Mutex::new(None);

/// The name and the position of the unfinished work that a bar shows.
pub(super) fn under_way() -> Option<String> {
    let latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    let (title, bar) = latest.as_ref()?;
    let bar = bar.upgrade().filter(|bar| !bar.is_finished())?;
    Some(match bar.length() {
        Some(n) if n > 0 => format!("{title} at {} of {n}", bar.position()),
        _ => title.clone(),
    })
}

/// Prints a last line in place of the bar.
pub(super) fn print_line(line: &str) {
    let latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bar) = latest.as_ref().and_then(|(_, bar)| bar.upgrade()) {
        bar.finish_and_clear();
    }
    eprintln!("{line}");
}

/// Prints a note about a result; repeated notes are printed once.
pub(super) fn note(text: &str) {
    once(&format!("note: {text}"));
}

/// Prints a line to standard error, unless it was printed before.
pub(super) fn once(line: &str) {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert(line.to_string()) {
        eprintln!("{line}");
    }
}

/// Prints an error with its causes.
pub(super) fn print_error(error: &mappa::Error) {
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
