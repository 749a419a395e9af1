//! Quantised matrices: blocks of a few bits a weight, as llama.cpp's files hold them.
//!
//! A block means the f32 numbers that it unpacks to, and every product is taken with those.
//!
//! - `types`: the types that are read, and the size of their blocks
//! - `small`: blocks of 32 weights; `large`: blocks of 256, whose parts have scales of their own
//! - `half`: the numbers in half precision that scale them
//! - `sixteen`: sixteen weights at a time, in the registers that the machine has
//! - `sink`: takers of unpacked weights: memory, or sums with rows of a stream
//! - `unpack`: rows of blocks, by type
//! - `blocks`: a matrix of blocks

mod blocks;
mod half;
mod large;
mod sink;
mod sixteen;
mod small;
mod types;
mod unpack;

pub use blocks::Blocks;
pub use types::QuantType;
pub(super) use unpack::MAX_ROWS;
