//! GLM-4: GLM with norms after attention and MLP as well.

use super::{Config, Family, glm};
use crate::error::Result;
use crate::model::params::{Param, Part, Place};
use crate::model::spec::{Placement, Spec};
use crate::model::weights::Source;

pub(super) const FAMILY: Family = Family { model_type: "glm4", spec, source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    Ok(Spec { placement: Placement::Both, ..glm::alike(config, "glm4")? })
}

fn source(spec: &Spec, param: Param) -> Source {
    match param.place {
        Place::Block(l, Part::AttnOutNorm) => {
            Source::whole(format!("layers.{l}.post_self_attn_layernorm"), param)
        }
        Place::Block(l, Part::MlpOutNorm) => Source::whole(format!("layers.{l}.post_mlp_layernorm"), param),
        _ => glm::source(spec, param),
    }
}
