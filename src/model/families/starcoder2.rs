//! StarCoder2: Llama's attention with LayerNorm, a plain MLP, biases and a window.

use super::config::Config;
use super::family::Family;
use super::llama;
use super::rope::WHOLE;
use crate::error::Result;
use crate::limits::POSITIONS;
use crate::model::spec::{ActivationFn, Biases, Head, Mlp, NormKind, Spec};
use crate::model::weights::TensorSource;
use crate::model::weights::{BlockPart, Param, Place};

pub(super) const FAMILY: Family = Family { model_type: "starcoder2", spec, source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    config.only("norm_type", "layer_norm")?;
    config.only("mlp_type", "default")?;
    config.unread(&["scale_attn_weights"]);
    let mut spec = llama::common_spec(config, "starcoder2", WHOLE)?;
    let window = config.maybe_count(POSITIONS, "sliding_window")?;
    spec.layers.iter_mut().for_each(|layer| layer.window = window);
    let bias = config.flag_or("use_bias", true)?;
    Ok(Spec {
        norm: NormKind::LayerNorm,
        norm_eps: config.number_or("norm_epsilon", 1e-5)?,
        mlp: Mlp::Plain(config.activation("hidden_act", ActivationFn::GeluTanh)?),
        biases: Biases { qkv: bias, attn_out: bias, mlp: bias },
        head: Some(Head::plain(config.flag_or("tie_word_embeddings", true)?)),
        ..spec
    })
}

fn source(spec: &Spec, param: Param) -> TensorSource {
    match param.place {
        Place::Block(l, BlockPart::Up) => TensorSource::whole(format!("layers.{l}.mlp.c_fc"), param),
        Place::Block(l, BlockPart::Down) => TensorSource::whole(format!("layers.{l}.mlp.c_proj"), param),
        _ => llama::source(spec, param),
    }
}
