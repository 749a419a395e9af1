//! Integration tests: laws, references, bad input, and the shape of the source itself.

mod bad_input;
mod families;
mod laws;
mod tidy;

use std::path::PathBuf;

/// A path below the repository's root.
fn root(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}
