//! Integration tests: laws, references, bad input, and the shape of the source itself.

mod atlas;
mod bad_input;
mod binary;
mod facts;
mod families;
mod hub;
mod hub_server;
mod laws;
mod reading;
mod shards;
mod source;
mod tidy;
mod tidy_tests;
mod training;

use mappa::model::{Activation, Biases, BlockKind, Mlp, NormKind, Position, RotaryLayout, Spec};
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
        position: Position::Rotary { n_rotated: 8, theta: 10_000.0, layout: RotaryLayout::Half },
        norm: NormKind::RmsNorm,
        norm_eps: 1e-5,
        block: BlockKind::Sequential,
        mlp: Mlp::Gated(Activation::Silu),
        biases: Biases { qkv: false, attn_out: false, mlp: false },
        tied: true,
    }
}
