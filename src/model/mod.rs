//! Transformers: tokens in, residual stream out; other code reads and changes the stream through a [`Hook`].
//!
//! - `spec`: the choices that distinguish families, as data; `describe`: the same in words
//! - `families`: one file per family: its config, its [`Spec`], its checkpoint's tensor names
//! - `forest`: a batch of texts as prefix trees
//! - `forward`: the forward pass, hooks, caches, generation; `kernels`: the operations
//! - `weights`: parameters and checkpoints; `gguf`: models from GGUF files
//! - `location`: a model from the name that a user gave; `load`: a [`Model`] from its files; `model_info`: its metadata
//! - `precision`, `device`: number formats and devices
//! - `untrained`, `shuffled`: models with random or shuffled weights

mod describe;
mod device;
pub mod families;
mod forest;
mod forward;
mod gguf;
mod kernels;
mod load;
mod location;
mod model_info;
mod precision;
mod shuffled;
mod spec;
mod untrained;
mod weights;

pub use candle_core::Tensor;
pub use device::DeviceChoice;
pub use forest::Forest;
pub use forward::{
    BlockInput, Callbacks, Capture, Chain, Continuation, Generation, Hook, KvCache, NoHook, OnToken, Prompts,
    RowSelection, Sampling, TokenCache, Transformer, generate, generate_each,
};
pub use gguf::{ControlVector, load_control_vector, save_control_vector};
pub(crate) use kernels::simd;
pub use kernels::{PackedBf16, QuantType, QuantisedMatrix, Weight};
pub use load::{LoadOptions, Model, Parameters, bundled_files};
pub use location::{BUNDLED_MODEL, Location};
pub use model_info::ModelInfo;
pub use precision::{Compute, Precision};
pub use spec::{
    ActivationFn, Alibi, Attention, AttentionDirection, Biases, BlockKind, Embedding, Head, Layer, Mlp,
    NormKind, Placement, PositionEmbedding, PositionEncoding, QkNorm, QkNormOver, Rotary, RotaryLayout,
    RotaryScaling, Rounding, Sizes, Spec,
};
pub(crate) use untrained::random_param;
pub use untrained::{untrained, untrained_up_to};
pub use weights::{
    BlockPart, Param, ParamKind, Place, Slice, SliceRows, TensorSource, Weights, count, memory,
};
pub(crate) use weights::{tensors_of_file, tensors_of_torch_file};
