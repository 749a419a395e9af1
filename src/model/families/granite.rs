//! Granite: a Llama with multipliers on embedding, scores, residual and logits.

use super::config::Config;
use super::family::Family;
use super::llama;
use super::rope::WHOLE;
use crate::error::Result;
use crate::model::spec::{Attention, Biases, Embedding, Head, Spec};

pub(super) const FAMILY: Family =
    Family { model_type: "granite", spec, source: llama::source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    let spec = llama::common_spec(config, "granite", WHOLE)?;
    let bias = config.flag_or("attention_bias", false)?;
    let divisor = config.number_or("logits_scaling", 1.0)?;
    Ok(Spec {
        embedding: Embedding { scale: config.number_or("embedding_multiplier", 1.0)?, ..Embedding::PLAIN },
        attention: Attention { scale: config.number_or("attention_multiplier", 1.0)?, ..spec.attention },
        biases: Biases { qkv: bias, attn_out: bias, mlp: config.flag_or("mlp_bias", false)? },
        residual_scale: config.number_or("residual_multiplier", 1.0)?,
        head: spec.head.map(|head| Head { scale: divisor.recip(), ..head }),
        ..spec
    })
}
