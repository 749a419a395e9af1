//! GLM-4: GLM with norms after attention and MLP as well.

use super::config::Config;
use super::family::Family;
use super::glm;
use crate::error::Result;
use crate::model::spec::{Placement, Spec};
use crate::model::weights::TensorSource;
use crate::model::weights::{BlockPart, Param, Place};

pub(super) const FAMILY: Family = Family { model_type: "glm4", spec, source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    Ok(Spec { placement: Placement::Both, ..glm::common_spec(config, "glm4")? })
}

fn source(spec: &Spec, param: Param) -> TensorSource {
    match param.place {
        Place::Block(l, BlockPart::AttnOutNorm) => {
            TensorSource::whole(format!("layers.{l}.post_self_attn_layernorm"), param)
        }
        Place::Block(l, BlockPart::MlpOutNorm) => {
            TensorSource::whole(format!("layers.{l}.post_mlp_layernorm"), param)
        }
        _ => glm::source(spec, param),
    }
}
