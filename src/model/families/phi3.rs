//! Phi-3 and Phi-4: a Llama with fused matrices, a window, and LongRoPE.

use super::config::Config;
use super::family::Family;
use super::llama;
use super::rope::{Defaults, WHOLE};
use crate::error::Result;
use crate::limits::POSITIONS;
use crate::model::spec::Spec;
use crate::model::weights::{BlockPart, Param, Place};
use crate::model::weights::{SliceRows, TensorSource};

pub(super) const FAMILY: Family = Family { model_type: "phi3", spec, source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    for name in ["attention_bias", "mlp_bias", "lm_head_bias"] {
        config.only(name, false)?;
    }
    for name in ["full_attn_mod", "interpolate_factor"] {
        config.only(name, 1)?;
    }
    let mut spec = llama::common_spec(config, "phi3", Defaults { share: Some(1.0), ..WHOLE })?;
    let window = config.maybe_count(POSITIONS, "sliding_window")?;
    spec.layers.iter_mut().for_each(|layer| layer.window = window);
    Ok(Spec { norm_eps: config.number_or("rms_norm_eps", 1e-5)?, ..spec })
}

fn source(spec: &Spec, param: Param) -> TensorSource {
    let Place::Block(l, part) = param.place else { return llama::source(spec, param) };
    let (stem, rows) = match part {
        BlockPart::Query | BlockPart::Key | BlockPart::Value => {
            ("self_attn.qkv_proj", SliceRows::in_qkv(part, spec))
        }
        BlockPart::Gate | BlockPart::Up => ("mlp.gate_up_proj", SliceRows::in_gate_up(part, spec)),
        _ => return llama::source(spec, param),
    };
    TensorSource::rows(format!("layers.{l}.{stem}"), param, rows)
}
