//! Qwen3: a Llama with a norm on each head's queries and keys.

use super::rope::WHOLE;
use super::{Config, Family, llama, qwen2};
use crate::error::Result;
use crate::model::spec::{Attention, Biases, NormKind, QkNorm, QkNormOver, Spec};

pub(super) const FAMILY: Family =
    Family { model_type: "qwen3", spec, source: llama::source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    config.count("head_dim")?; // 128 where it is left out, not d_model / n_heads: never guessed
    let mut spec = llama::alike(config, "qwen3", WHOLE)?;
    qwen2::slide(config, &mut spec)?;
    let bias = config.flag_or("attention_bias", false)?;
    let qk_norm = Some(QkNorm { kind: NormKind::RmsNorm, over: QkNormOver::Head });
    Ok(Spec {
        attention: Attention { qk_norm, ..spec.attention },
        biases: Biases { qkv: bias, attn_out: bias, mlp: false },
        ..spec
    })
}
