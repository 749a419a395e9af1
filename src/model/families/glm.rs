//! GLM: a Llama with half of each head rotated in interleaved pairs, and gate and up in one matrix.

use super::config::Config;
use super::family::Family;
use super::llama;
use super::rope::{Defaults, WHOLE};
use crate::error::Result;
use crate::limits::WIDTH;
use crate::model::spec::RotaryLayout;
use crate::model::spec::{Biases, Spec};
use crate::model::weights::{BlockPart, Param, Place};
use crate::model::weights::{SliceRows, TensorSource};

pub(super) const FAMILY: Family = Family { model_type: "glm", spec, source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    common_spec(config, "glm")
}

/// The common part of GLM and GLM-4.
pub(super) fn common_spec(config: &Config, family: &'static str) -> Result<Spec> {
    config.count(WIDTH, "head_dim")?; // required: the default is 128, not d_model / n_heads
    let defaults = Defaults { layout: RotaryLayout::Interleaved, share: Some(0.5), ..WHOLE };
    let spec = llama::common_spec(config, family, defaults)?;
    Ok(Spec {
        norm_eps: config.number_or("rms_norm_eps", 1.5625e-7)?,
        biases: Biases { qkv: config.flag_or("attention_bias", true)?, ..Biases::NONE },
        ..spec
    })
}

pub(super) fn source(spec: &Spec, param: Param) -> TensorSource {
    match param.place {
        Place::Block(l, part @ (BlockPart::Gate | BlockPart::Up)) => {
            let rows = SliceRows::in_gate_up(part, spec);
            TensorSource::rows(format!("layers.{l}.mlp.gate_up_proj"), param, rows)
        }
        _ => llama::source(spec, param),
    }
}
