//! The activation store: arrays, spans and card in a lab's folder or in an object store.
//!
//! - `activation_store`: reads a finished store
//! - `layout`: the names of its files; `files`: their place, a folder or an `object_store`
//! - `array_file`: one array, by rows; `spans_file`: each entity's tokens; `checksums` of both;
//!   `blocks`: hashes of blocks of rows, compared whenever rows are read
//! - `check`: compares a finished store with its hashes
//! - `writer`: writes a store batch by batch; `merge`: joins shards into a store
//! - `staging`, `journal`: an unfinished store, whose finished parts survive when the program is killed

mod activation_store;
mod array_file;
mod blocks;
mod check;
mod checksums;
mod files;
mod journal;
mod layout;
mod merge;
mod object_store;
mod spans_file;
mod staging;
mod writer;

pub use activation_store::{ActivationStore, Activations};
pub use checksums::Verdict;
pub use writer::FillSummary;
