//! Quantised matrices: blocks of a few bits a weight, as llama.cpp's files hold them.
//!
//! A block means the f32 numbers that it unpacks to, and every product is taken with those.
//!
//! - `types`: the types that are read, and the size of their blocks
//! - `small`: blocks of 32 weights
//! - `large`: blocks of 256 weights, whose parts have scales of their own
//! - `blocks`: a matrix of blocks, unpacked row by row

mod blocks;
mod large;
mod small;
mod types;

pub use blocks::Blocks;
pub use types::QuantType;
