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

/// Whether an error of the transport is a missing connection, or one that broke.
pub(super) fn failure(url: &str, error: ureq::Error) -> Failure {
    use std::io::ErrorKind as Kind;
    let no_way = |kind| {
        matches!(
            kind,
            Kind::ConnectionRefused | Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NotFound
        )
    };
    match error {
        ureq::Error::Io(e) if !no_way(e.kind()) => Failure::Passing(format!("{url}: {e}")),
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            Failure::Unreachable(url.into(), error.into())
        }
        ureq::Error::Timeout(_) | ureq::Error::Protocol(_) => Failure::Passing(format!("{url}: {error}")),
        error => Failure::Unreachable(url.into(), error.into()),
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
