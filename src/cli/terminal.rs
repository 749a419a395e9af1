//! Lines on standard output; progress bars, notes and errors on standard error.
//!
//! All output of the program goes through this file, which escapes control characters in names, cells and generated
//! texts before they reach a terminal.

use super::output;
use super::pace::Pace;
use indicatif::{ProgressBar, ProgressState, ProgressStyle, WeakProgressBar};
use mappa::shown::{plain_lines, shown, shown_up_to};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::error::Error as _;
use std::fmt::{Arguments, Write};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The greatest number of characters of a line on standard output. A cell has at most [`mappa::shown::LONGEST`].
const LINE: usize = 10_000;
/// The greatest number of characters of a line on standard error.
const NOTE: usize = 1000;
/// The greatest number of characters before a progress bar.
const TITLE: usize = 60;
/// The greatest number of causes that are printed after an error.
const CAUSES: usize = 8;

/// Prints a line to standard output, in the form of `println!`; a line end within it is escaped.
macro_rules! say {
    () => { $crate::cli::terminal::print_line(format_args!("")) };
    ($($words:tt)*) => { $crate::cli::terminal::print_line(format_args!($($words)*)) };
}

/// Prints a line to standard error, in the form of `eprintln!`; a line end within it is escaped.
macro_rules! tell {
    ($($words:tt)*) => { $crate::cli::terminal::print_note(&format!($($words)*)) };
}

/// Prints a line to standard output; `say!` calls it.
pub(super) fn print_line(line: Arguments) {
    output::put(format_args!("{}\n", shown_up_to(LINE, &line.to_string())));
}

/// Prints a line to standard error; `tell!` calls it.
pub(super) fn print_note(line: &str) {
    output::tell(format_args!("{}", shown_up_to(NOTE, line)));
}

/// Prints a text of this program in several lines.
pub(super) fn print_lines(text: &str) {
    text.lines().for_each(|line| say!("{line}"));
}

/// Prints a piece of generated text, and flushes it. A file or a pipe receives it unchanged; on a terminal, direction
/// marks and control characters other than line ends and tabs are escaped.
pub(super) fn print_text(piece: &str) {
    output::put_now(format_args!("{}", for_output(piece, std::io::stdout().is_terminal())));
    if !piece.is_empty() {
        IN_LINE.store(!piece.ends_with('\n'), Ordering::Relaxed);
    }
}

/// True if the last piece of generated text did not end its line.
static IN_LINE: AtomicBool = AtomicBool::new(false);

/// Ends an incomplete line of generated text, so that a message on the same terminal has its own line.
fn end_line() {
    let is_one = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
    // Not on standard output, which the stopped work may still be writing to.
    if is_one && IN_LINE.swap(false, Ordering::Relaxed) {
        output::tell(format_args!(""));
    }
}

/// A generated text, with control characters escaped for a terminal, unchanged for a file or a pipe.
fn for_output(text: &str, is_terminal: bool) -> Cow<'_, str> {
    if is_terminal { plain_lines(text) } else { Cow::Borrowed(text) }
}

/// Prints the help or the version, with colours where the terminal has them.
pub(super) fn print_page(answer: &clap::Error) {
    match answer.use_stderr() {
        true => _ = answer.print(),
        false => output::put_all(|| answer.print()),
    }
}

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
    let bar = ProgressBar::new(n)
        .with_position(done)
        .with_style(style)
        .with_prefix(shown_up_to(TITLE, title).into_owned());
    bar.enable_steady_tick(Duration::from_millis(500));
    *LATEST.lock().unwrap_or_else(PoisonError::into_inner) =
        Some((shown_up_to(TITLE, title).into_owned(), bar.downgrade()));
    bar
}

/// Sets the text after a progress bar.
pub(super) fn set_detail(bar: &ProgressBar, detail: &str) {
    bar.set_message(format!("({})", shown_up_to(TITLE, detail)));
}

/// A spinner for work of unknown size.
pub(super) fn spinner(title: &str) -> ProgressBar {
    styled(title, 0, 0, "{prefix:<28} {spinner} {elapsed}")
}

/// The latest bar, for the message of a stopped program.
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
pub(super) fn print_last(line: &str) {
    let latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bar) = latest.as_ref().and_then(|(_, bar)| bar.upgrade()) {
        bar.finish_and_clear();
    }
    end_line();
    print_note(line);
}

/// Prints a note about a result; repeated notes are printed once.
pub(super) fn note(text: &str) {
    once(&format!("note: {text}"));
}

/// Prints a line to standard error, unless it was printed before.
pub(super) fn once(line: &str) {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert(line.to_string()) {
        print_note(line);
    }
}

/// Prints an error with its causes and further advice, in one line.
pub(super) fn print_error(error: &mappa::Error, advice: &str) {
    let mut line = error.to_string();
    let mut cause = error.source();
    for _ in 0..CAUSES {
        let Some(inner) = cause else { break };
        let text = shown(&inner.to_string()).into_owned();
        if !line.contains(&text) {
            line += &format!(": {text}");
        }
        cause = inner.source();
    }
    end_line();
    match error.is_stop() {
        true => tell!("{line}"),
        false => tell!("error: {line}{advice}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_text_is_exact_in_a_file_and_harmless_on_a_terminal() {
        let text = "a\n\tb\r\u{1b}]0;title\u{7}\u{202e}c";
        assert_eq!(for_output(text, false), text);
        assert_eq!(for_output(text, true), "a\n\tb\\r\\u{1b}]0;title\\u{7}\\u{202e}c");
    }
}
