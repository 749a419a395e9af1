//! Quantised matrices: blocks of a few bits per weight, in llama.cpp's formats.
//!
//! Every product is taken with the f32 values to which the blocks are unpacked.
//!
//! - `types`: the supported types, and the sizes of their blocks
//! - `small`: blocks of 32 weights; `large`: blocks of 256, whose parts have their own scales
//! - `half`: the scales, in half precision
//! - `sixteen`: SIMD operations on sixteen weights at a time
//! - `sink`: consumers of unpacked weights: memory, or dot products with rows of a stream
//! - `unpack`: rows of blocks, by type
//! - `matrix`: a matrix of blocks

mod half;
mod large;
mod matrix;
mod sink;
mod sixteen;
mod small;
mod types;
mod unpack;

pub use matrix::QuantisedMatrix;
pub use types::QuantType;
pub(super) use unpack::MAX_ROWS;
