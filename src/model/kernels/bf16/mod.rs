//! Products in bf16 with sums in f32, for processors with AVX-512 BF16.
//!
//! - `packed`: a matrix in the kernel's order
//! - `kernel`: the instructions, with `unsafe`

mod kernel;
mod packed;

pub use packed::PackedBf16;
