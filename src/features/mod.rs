//! Sparse features: dictionaries of directions, of which few are active at a time.
//!
//! - `dictionary`: encoding and decoding
//! - `train`: learning one from rows of activations

mod dictionary;
pub mod train;

pub use dictionary::{Activation, Dictionary};
