//! Transformers: tokens in, residual stream out, one seam ([`Hook`]).
//!
//! - `spec`: the choices that tell families apart, as data
//! - `families`: one file a family: its config, its [`Spec`], its checkpoint's tensor names
//! - `params`: the parameters a spec asks for, with their shapes; `shuffled`: a model that lost their places
//! - `checkpoint`: safetensors and older pickles, one file or shards
//! - `weights`: a checkpoint's tensors as parameters, checked
//! - `device`: where a model computes
//! - `quantised`: matrices of blocks, unpacked tile by tile or as they are multiplied
//! - `weight_rows`: the rows of a matrix, and products with few rows of a stream; `together`: of several matrices at once;
//!   `prefetch` asks for weights before they are read
//! - `bf16`: matrices and products in bf16
//! - `compute`: the numbers in which blocks multiply
//! - `linear`: matrices as they lie in memory, dense or quantised
//! - `affine`, `activation`, `elementwise`, `lanes`: products and what follows them, over all cores; `alike` spares
//!   them where rows are equal
//! - `forest`: a batch of texts in which equal beginnings are one
//! - `norm`, `rotary`, `attention`: the operations, forward and backward; `beginning` is what rows of attention share
//! - `transformer`, `block`: the forward pass, written once
//! - `first_block`: what block 0 makes of a token, once for many passes
//! - `cache`: keys and values of earlier passes
//! - `hook`: reading and changing the stream
//! - `awake`: threads that stay awake between short steps
//! - `generate`: continuing texts with a key/value cache; `sampling` chooses tokens
//! - `gguf`: a model from GGUF files
//! - `describe`: a spec in words
//! - `memory`: what a model needs and the machine has
//! - `location`: where a model lies, by the name a user gave
//! - `outline`: what a model is, without its weights
//! - `load`: a folder, or the bundled model, as one [`Model`]

mod activation;
mod affine;
mod alike;
mod attention;
mod awake;
mod beginning;
mod bf16;
mod block;
mod cache;
mod checkpoint;
mod compute;
mod describe;
mod device;
mod elementwise;
pub mod families;
mod first_block;
mod forest;
mod generate;
mod gguf;
mod hook;
pub(crate) mod lanes;
mod linear;
mod load;
mod location;
mod mapped;
pub mod memory;
mod norm;
mod outline;
mod params;
mod prefetch;
mod quantised;
mod rotary;
mod sampling;
mod shuffled;
mod spec;
mod together;
mod transformer;
mod weight_rows;
mod weights;

pub use bf16::PackedBf16;
pub use cache::Cache;
pub use compute::Compute;
pub use device::DeviceChoice;
pub use first_block::FirstBlock;
pub use forest::Forest;
pub use generate::{Continuation, Generation, Next, generate, generate_each};
pub use gguf::{ByBlock, load_control_vector, save_control_vector};
pub use hook::{Both, Capture, Hook, Picked, Untouched};
pub use linear::Weight;
pub use load::{BUNDLED_MODEL, LoadOptions, Model, Parameters, bundled_files};
pub use location::Location;
pub use outline::Outline;
pub(crate) use params::random as random_param;
pub use params::{Kind, Param, Part, Place, count, untrained, untrained_up_to};
pub use quantised::{Blocks, QuantType};
pub use rotary::{Rotary, RotaryLayout, RotaryScaling};
pub use sampling::Sampling;
pub use spec::{
    Activation, Alibi, Attention, Biases, BlockKind, Direction, Embedding, Head, Layer, Mlp, NormKind,
    Placement, Position, Positions, QkNorm, QkNormOver, Rounding, Sizes, Spec,
};
pub use transformer::Transformer;
pub use weights::{Cut, Precision, Rows, Source, Weights};
