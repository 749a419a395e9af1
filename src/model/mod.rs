//! Transformers: tokens in, residual stream out, one seam ([`Hook`]).
//!
//! - `spec`: the choices that tell families apart, as data
//! - `families`: one file a family: its config, its [`Spec`], its checkpoint's tensor names
//! - `params`: the parameters a spec asks for, with their shapes
//! - `weights`: safetensors files as parameters, checked
//! - `forest`: a batch of texts in which equal beginnings are one
//! - `norm`, `rotary`, `attention`: the operations, forward and backward
//! - `transformer`: the forward pass, written once
//! - `hook`: reading and changing the stream
//! - `tokenizer`: texts to tokens, with offsets
//! - `generate`: sampling with a key/value cache
//! - `load`: a folder, or the bundled model, as one [`Model`]

mod attention;
pub mod families;
mod forest;
mod generate;
mod hook;
mod load;
mod mapped;
mod norm;
mod params;
mod rotary;
mod spec;
mod tokenizer;
mod transformer;
mod weights;

pub use forest::Forest;
pub use generate::{Generation, Sampling, generate};
pub use hook::{Both, Capture, Hook, Untouched};
pub use load::{BUNDLED_MODEL, Model, Parameters, bundled_files};
pub(crate) use params::random as random_param;
pub use params::{BlockParam, Param, count, untrained};
pub use spec::{Activation, Biases, BlockKind, Mlp, NormKind, Position, RotaryLayout, Spec};
pub use tokenizer::{Encoded, Tokenizer};
pub use transformer::{Cache, Transformer};
pub use weights::{Cut, Rows, Source, Weights};
