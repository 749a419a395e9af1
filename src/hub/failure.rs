//! Requests that fail: which failures pass, and how often they are waited for.

use crate::error::Error;
use std::time::Duration;

/// Why a request brought nothing.
pub(super) enum Failure {
    /// There was no connection to the hub.
    Unreachable(String, Box<ureq::Error>),
    /// Another try may help.
    Passing(String),
    /// Another try will not help.
    Final(Error),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Unreachable(url, source) => write!(f, "{url}: cannot connect: {source}"),
            Failure::Passing(problem) => f.write_str(problem),
            Failure::Final(error) => write!(f, "{error}"),
        }
    }
}

/// Whether an error of the transport is a connection that broke, or one that never was.
pub(super) fn failure(url: &str, error: ureq::Error) -> Failure {
    use std::io::ErrorKind as Kind;
    // Names that cannot be looked up and certificates that are not trusted come as errors of other kinds.
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
    if passes {
        Failure::Passing(format!("{url}: {error}"))
    } else {
        Failure::Unreachable(url.into(), error.into())
    }
}

/// A few tries with a wait between them that doubles.
pub(super) struct Retries {
    /// The tries so far.
    pub attempts: u32,
    first: Duration,
}

impl Retries {
    const MAX: u32 = 4;

    /// Fresh tries, with a first wait.
    pub fn new(first: Duration) -> Retries {
        Retries { attempts: 0, first }
    }

    /// After a failure: waits and says yes, or says that it was the last try.
    pub fn again(&mut self) -> bool {
        self.attempts += 1;
        if self.attempts < Self::MAX {
            std::thread::sleep(self.first * (1 << (self.attempts - 1)));
        }
        self.attempts < Self::MAX
    }

    /// Tries until it works, until a failure is not worth another try, or until the tries are used up.
    pub fn run<T>(
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
    fn what_broke_passes_and_what_never_was_does_not() {
        for kind in [ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof, ErrorKind::TimedOut] {
            assert!(matches!(failure("x", ureq::Error::Io(kind.into())), Failure::Passing(_)), "{kind}");
        }
        // Looking up a name fails as `other`, a certificate as invalid data.
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
