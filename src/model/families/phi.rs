//! Phi-1, 1.5 and 2: parallel blocks with one norm, partial rotation, biases everywhere.

use super::rope::{Usual, WHOLE};
use super::{Config, Family, llama, rope};
use crate::error::Result;
use crate::model::params::{Param, Part, Place};
use crate::model::spec::{
    Activation, Attention, Biases, BlockKind, Head, Mlp, NormKind, QkNorm, QkNormOver, Spec,
};
use crate::model::weights::Source;

pub(super) const FAMILY: Family = Family { model_type: "phi", spec, source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    let spec = llama::alike(config, "phi", Usual { share: Some(0.5), ..WHOLE })?;
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
        mlp: Mlp::Plain(config.activation("hidden_act", Activation::GeluTanh)?),
        biases: Biases::ALL,
        head: spec.head.map(|head| Head { bias: true, ..head }),
        ..spec
    })
}

fn source(spec: &Spec, param: Param) -> Source {
    let (l, part) = match param.place {
        Place::FinalNorm => return Source::whole("final_layernorm", param),
        Place::Block(l, part) => (l, part),
        _ => return llama::source(spec, param),
    };
    let stem = match part {
        Part::AttnOut => "self_attn.dense",
        Part::QueryNorm => "self_attn.q_layernorm",
        Part::KeyNorm => "self_attn.k_layernorm",
        Part::Up => "mlp.fc1",
        Part::Down => "mlp.fc2",
        _ => return llama::source(spec, param),
    };
    Source::whole(format!("layers.{l}.{stem}"), param)
}
