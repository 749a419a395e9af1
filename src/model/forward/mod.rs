//! The forward pass: one transformer for every family, with hooks, caches and generation.
//!
//! - `transformer`: the pass over a forest; `embedding`, `block`, `head`: its parts; `parts`: their parameters
//! - `pass`: the state of one pass; `row_dedup`: equal rows computed once
//! - `hook`: reading and changing the stream
//! - `kv_cache`: keys and values of earlier passes; `token_cache`: outputs of block 0 that depend on the token alone
//! - `generate`: continuing texts; `sampling`: choosing the next token

mod block;
mod embedding;
mod generate;
mod head;
mod hook;
mod kv_cache;
mod parts;
mod pass;
mod row_dedup;
mod sampling;
mod token_cache;
mod transformer;

pub use generate::{Callbacks, Continuation, Generation, OnToken, Prompts, generate, generate_each};
pub use hook::{Capture, Chain, Hook, NoHook, RowSelection};
pub use kv_cache::KvCache;
pub use sampling::Sampling;
pub use token_cache::TokenCache;
pub use transformer::{BlockInput, Transformer};
