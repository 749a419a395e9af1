//! Gemma 3: Gemma 2 without the cap on scores, with norms on queries and keys and two rotary bases.

use super::config::Config;
use super::family::Family;
use super::gemma::d_head;
use super::gemma2::{sandwich, source};
use super::layers::{slides, window};
use super::rope;
use crate::error::{Error, Result};
use crate::limits::POSITIONS;
use crate::model::spec::Rotary;
use crate::model::spec::{Attention, Head, Layer, NormKind, PositionEncoding, QkNorm, QkNormOver, Spec};

pub(super) const FAMILY: Family = Family { model_type: "gemma3_text", spec, source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    let (full, sliding) = rotations(config)?;
    let mut spec = sandwich(config, "gemma3_text", full.clone())?;
    let window = window(config)?;
    let every = config.maybe_count(POSITIONS, "sliding_window_pattern")?.unwrap_or(6);
    let slides = slides(config, spec.n_layers, |l| !(l + 1).is_multiple_of(every))?;
    let layer = |slides: bool| Layer {
        window: window.filter(|_| slides),
        position: PositionEncoding::Rotary(if slides { sliding.clone() } else { full.clone() }),
    };
    spec.layers = slides.into_iter().map(layer).collect();
    if let Some(cap) = config.maybe_number("attn_logit_softcapping")? {
        return Err(config.unsupported(
            "attn_logit_softcapping",
            cap,
            "only null is supported, as in transformers",
        ));
    }
    let soft_cap = config.maybe_number("final_logit_softcapping")?;
    let qk_norm = Some(QkNorm { kind: NormKind::RmsNormPlusOne, over: QkNormOver::Head });
    Ok(Spec {
        attention: Attention { qk_norm, ..spec.attention },
        head: spec.head.map(|head| Head { soft_cap, ..head }),
        ..spec
    })
}

/// The rotation of layers with full attention, and of those with a window.
fn rotations(config: &Config) -> Result<(Rotary, Rotary)> {
    let d_head = d_head(config)?;
    let plain = |name, default| Ok::<_, Error>(Rotary::plain(d_head, config.number_or(name, default)?));
    let (full, sliding) = (plain("rope_theta", 1_000_000.0)?, plain("rope_local_base_freq", 10_000.0)?);
    let older = config.object("rope_scaling")?.filter(|older| !older.is_empty());
    if let Some(both) = config.object("rope_parameters")? {
        if older.is_some() {
            // transformers overwrites the fields of full attention with it: two descriptions of one rotation.
            let expected = "either rope_scaling or rope_parameters is supported";
            return Err(config.unsupported("rope_scaling", "given with rope_parameters", expected));
        }
        let kind = |name: &str, default: Rotary| match both.object(name)? {
            Some(kind) => rope::rotary_of_kind(config, &kind, &both, default),
            None => Ok(default),
        };
        let found = (kind("full_attention", full)?, kind("sliding_attention", sliding)?);
        both.finish()?;
        return Ok(found);
    }
    let Some(older) = older else { return Ok((full, sliding)) };
    let full = Rotary { theta: older.number_or("rope_theta", full.theta)?, ..full };
    if !older.has("rope_type") {
        return Ok((full, sliding)); // transformers ignores the older `type` here
    }
    let defaults = rope::Defaults { theta: full.theta, ..rope::WHOLE };
    Ok((rope::rotary(config, d_head, defaults)?, sliding))
}
