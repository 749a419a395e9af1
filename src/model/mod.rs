//! Transformers: tokens in, residual stream out, one seam ([`Hook`]).
//!
//! - `spec`: the choices that distinguish families, as data; `describe`: the same in words
//! - `families`: one file per family: its config, its [`Spec`], its checkpoint's tensor names
//! - `forest`: a batch of texts as prefix trees
//! - `forward`: the forward pass, hooks, caches, generation; `kernels`: the operations
//! - `weights`: parameters and checkpoints; `gguf`: models from GGUF files
//! - `location`: a model from the name that a user gave; `load`: a [`Model`] from its files; `model_info`: its metadata
//! - `precision`, `device`: number formats and devices
//! - `untrained`, `shuffled`: models with random or shuffled weights
//! - `tokenizer`: texts to tokens, with offsets; `tokenizer_files`: the files besides tokenizer.json
//! - `vocabulary`: the tokenizer of a folder without a tokenizer.json
//! - `bos`: the token at the beginning of a text; `ends`: the tokens that end one; `streamed`: incremental decoding
//! - `chat`, `chat_date`: texts as the user's turn

mod bos;
mod chat;
mod chat_date;
mod describe;
mod device;
mod ends;
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
mod streamed;
mod tokenizer;
mod tokenizer_files;
mod untrained;
mod vocabulary;
mod weights;

pub use bos::Bos;
pub use chat::{Role, Turn};
pub use chat_date::ChatDate;
pub use device::DeviceChoice;
pub use forest::Forest;
pub use forward::{
    Callbacks, Capture, Chain, Continuation, Generation, Hook, KvCache, NoHook, OnToken, Prompts,
    RowSelection, Sampling, TokenCache, Transformer, generate, generate_each,
};
pub use gguf::{ControlVector, load_control_vector, save_control_vector};
pub(crate) use kernels::simd;
pub use kernels::{Blocks, PackedBf16, QuantType, Weight};
pub use load::{LoadOptions, Model, Parameters, bundled_files};
pub use location::{BUNDLED_MODEL, Location};
pub use model_info::ModelInfo;
pub use precision::{Compute, Precision};
pub use spec::{
    ActivationFn, Alibi, Attention, AttentionDirection, Biases, BlockKind, Embedding, Head, Layer, Mlp,
    NormKind, Placement, PositionEmbedding, PositionEncoding, QkNorm, QkNormOver, Rotary, RotaryLayout,
    RotaryScaling, Rounding, Sizes, Spec,
};
pub use streamed::Streamed;
pub(crate) use tokenizer::without_spaces;
pub use tokenizer::{Encoded, Framed, Tokenizer, draw_tokens};
pub(crate) use untrained::random_param;
pub use untrained::{untrained, untrained_up_to};
pub use weights::{
    BlockPart, Param, ParamKind, Place, Slice, SliceRows, TensorSource, Weights, count, memory,
};
