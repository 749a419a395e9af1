//! Standard output and standard error, without the panics of `println!` when a pipe is closed or a disk is full.
//!
//! If the reader of the output has closed the pipe, as with `| head`, a command that writes files finishes its work and
//! exits with 0; a command that only prints exits at once, with [`CLOSED`]. Any other failure of standard output, such
//! as a full disk, is an error. Failures of standard error are ignored.

use std::fmt::Arguments;
use std::io::{Error, ErrorKind, Write, stderr, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// The exit code of a command that only prints, if the pipe of its output is closed; the same as after SIGPIPE.
const CLOSED: u8 = 141;

/// True if the command only prints.
static ONLY_PRINTS: AtomicBool = AtomicBool::new(false);
/// The first error of standard output; nothing is printed there after it.
static PROBLEM: Mutex<Option<Error>> = Mutex::new(None);

/// Declares that the current command writes no file that a later command needs.
pub(super) fn only_prints() {
    ONLY_PRINTS.store(true, Ordering::Relaxed);
}

/// True if [`only_prints`] was called.
pub(super) fn is_only_printing() -> bool {
    ONLY_PRINTS.load(Ordering::Relaxed)
}

/// Writes to standard output.
pub(super) fn put(text: Arguments) {
    put_all(|| stdout().write_fmt(text));
}

/// Writes to standard output, and flushes it.
pub(super) fn put_now(text: Arguments) {
    put_all(|| stdout().write_fmt(text).and_then(|()| stdout().flush()));
}

/// Writes a line to standard error; ignores a failure.
pub(super) fn tell(line: Arguments) {
    _ = stderr().write_fmt(format_args!("{line}\n"));
}

/// Writes to standard output by calling `write`, and remembers its first error.
pub(super) fn put_all(write: impl FnOnce() -> std::io::Result<()>) {
    let mut problem = PROBLEM.lock().unwrap_or_else(PoisonError::into_inner);
    if problem.is_none() {
        *problem = write().err();
    }
    if problem.is_some() && is_only_printing() {
        drop(problem);
        std::process::exit(i32::from(exit_code(0)));
    }
}

/// The program's exit code, from the command's exit code and the errors of standard output. Prints such an error to
/// standard error, unless the command failed or the pipe was closed.
pub(super) fn exit_code(code: u8) -> u8 {
    let mut problem = PROBLEM.lock().unwrap_or_else(PoisonError::into_inner);
    if problem.is_none() {
        *problem = stdout().flush().err();
    }
    match &*problem {
        None => code,
        Some(_) if code != 0 => code,
        Some(closed) if closed.kind() == ErrorKind::BrokenPipe => {
            if is_only_printing() {
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
