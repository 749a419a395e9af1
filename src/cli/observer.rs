//! An observer of long work for a person at a terminal: a bar for each stage, lines and notes on stderr.

use super::terminal;
use indicatif::ProgressBar;
use mappa::progress::{Observer, Progress, ProgressUnit};

/// Draws a bar for the present stage; a bar over bytes stays when its stage ends, any other is cleared.
#[derive(Default)]
pub struct TerminalObserver {
    bar: Option<StageBar>,
}

/// The bar of one stage.
struct StageBar {
    stage: String,
    unit: ProgressUnit,
    has_total: bool,
    bar: ProgressBar,
}

impl StageBar {
    fn new(progress: &Progress) -> StageBar {
        let Progress { stage, done, total, unit, .. } = *progress;
        let bar = match unit {
            ProgressUnit::Bytes => terminal::byte_bar(stage, (total, done)),
            ProgressUnit::Count if total == 0 => terminal::spinner(stage),
            ProgressUnit::Count => terminal::bar_from(stage, (total, done)),
        };
        StageBar { stage: stage.into(), unit, has_total: total > 0, bar }
    }

    fn is_of(&self, progress: &Progress) -> bool {
        self.stage == progress.stage && self.unit == progress.unit && self.has_total == (progress.total > 0)
    }
}

impl Drop for StageBar {
    fn drop(&mut self) {
        match self.unit {
            ProgressUnit::Bytes => self.bar.abandon(),
            ProgressUnit::Count => self.bar.finish_and_clear(),
        }
    }
}

impl TerminalObserver {
    /// Prints without breaking the bar.
    fn print(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(shown) => shown.bar.suspend(print),
            None => print(),
        }
    }
}

impl Observer for TerminalObserver {
    fn progress(&mut self, progress: &Progress) {
        if !self.bar.as_ref().is_some_and(|shown| shown.is_of(progress)) {
            // The old bar ends before the new one is drawn.
            self.bar = None;
        }
        let shown = self.bar.get_or_insert_with(|| StageBar::new(progress));
        if progress.total > 0 {
            shown.bar.set_length(progress.total);
        }
        shown.bar.set_position(progress.done);
        if shown.bar.message() != progress.detail {
            shown.bar.set_message(progress.detail.to_string());
        }
    }

    fn info(&mut self, line: &str) {
        self.print(|| eprintln!("{line}"));
    }

    fn note(&mut self, text: &str) {
        self.print(|| terminal::note(text));
    }
}
