//! Sparse features: dictionaries of directions, of which few are active at a time.
//!
//! - `dictionary`: encoding and decoding
//! - `files`: dictionaries as SAELens and Gemma Scope save them

mod dictionary;
mod files;

pub use dictionary::{Activation, Dictionary};
