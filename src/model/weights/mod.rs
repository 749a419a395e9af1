//! A model's weights: their names and shapes, and their values from a checkpoint.
//!
//! - `params`: the parameters of a spec; `source`: the tensors in which a checkpoint stores one
//! - `checkpoint`, `mmap`: the files, with `torch_file` and `pickle` for those of torch; `tensors`: their tensors as
//!   parameters; `finite`: the check of the values; `tensor_file`: a whole file of tensors
//! - `convert`: parameters in the form that the forward pass multiplies with
//! - `memory`: the memory that a model needs

mod checkpoint;
mod convert;
mod finite;
pub mod memory;
pub(crate) mod mmap;
mod params;
mod pickle;
mod source;
mod tensor_file;
mod tensors;
mod torch_file;

pub(crate) use checkpoint::has_weights;
pub(crate) use convert::convert;
pub(crate) use finite::{Origin, check_finite};
pub(crate) use params::list;
pub use params::{BlockPart, Param, ParamKind, Place, count};
pub use source::{Slice, SliceRows, TensorSource};
pub(crate) use tensor_file::{tensors_of_file, tensors_of_torch_file};
pub use tensors::Weights;
