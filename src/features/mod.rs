//! Sparse features: dictionaries of directions, of which few are active at a time.
//!
//! - `dictionary`: encoding and decoding

mod dictionary;

pub use dictionary::{Activation, Dictionary};
