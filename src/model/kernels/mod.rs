//! The operations of the forward pass, over all cores, with gradients where training needs them.
//!
//! - `storage`: tensors on the CPU as slices; `simd`: sums over slices; `prefetch`: prefetching of memory
//! - `affine`: products with bias, activation and gate; `weight_rows`: products with few rows of a stream; `together`:
//!   several matrices in one step
//! - `linear`: a matrix in any stored type; `quantised`: blocks of few bits per weight; `bf16`: products in bf16
//! - `norm`, `rotary`, `activation`, `elementwise`: the other operations
//! - `attention`: attention over a forest; `shared_prefix`: the part that neighbouring rows share
//! - `awake`: threads kept awake between short steps

mod activation;
mod affine;
mod attention;
mod awake;
mod bf16;
mod elementwise;
mod linear;
mod norm;
mod prefetch;
mod quantised;
mod rotary;
mod shared_prefix;
pub(crate) mod simd;
mod storage;
mod together;
mod weight_rows;

pub(crate) use attention::ForestAttention;
pub(crate) use awake::on_awake_threads;
pub use bf16::PackedBf16;
pub(crate) use elementwise::{add, multiply};
pub use linear::Weight;
pub(crate) use linear::{Linear, Matrix};
pub(crate) use norm::Norm;
pub use quantised::{QuantType, QuantisedMatrix};
pub(crate) use rotary::RotaryTable;
pub(crate) use together::together;
pub(crate) use weight_rows::FEW_ROWS;
