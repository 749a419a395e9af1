//! Products in bf16 with sums in f32, on processors with AVX-512 BF16.
//!
//! - `packed`: a matrix in the order in which the kernel reads it
//! - `kernel`: the instructions; one of the places with `unsafe`

mod kernel;
mod packed;

pub use packed::PackedBf16;
