//! Failures of requests, and retries of transient ones.

use crate::error::Error;
use crate::shown::without_secrets;
use std::time::Duration;

/// The failure of a request.
pub(super) enum Failure {
    /// No connection to the hub.
    Unreachable(String, Box<ureq::Error>),
    /// A transient failure: a retry may help.
    Transient(String),
    /// A transfer that was too slow: a retry may help, but its bytes do not count as progress.
    Slow(String),
    /// A final failure: a retry does not help.
    Final(Error),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Unreachable(url, source) => write!(f, "{url}: cannot connect: {source}"),
            Failure::Transient(problem) | Failure::Slow(problem) => f.write_str(problem),
            Failure::Final(error) => write!(f, "{error}"),
        }
    }
}

/// The failure for an error of the transport: transient for a broken connection, unreachable for one that was never
/// made.
pub(super) fn failure(url: &str, error: ureq::Error) -> Failure {
    use std::io::ErrorKind as Kind;
    // Unknown host names and untrusted certificates are errors of other kinds.
    let broke = |kind| {
        let kinds = [Kind::ConnectionReset, Kind::ConnectionAborted, Kind::BrokenPipe, Kind::UnexpectedEof];
        kinds.contains(&kind) || matches!(kind, Kind::TimedOut | Kind::WouldBlock | Kind::Interrupted)
    };
    let passes = match &error {
        ureq::Error::Io(e) => broke(e.kind()),
        ureq::Error::Timeout(phase) => !matches!(phase, ureq::Timeout::Connect | ureq::Timeout::Resolve),
        ureq::Error::Protocol(_) => true,
        _ => false,
    };
    let url = without_secrets(url);
    if passes {
        Failure::Transient(format!("{url}: {error}"))
    } else {
        Failure::Unreachable(url.into(), error.into())
    }
}

/// A limited number of attempts, with a wait between them that doubles each time.
pub(super) struct Retries {
    /// The failed attempts so far.
    pub attempts: u32,
    first: Duration,
}

impl Retries {
    const MAX: u32 = 4;

    /// No failed attempt yet; `first` is the wait before the first retry.
    pub(super) fn new(first: Duration) -> Retries {
        Retries { attempts: 0, first }
    }

    /// Counts a failure; waits and returns true, or returns false after the last attempt.
    pub(super) fn again(&mut self) -> bool {
        self.attempts += 1;
        if self.attempts < Self::MAX {
            std::thread::sleep(self.first * (1 << (self.attempts - 1)));
        }
        self.attempts < Self::MAX
    }

    /// Repeats an action until it succeeds, until a failure is not worth a retry, or until the attempts are used up.
    pub(super) fn run<T>(
        mut self,
        mut action: impl FnMut() -> Result<T, Failure>,
        worth: impl Fn(&Failure) -> bool,
    ) -> Result<T, Failure> {
        loop {
            match action() {
                Err(failure) if worth(&failure) && self.again() => {}
                outcome => return outcome,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Error, ErrorKind};

    #[test]
    fn broken_connections_are_transient_and_missing_ones_are_not() {
        for kind in [ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof, ErrorKind::TimedOut] {
            assert!(matches!(failure("x", ureq::Error::Io(kind.into())), Failure::Transient(_)), "{kind}");
        }
        // An unknown host name fails as `other`, a bad certificate as invalid data.
        let never = [
            Error::other("no such name"),
            ErrorKind::InvalidData.into(),
            ErrorKind::ConnectionRefused.into(),
        ];
        for error in never.map(ureq::Error::Io).into_iter().chain([ureq::Error::HostNotFound]) {
            assert!(matches!(failure("x", error), Failure::Unreachable(..)));
        }
    }
}
