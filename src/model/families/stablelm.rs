//! StableLM: a Llama with LayerNorm and partial rotation; some models have parallel blocks and a norm per head.

use super::config::Config;
use super::family::Family;
use super::rope::{Defaults, WHOLE};
use super::{llama, rope};
use crate::error::Result;
use crate::model::spec::{Attention, Biases, BlockKind, NormKind, QkNorm, QkNormOver, Spec};
use crate::model::weights::{BlockPart, Param, Place};
use crate::model::weights::{Slice, SliceRows, TensorSource};

pub(super) const FAMILY: Family = Family { model_type: "stablelm", spec, source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    let spec = llama::common_spec(config, "stablelm", Defaults { share: Some(0.25), ..WHOLE })?;
    rope::check_even(config, &spec)?;
    let own = QkNorm { kind: NormKind::LayerNormNoBias, over: QkNormOver::OwnHead };
    let is_parallel = config.flag_or("use_parallel_residual", false)?;
    Ok(Spec {
        attention: Attention {
            qk_norm: config.flag_or("qk_layernorm", false)?.then_some(own),
            ..spec.attention
        },
        norm: NormKind::LayerNorm,
        norm_eps: config.number_or("layer_norm_eps", 1e-5)?,
        block: if is_parallel { BlockKind::ParallelOneNorm } else { BlockKind::Sequential },
        biases: Biases { qkv: config.flag_or("use_qkv_bias", false)?, ..Biases::NONE },
        ..spec
    })
}

fn source(spec: &Spec, param: Param) -> TensorSource {
    let (l, stem, n_heads) = match param.place {
        Place::Block(l, BlockPart::QueryNorm) => (l, "q_layernorm", spec.n_heads),
        Place::Block(l, BlockPart::KeyNorm) => (l, "k_layernorm", spec.n_kv_heads),
        _ => return llama::source(spec, param),
    };
    let tensors =
        (0..n_heads).map(|head| format!("layers.{l}.self_attn.{stem}.norms.{head}.weight")).collect();
    TensorSource { tensors, slice: Slice { transposed: false, rows: SliceRows::All } }
}
