//! Integration tests: laws, references, bad input, and the shape of the source itself.

mod bad_input;
mod families;
mod laws;
mod reading;
mod source;
mod tidy;
mod tidy_tests;
mod training;

use std::path::PathBuf;

/// A path below the repository's root.
fn root(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}
