//! The program as the tests run it, with what they ask of its output.

use std::borrow::Borrow;
use std::path::Path;
use std::process::{Command, Output};

/// The program with the arguments, in a lab.
pub(crate) fn command(lab: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mappa"));
    command.arg("--lab").arg(lab).args(args);
    command
}

/// Runs the program to its end.
pub(crate) fn mappa(lab: &Path, args: &[&str]) -> Output {
    command(lab, args).output().unwrap()
}

/// The standard output of a run, which must have succeeded.
#[track_caller]
pub(crate) fn done(output: impl Borrow<Output>) -> String {
    let output = output.borrow();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Asserts that a run ended with exit code 1 and an error that has all the parts.
#[track_caller]
pub(crate) fn refused(output: impl Borrow<Output>, parts: &[&str]) {
    let output = output.borrow();
    let message = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}
