//! The `mappa` command.

fn main() {}
