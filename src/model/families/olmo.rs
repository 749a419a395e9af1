//! OLMo: a Llama with a norm without parameters; queries, keys and values may be clipped.

use super::config::Config;
use super::family::Family;
use super::llama;
use super::rope::WHOLE;
use crate::error::Result;
use crate::model::spec::{Attention, Biases, NormKind, Spec};

pub(super) const FAMILY: Family =
    Family { model_type: "olmo", spec, source: llama::source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    let spec = llama::common_spec(config, "olmo", WHOLE)?;
    config.unread(&["rms_norm_eps"]);
    let bias = config.flag_or("attention_bias", false)?;
    Ok(Spec {
        attention: Attention { clip: config.maybe_number("clip_qkv")?, ..spec.attention },
        norm: NormKind::LayerNormNoWeight,
        norm_eps: 1e-5,
        biases: Biases { qkv: bias, attn_out: bias, mlp: false },
        ..spec
    })
}
