//! Gemma 3: Gemma 2 without the cap on scores, with norms on queries and keys and two rotary bases.

use super::gemma::d_head;
use super::gemma2::{sandwich, source};
use super::layers::slides;
use super::{Config, Family, rope};
use crate::error::Result;
use crate::model::rotary::Rotary;
use crate::model::spec::{Attention, Head, Layer, NormKind, Position, QkNorm, QkNormOver, Spec};

pub(super) const FAMILY: Family = Family { model_type: "gemma3_text", spec, source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    let (full, sliding) = rotations(config)?;
    let mut spec = sandwich(config, "gemma3_text", full.clone())?;
    let usual = if config.has("sliding_window") { None } else { Some(4096) };
    let window = config.maybe_count("sliding_window")?.or(usual);
    let every = config.maybe_count("sliding_window_pattern")?.unwrap_or(6);
    let slides = slides(config, spec.n_layers, |l| !(l + 1).is_multiple_of(every))?;
    let layer = |slides: bool| Layer {
        window: window.filter(|_| slides),
        position: Position::Rotary(if slides { sliding.clone() } else { full.clone() }),
    };
    spec.layers = slides.into_iter().map(layer).collect();
    if let Some(cap) = config.maybe_number("attn_logit_softcapping")? {
        return Err(config.unsupported("attn_logit_softcapping", cap, "only null is, as in transformers"));
    }
    let soft_cap = config.maybe_number("final_logit_softcapping")?;
    let qk_norm = Some(QkNorm { kind: NormKind::RmsNormPlusOne, over: QkNormOver::Head });
    Ok(Spec {
        attention: Attention { qk_norm, ..spec.attention },
        head: spec.head.map(|head| Head { soft_cap, ..head }),
        ..spec
    })
}

/// The rotation of layers that see all, and of those that slide.
fn rotations(config: &Config) -> Result<(Rotary, Rotary)> {
    let d_head = d_head(config)?;
    let (full, sliding) = (Rotary::plain(d_head, 1_000_000.0), Rotary::plain(d_head, 10_000.0));
    if let Some(both) = config.object("rope_parameters")? {
        let kind = |name: &str, usual: Rotary| match both.object(name)? {
            Some(kind) => rope::rotary_of_kind(config, &kind, usual),
            None => Ok(usual),
        };
        let found = (kind("full_attention", full)?, kind("sliding_attention", sliding)?);
        both.finish()?;
        return Ok(found);
    }
    let theta = config.number_or("rope_local_base_freq", 10_000.0)?;
    let usual = rope::Usual { theta: 1_000_000.0, ..rope::WHOLE };
    Ok((rope::rotary(config, d_head, usual)?, Rotary { theta, ..sliding }))
}
