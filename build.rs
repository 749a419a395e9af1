//! Tells the crate which commit it was built from, for the cards; `unknown` outside a git checkout.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=.git/HEAD");
    println!("cargo:rerun-if-changed=.git/refs");
    let commit = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let commit =
        commit.ok().filter(|out| out.status.success()).and_then(|out| String::from_utf8(out.stdout).ok());
    println!("cargo:rustc-env=MAPPA_GIT_COMMIT={}", commit.as_deref().map_or("unknown", str::trim));
}
