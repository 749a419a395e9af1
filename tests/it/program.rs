//! Helpers that run the program and check its output.

use std::borrow::Borrow;
use std::path::Path;
use std::process::{Command, Output};

/// A command of the program with these arguments, in a lab.
pub(crate) fn command(lab: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mappa"));
    command.arg("--lab").arg(lab).args(args);
    command
}

/// Runs the program until it ends.
pub(crate) fn mappa(lab: &Path, args: &[&str]) -> Output {
    command(lab, args).output().unwrap()
}

/// Asserts that a run succeeded; returns its standard output.
#[track_caller]
pub(crate) fn done(output: impl Borrow<Output>) -> String {
    let output = output.borrow();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Asserts that a run ended with exit code 1 and an error message that contains all parts.
#[track_caller]
pub(crate) fn refused(output: impl Borrow<Output>, parts: &[&str]) {
    let output = output.borrow();
    let message = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}
