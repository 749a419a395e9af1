//! A model from its files: config, tokenizer and weights as one.
//!
//! - `model`: the [`Model`] and its constructors; `options`: number formats and device
//! - `parameters`: a spec with a source of its parameters; `tensor_names`: the tensors of a checkpoint by parameter
//! - `bundled`: the files inside the binary

mod bundled;
mod model;
mod options;
mod parameters;
mod tensor_names;

pub use bundled::bundled_files;
pub(crate) use bundled::bundled_weights;
pub use model::Model;
pub use options::LoadOptions;
pub use parameters::Parameters;
pub(crate) use tensor_names::spec_of_checkpoint;
