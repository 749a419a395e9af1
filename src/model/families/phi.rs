//! Phi-1, 1.5 and 2: parallel blocks with one norm, partial rotation, biases everywhere.

use super::config::Config;
use super::family::Family;
use super::rope::{Defaults, WHOLE};
use super::{llama, rope};
use crate::error::Result;
use crate::model::spec::{
    ActivationFn, Attention, Biases, BlockKind, Head, Mlp, NormKind, QkNorm, QkNormOver, Spec,
};
use crate::model::weights::TensorSource;
use crate::model::weights::{BlockPart, Param, Place};

pub(super) const FAMILY: Family = Family { model_type: "phi", spec, source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    let spec = llama::common_spec(config, "phi", Defaults { share: Some(0.5), ..WHOLE })?;
    rope::check_even(config, &spec)?;
    let of_heads = QkNorm { kind: NormKind::LayerNorm, over: QkNormOver::Head };
    Ok(Spec {
        attention: Attention {
            qk_norm: config.flag_or("qk_layernorm", false)?.then_some(of_heads),
            ..spec.attention
        },
        norm: NormKind::LayerNorm,
        norm_eps: config.number_or("layer_norm_eps", 1e-5)?,
        block: BlockKind::ParallelOneNorm,
        mlp: Mlp::Plain(config.activation("hidden_act", ActivationFn::GeluTanh)?),
        biases: Biases::ALL,
        head: spec.head.map(|head| Head { bias: true, ..head }),
        ..spec
    })
}

fn source(spec: &Spec, param: Param) -> TensorSource {
    let (l, part) = match param.place {
        Place::FinalNorm => return TensorSource::whole("final_layernorm", param),
        Place::Block(l, part) => (l, part),
        _ => return llama::source(spec, param),
    };
    let stem = match part {
        BlockPart::AttnOut => "self_attn.dense",
        BlockPart::QueryNorm => "self_attn.q_layernorm",
        BlockPart::KeyNorm => "self_attn.k_layernorm",
        BlockPart::Up => "mlp.fc1",
        BlockPart::Down => "mlp.fc2",
        _ => return llama::source(spec, param),
    };
    TensorSource::whole(format!("layers.{l}.{stem}"), param)
}
