//! Standard output and standard error, where `println!` would panic because nobody reads them or a disk is full.
//!
//! A command that writes files finishes its work when the reader of its output has closed, as with `| head`, and ends
//! with 0. A command that only prints ends at once, with [`CLOSED`]. Output that cannot be written for another reason,
//! such as a full disk, is an error. What standard error cannot take is left out.

use std::fmt::Arguments;
use std::io::{Error, ErrorKind, Write, stderr, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// The exit code of a program whose output nobody reads, as of one that SIGPIPE ended.
const CLOSED: u8 = 141;

/// True if the command only prints.
static ONLY_PRINTS: AtomicBool = AtomicBool::new(false);
/// The first problem of standard output, after which nothing is printed there.
static PROBLEM: Mutex<Option<Error>> = Mutex::new(None);

/// Declares that the present command writes no file that a later command needs.
pub(super) fn only_prints() {
    ONLY_PRINTS.store(true, Ordering::Relaxed);
}

/// True if [`only_prints`] was called.
pub(super) fn is_all() -> bool {
    ONLY_PRINTS.load(Ordering::Relaxed)
}

/// Writes to standard output.
pub(super) fn put(text: Arguments) {
    put_all(|| stdout().write_fmt(text));
}

/// Writes to standard output, and shows it at once.
pub(super) fn put_now(text: Arguments) {
    put_all(|| stdout().write_fmt(text).and_then(|()| stdout().flush()));
}

/// Writes a line to standard error, where it can be written.
pub(super) fn tell(line: Arguments) {
    _ = stderr().write_fmt(format_args!("{line}\n"));
}

/// Writes to standard output by another function.
pub(super) fn put_all(write: impl FnOnce() -> std::io::Result<()>) {
    let mut problem = PROBLEM.lock().unwrap_or_else(PoisonError::into_inner);
    if problem.is_none() {
        *problem = write().err();
    }
    if problem.is_some() && is_all() {
        drop(problem);
        std::process::exit(i32::from(exit_code(0)));
    }
}

/// The exit code after all was printed; `code` is that of the command. Tells why, if the output could not be written.
pub(super) fn exit_code(code: u8) -> u8 {
    let mut problem = PROBLEM.lock().unwrap_or_else(PoisonError::into_inner);
    if problem.is_none() {
        *problem = stdout().flush().err();
    }
    match &*problem {
        None => code,
        Some(_) if code != 0 => code,
        Some(closed) if closed.kind() == ErrorKind::BrokenPipe => {
            if is_all() {
                CLOSED
            } else {
                0
            }
        }
        Some(error) => {
            tell(format_args!("error: cannot write to standard output: {error}"));
            1
        }
    }
}
