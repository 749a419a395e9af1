//! Qwen3: a Llama with a norm on the queries and keys of each head.

use super::config::Config;
use super::family::Family;
use super::rope::WHOLE;
use super::{llama, qwen2};
use crate::error::Result;
use crate::limits::WIDTH;
use crate::model::spec::{Attention, Biases, NormKind, QkNorm, QkNormOver, Spec};

pub(super) const FAMILY: Family =
    Family { model_type: "qwen3", spec, source: llama::source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    config.count(WIDTH, "head_dim")?; // required: the default is 128, not d_model / n_heads
    let mut spec = llama::common_spec(config, "qwen3", WHOLE)?;
    qwen2::set_windows(config, &mut spec)?;
    let bias = config.flag_or("attention_bias", false)?;
    let qk_norm = Some(QkNorm { kind: NormKind::RmsNorm, over: QkNormOver::Head });
    Ok(Spec {
        attention: Attention { qk_norm, ..spec.attention },
        biases: Biases { qkv: bias, attn_out: bias, mlp: false },
        ..spec
    })
}
