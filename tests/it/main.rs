//! Integration tests: laws, references, bad input, and the shape of the source itself.

mod atlas;
mod bad_input;
mod binary;
mod configs;
mod facts;
mod families;
mod gguf;
mod gguf_bad_input;
mod hub;
mod hub_server;
mod laws;
mod loading;
mod reading;
mod shards;
mod source;
mod tidy;
mod tidy_tests;
mod training;

use mappa::model::{
    Activation, Attention, Biases, BlockKind, Embedding, Head, Layer, Mlp, NormKind, Placement, Position,
    Rotary, Spec,
};
use std::path::PathBuf;

/// A path below the repository's root.
fn root(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The smallest Llama that has everything: two blocks, two heads.
fn tiny_spec(d_vocab: usize) -> Spec {
    Spec {
        family: "llama",
        d_model: 16,
        n_layers: 2,
        n_heads: 2,
        n_kv_heads: 2,
        d_head: 8,
        d_mlp: 24,
        d_vocab,
        n_context: 128,
        embedding: Embedding::PLAIN,
        attention: Attention::causal(8),
        layers: Layer::all(2, Position::Rotary(Rotary::plain(8, 10_000.0))),
        norm: NormKind::RmsNorm,
        placement: Placement::Before,
        norm_eps: 1e-5,
        block: BlockKind::Sequential,
        mlp: Mlp::Gated(Activation::Silu),
        biases: Biases::NONE,
        residual_scale: 1.0,
        head: Some(Head::plain(true)),
    }
}
