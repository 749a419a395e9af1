//! Gemma 2: norms before and after, soft-caps on scores and logits, a window in every other layer.

use super::config::Config;
use super::family::Family;
use super::layers::{slides, window};
use super::rope::{WHOLE, rotary};
use super::{gemma, llama};
use crate::error::Result;
use crate::model::spec::Rotary;
use crate::model::spec::{ActivationFn, Attention, Head, Mlp, Placement, Spec};
use crate::model::weights::TensorSource;
use crate::model::weights::{BlockPart, Param, Place};

pub(super) const FAMILY: Family = Family { model_type: "gemma2", spec, source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    let rotary = rotary(config, gemma::d_head(config)?, WHOLE)?;
    let mut spec = sandwich(config, "gemma2", rotary)?;
    let window = window(config)?;
    let slides = slides(config, spec.n_layers, |l| l % 2 == 0)?;
    for (layer, slides) in spec.layers.iter_mut().zip(slides) {
        layer.window = window.filter(|_| slides);
    }
    let cap = |name, default| {
        Ok::<_, crate::error::Error>(config.maybe_number(name)?.or(unless_null(config, name, default)))
    };
    let soft_cap = cap("attn_logit_softcapping", 50.0)?;
    let of_logits = cap("final_logit_softcapping", 30.0)?;
    Ok(Spec {
        attention: Attention { soft_cap, ..spec.attention },
        head: spec.head.map(|head| Head { soft_cap: of_logits, ..head }),
        ..spec
    })
}

/// A family's default for a missing field; none for `null`.
fn unless_null<T>(config: &Config, name: &str, default: T) -> Option<T> {
    (!config.has(name)).then_some(default)
}

/// The common part of Gemma 2 and 3.
pub(super) fn sandwich(config: &Config, family: &'static str, rotary: Rotary) -> Result<Spec> {
    let spec = gemma::common_spec(config, family, rotary)?;
    config.unread(&["hidden_act", "sliding_window_size"]);
    let scale = config.number_or("query_pre_attn_scalar", 256.0)?.powf(-0.5);
    Ok(Spec {
        attention: Attention { scale, ..spec.attention },
        placement: Placement::Both,
        mlp: Mlp::Gated(config.activation("hidden_activation", ActivationFn::GeluTanh)?),
        ..spec
    })
}

/// Llama's names, except for the norm before the MLP, whose Llama name belongs to the norm after attention here.
pub(super) fn source(spec: &Spec, param: Param) -> TensorSource {
    match param.place {
        Place::Block(l, BlockPart::MlpNorm) => {
            TensorSource::whole(format!("layers.{l}.pre_feedforward_layernorm"), param)
        }
        _ => llama::source(spec, param),
    }
}
