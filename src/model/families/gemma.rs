//! Gemma: a Llama with scaled embeddings, norms by `1 + weight`, and the tanh approximation of gelu.

use super::config::Config;
use super::family::Family;
use super::llama;
use super::rope::{WHOLE, rotary};
use crate::error::Result;
use crate::limits::WIDTH;
use crate::model::spec::Rotary;
use crate::model::spec::{ActivationFn, Biases, Embedding, Head, Mlp, NormKind, Spec};

pub(super) const FAMILY: Family =
    Family { model_type: "gemma", spec, source: llama::source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    let d_head = d_head(config)?;
    let spec = common_spec(config, "gemma", rotary(config, d_head, WHOLE)?)?;
    config.unread(&["hidden_activation"]);
    // Early configs write `gelu` for its tanh approximation.
    let activation = match config.activation("hidden_act", ActivationFn::GeluTanh)? {
        ActivationFn::Gelu => ActivationFn::GeluTanh,
        other => other,
    };
    Ok(Spec { mlp: Mlp::Gated(activation), ..spec })
}

/// The width of a head; its default is 256, not `d_model / n_heads`, so it is never guessed.
pub(super) fn d_head(config: &Config) -> Result<usize> {
    config.count(WIDTH, "head_dim")
}

/// The common part of Gemma 1, 2 and 3.
pub(super) fn common_spec(config: &Config, family: &'static str, rotary: Rotary) -> Result<Spec> {
    let spec = llama::rotated_spec(config, family, d_head(config)?, rotary)?;
    let bias = config.flag_or("attention_bias", false)?;
    Ok(Spec {
        embedding: Embedding { scale: (spec.d_model as f64).sqrt(), ..Embedding::PLAIN },
        norm: NormKind::RmsNormPlusOne,
        biases: Biases { qkv: bias, attn_out: bias, mlp: false },
        head: Some(Head::plain(config.flag_or("tie_word_embeddings", true)?)),
        ..spec
    })
}
