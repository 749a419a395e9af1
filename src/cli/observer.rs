//! The observer at the terminal: progress bars, lines and notes on standard error, and Ctrl-C.

use super::{stopping, terminal};
use indicatif::ProgressBar;
use mappa::progress::{Observer, Progress, ProgressUnit};
use std::time::{Duration, Instant};

/// Shows one progress bar per stage, prints lines above it, and stops the work at the first Ctrl-C.
#[derive(Default)]
pub(super) struct TerminalObserver {
    bar: Option<(String, ProgressBar)>,
    /// The time of the last progress line in a log.
    logged: Option<Instant>,
}

/// Time between progress lines where no bar can be drawn, as in the log of a cluster job.
const LOG_EVERY: Duration = Duration::from_secs(30);

impl TerminalObserver {
    fn bar(&mut self, progress: &Progress) -> &ProgressBar {
        if self.bar.as_ref().is_none_or(|(stage, _)| stage != progress.stage) {
            self.finish();
            self.logged = None;
        }
        let begin = || {
            let (total, done) = (progress.total, progress.done);
            let bar = match progress.unit {
                _ if progress.total == 0 && progress.unit == ProgressUnit::Count => {
                    terminal::spinner(progress.stage)
                }
                ProgressUnit::Count => terminal::bar_from(progress.stage, total, done),
                ProgressUnit::Bytes => terminal::byte_bar(progress.stage, total, done),
            };
            (progress.stage.to_string(), bar)
        };
        &self.bar.get_or_insert_with(begin).1
    }

    /// Prints a progress line every [`LOG_EVERY`] if no bar can be drawn.
    fn log(&mut self, progress: &Progress, is_hidden: bool) {
        let Progress { stage, done, total, detail, .. } = progress;
        let since = self.logged.get_or_insert_with(Instant::now);
        if is_hidden && *total > 0 && since.elapsed() > LOG_EVERY {
            self.logged = Some(Instant::now());
            let detail = if detail.is_empty() { String::new() } else { format!(" ({detail})") };
            tell!("{stage}: {done} of {total}{detail}");
        }
    }

    /// Removes the bar.
    fn finish(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Prints a line above the bar.
    fn print(&self, print: impl FnOnce()) {
        match &self.bar {
            Some((_, bar)) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Observer for TerminalObserver {
    fn progress(&mut self, progress: &Progress) {
        let bar = self.bar(progress);
        bar.set_position(progress.done);
        if !progress.detail.is_empty() {
            terminal::set_detail(bar, progress.detail);
        }
        let is_hidden = bar.is_hidden();
        self.log(progress, is_hidden);
        if progress.total > 0 && progress.done >= progress.total {
            match progress.unit {
                ProgressUnit::Count => self.finish(),
                // The bar of a downloaded file stays on the screen.
                ProgressUnit::Bytes => self.bar.take().iter().for_each(|(_, bar)| bar.finish()),
            }
        }
    }

    fn info(&mut self, line: &str) {
        self.print(|| terminal::once(line));
    }

    fn note(&mut self, text: &str) {
        self.print(|| terminal::note(text));
    }

    fn should_stop(&self) -> bool {
        stopping::is_asked()
    }
}

impl Drop for TerminalObserver {
    fn drop(&mut self) {
        self.finish();
    }
}
