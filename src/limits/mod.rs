//! Limits: the ranges of numbers from outside, and sizes that must fit into memory.
//!
//! A number in a file, a flag or an experiment decides how much memory is allocated, or how long a loop runs. It is
//! compared with its [`Limit`] where it is read, and the memory that follows from it with the free memory, before
//! anything is allocated.
//!
//! - `range`: a range of whole numbers, [`Limit`], and the range of each kind of number
//! - `memory`: products of sizes without overflow, and the comparison with the free memory

mod memory;
mod range;

pub use memory::{available_bytes, check_memory, product};
pub use range::*;
