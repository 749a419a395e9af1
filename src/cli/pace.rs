//! The rate of work and the time left, for progress bars: unknown until some work is done, then from the mean rate
//! since the start of the bar, so that the numbers do not jump.

use indicatif::{HumanDuration, ProgressState};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A placeholder for an unknown value.
const UNKNOWN: &str = "–";
/// Minimum time of work before a rate is shown.
const SETTLED: Duration = Duration::from_secs(1);

/// The observed positions of a bar.
#[derive(Debug, Clone, Copy)]
struct Seen {
    first: (Instant, u64),
    /// The time and the position of its last move.
    last: (Instant, u64),
}

impl Seen {
    /// Units of work per second, up to the last move.
    fn rate(&self) -> Option<f64> {
        let (took, n) = (self.last.0.duration_since(self.first.0), self.last.1.checked_sub(self.first.1)?);
        (took >= SETTLED && n > 0).then(|| n as f64 / took.as_secs_f64())
    }

    /// The time from now until `n` units are done, at that rate.
    fn left(&self, n: u64, now: Instant) -> Option<Duration> {
        let whole = Duration::try_from_secs_f64(n.saturating_sub(self.last.1) as f64 / self.rate()?).ok()?;
        Some(whole.saturating_sub(now.duration_since(self.last.0)))
    }
}

/// A bar's pace, shared by the bar's text fields.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace(Arc<Mutex<Option<Seen>>>);

impl Pace {
    fn seen(&self, position: u64) -> Seen {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let here = (Instant::now(), position);
        let seen = seen.get_or_insert(Seen { first: here, last: here });
        if seen.last.1 != position {
            seen.last = here;
        }
        *seen
    }

    /// Writes the time left.
    pub(super) fn write_left(&self, state: &ProgressState, to: &mut dyn Write) {
        let n = state.len().filter(|n| *n > 0); // 0 while the total is unknown
        let left = n.and_then(|n| self.seen(state.pos()).left(n, Instant::now()));
        _ = match left {
            Some(left) => write!(to, "{}", short(left)),
            None => write!(to, "{UNKNOWN}"),
        };
    }

    /// Writes the rate.
    pub(super) fn write_rate(&self, state: &ProgressState, to: &mut dyn Write) {
        let known = state.len().is_some_and(|n| n > 0);
        _ = match known.then(|| self.seen(state.pos()).rate()).flatten() {
            Some(rate) if rate >= 10.0 => write!(to, "{rate:.0}/s"),
            Some(rate) => write!(to, "{rate:.1}/s"),
            None => write!(to, "{UNKNOWN}"),
        };
    }
}

/// A duration in seconds (below 100 s), minutes (below 100 min), or otherwise in its largest unit.
fn short(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..=99 => format!("{seconds}s"),
        seconds @ 100..=5_999 => format!("{}min", (seconds + 30) / 60),
        _ => format!("{:#}", HumanDuration(time)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rate_is_shown_before_any_work_and_waiting_does_not_increase_the_time_left() {
        let begin = Instant::now();
        let at = |seconds: f64, n: u64| (begin + Duration::from_secs_f64(seconds), n);
        let unmoved = Seen { first: at(0.0, 40), last: at(0.0, 40) };
        assert_eq!((unmoved.rate(), unmoved.left(100, at(60.0, 0).0)), (None, None));
        let hasty = Seen { last: at(0.2, 90), ..unmoved };
        assert_eq!(hasty.rate(), None);
        // Twenty units in ten seconds: units done by an earlier run do not count for the rate.
        let half = Seen { last: at(10.0, 60), ..unmoved };
        assert_eq!(half.rate(), Some(2.0));
        assert_eq!(half.left(100, at(10.0, 0).0), Some(Duration::from_secs(20)));
        assert_eq!(half.left(100, at(15.0, 0).0), Some(Duration::from_secs(15)));
        assert_eq!(half.left(100, at(100.0, 0).0), Some(Duration::ZERO));
        assert_eq!([1, 99, 150, 7_300].map(|s| short(Duration::from_secs(s))), ["1s", "99s", "3min", "2h"]);
    }
}
