//! Observation of long work: one trait for every stage.

/// The state of one stage of long work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The name of the stage for people: a dataset and its processing, or a file's name.
    pub stage: &'a str,
    /// Units done, including those of an earlier run.
    pub done: u64,
    /// The total number of units; 0 if unknown.
    pub total: u64,
    /// The unit of both.
    pub unit: ProgressUnit,
    /// Further detail in a few words, such as `12 of 40 entities`; may be empty.
    pub detail: &'a str,
}

impl<'a> Progress<'a> {
    /// The state of a stage that counts tokens, rows, steps or the like.
    pub fn counted(stage: &'a str, done: u64, total: u64) -> Progress<'a> {
        Progress { stage, done, total, unit: ProgressUnit::Count, detail: "" }
    }
}

/// The unit that progress is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressUnit {
    /// Tokens, rows, steps, hook points: anything that is counted.
    Count,
    /// Bytes.
    Bytes,
}

/// Observes long work: receives progress and remarks, and may request a stop.
pub trait Observer {
    /// Receives the state of a stage: at its beginning, when `done` may already include an earlier run, and then
    /// repeatedly until `done` is `total`.
    fn progress(&mut self, _progress: &Progress) {}

    /// Receives a line about the current work.
    fn info(&mut self, _line: &str) {}

    /// Receives a remark that a reader of the result should know.
    fn note(&mut self, _text: &str) {}

    /// Returns true if the work should stop; called often. Work that is complete by then is kept.
    fn should_stop(&self) -> bool {
        false
    }
}

/// An observer that ignores everything and never stops the work.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}
