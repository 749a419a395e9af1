//! OLMo-2: norms on the outputs of attention and MLP, none before them; a norm on all queries, and on all keys.

use super::config::Config;
use super::family::Family;
use super::llama;
use super::rope::WHOLE;
use crate::error::Result;
use crate::model::spec::{Attention, Biases, NormKind, Placement, QkNorm, QkNormOver, Spec};

pub(super) const FAMILY: Family =
    Family { model_type: "olmo2", spec, source: llama::source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    let spec = llama::common_spec(config, "olmo2", WHOLE)?;
    let bias = config.flag_or("attention_bias", false)?;
    let qk_norm = Some(QkNorm { kind: NormKind::RmsNorm, over: QkNormOver::Heads });
    Ok(Spec {
        attention: Attention { qk_norm, ..spec.attention },
        norm_eps: config.number_or("rms_norm_eps", 1e-5)?,
        placement: Placement::AfterOutput,
        biases: Biases { qkv: bias, attn_out: bias, mlp: false },
        ..spec
    })
}
