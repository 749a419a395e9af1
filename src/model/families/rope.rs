//! Rotary positions as configs describe them: by `rope_parameters`, or by `rope_theta` and `rope_scaling`.

use super::config::Config;
use crate::error::Result;
use crate::limits::POSITIONS;
use crate::model::spec::{Layer, PositionEncoding, Spec};
use crate::model::spec::{Rotary, RotaryLayout, RotaryScaling};
use std::f64::consts::PI;

/// The kinds of scaling that [`scaling`] supports.
const KNOWN: &str = "one of default, linear, dynamic, llama3, yarn, longrope is supported";

/// The fields that describe a rotation.
pub(super) const FIELDS: [&str; 5] =
    ["rope_parameters", "rope_scaling", "rope_theta", "partial_rotary_factor", ORIGINAL];

/// A family's rotation for fields that its config lacks.
#[derive(Clone, Copy)]
pub(super) struct Defaults {
    pub layout: RotaryLayout,
    pub theta: f64,
    /// The rotated share of a head; `None` if transformers rotates the whole head in any case.
    pub share: Option<f64>,
    /// The names of base and share outside `rope_parameters`.
    pub names: [&'static str; 2],
}

/// The whole head, halves paired, base 10,000.
pub(super) const WHOLE: Defaults = Defaults {
    layout: RotaryLayout::Half,
    theta: 10_000.0,
    share: None,
    names: ["rope_theta", "partial_rotary_factor"],
};

/// The settings that a scaling takes from other parts of the config.
#[derive(Clone, Copy)]
struct Contexts {
    /// The original context: the longest text before the frequencies were scaled, in tokens.
    first: f64,
    /// `max_position_embeddings`.
    whole: f64,
    /// True if YaRN's bounds are rounded to whole numbers.
    truncate: bool,
}

/// The rotation that a config describes.
pub(super) fn rotary(config: &Config, d_head: usize, defaults: Defaults) -> Result<Rotary> {
    let object = described(config)?;
    config.maybe_number(ORIGINAL)?;
    let either = |inner: &str, outer: &str| -> Result<Option<f64>> {
        let inside = object.as_ref().map(|object| object.maybe_number(inner)).transpose()?.flatten();
        Ok(inside.or(config.maybe_number(outer)?))
    };
    let theta = either("rope_theta", defaults.names[0])?.unwrap_or(defaults.theta);
    let share = either("partial_rotary_factor", defaults.names[1])?.or(defaults.share).unwrap_or(1.0);
    let is_plain = match &object {
        Some(object) => kind(config, object)? == "default",
        None => true,
    };
    // Where transformers rotates the whole head in any case, it uses the share only to count scaled frequencies, which
    // are then too few for the head.
    let share = if defaults.share.is_none() && is_plain { 1.0 } else { share };
    if defaults.share.is_none() && share != 1.0 {
        return Err(config.unsupported("partial_rotary_factor", share, "only 1 is supported in this family"));
    }
    let n_rotated = (d_head as f64 * share) as usize;
    let mut rotary = Rotary { n_rotated, theta, layout: defaults.layout, scaling: RotaryScaling::Nothing };
    if let Some(object) = object {
        let whole = max_positions(config)?;
        let first = original(config, &object)?.unwrap_or(whole);
        let contexts = Contexts { first, whole, truncate: object.flag_or("truncate", true)? };
        rotary.scaling = scaling(config, &object, contexts, &rotary)?;
        object.finish()?;
    }
    Ok(rotary)
}

/// The rotation of one kind of layer, if `rope_parameters` has an object for each kind (Gemma 3).
///
/// transformers reads YaRN's `truncate` next to these objects, not inside them.
pub(super) fn rotary_of_kind(
    config: &Config,
    kind: &Config,
    both: &Config,
    mut rotary: Rotary,
) -> Result<Rotary> {
    rotary.theta = kind.number_or("rope_theta", rotary.theta)?;
    let whole = max_positions(config)?;
    let first = kind.maybe_number(ORIGINAL)?.unwrap_or(whole);
    let contexts = Contexts { first, whole, truncate: both.flag_or("truncate", true)? };
    rotary.scaling = scaling(config, kind, contexts, &rotary)?;
    if rotary.scaling != RotaryScaling::Nothing {
        kind.only("partial_rotary_factor", 1.0)?;
    }
    kind.finish()?;
    Ok(rotary)
}

/// Refuses an odd number of rotated dimensions for a family that splits its heads at that number: transformers fails
/// too.
pub(super) fn check_even(config: &Config, spec: &Spec) -> Result<()> {
    let is_odd = |layer: &&Layer| matches!(&layer.position, PositionEncoding::Rotary(r) if !r.n_rotated.is_multiple_of(2));
    let Some(Layer { position: PositionEncoding::Rotary(rotary), .. }) = spec.layers.iter().find(is_odd)
    else {
        return Ok(());
    };
    let found = format!("a share that rotates {} of {} dimensions", rotary.n_rotated, spec.d_head);
    Err(config.unsupported("partial_rotary_factor", found, "an even number is supported in this family"))
}

/// The longest text for which the frequencies do not depend on its length.
///
/// Dynamic and LongRoPE scaling change every token's frequencies if a text is longer than the original context, so that
/// a prefix would have other numbers in a longer text; such texts are refused.
pub(super) fn n_context(config: &Config, max_positions: usize) -> Result<usize> {
    let Some(object) = described(config)? else { return Ok(max_positions) };
    Ok(match kind(config, &object)?.as_str() {
        "longrope" => {
            let first = original(config, &object)?.unwrap_or(max_positions as f64);
            first.min(POSITIONS.most as f64) as usize
        }
        _ => max_positions,
    })
}

/// The object that describes the rotation: if there is the older `rope_scaling`, the newer `rope_parameters` is
/// ignored, as in transformers.
fn described(config: &Config) -> Result<Option<Config>> {
    let inside = config.object("rope_parameters")?;
    Ok(config.object("rope_scaling")?.filter(|older| !older.is_empty()).or(inside))
}

/// The kind of scaling; in Phi-3's first configs LongRoPE has other names.
fn kind(config: &Config, object: &Config) -> Result<String> {
    let (new, old) = (object.maybe_text("rope_type")?, object.maybe_text("type")?);
    let kind = new.or(old).unwrap_or_else(|| "default".into());
    Ok(match kind.as_str() {
        "su" => "longrope".into(),
        "yarn" if is_phi3(config)? => "longrope".into(),
        _ => kind,
    })
}

const ORIGINAL: &str = "original_max_position_embeddings";

/// The original context in the config: the outer field takes precedence over the inner one.
fn original(config: &Config, object: &Config) -> Result<Option<f64>> {
    let (inside, outside) = (object.maybe_number(ORIGINAL)?, config.maybe_number(ORIGINAL)?);
    // Phi-3's configuration always has the outer one.
    let default = if is_phi3(config)? { Some(4096.0) } else { None };
    Ok(outside.or(default).or(inside))
}

fn is_phi3(config: &Config) -> Result<bool> {
    Ok(config.maybe_text("model_type")?.is_some_and(|name| name == "phi3"))
}

fn max_positions(config: &Config) -> Result<f64> {
    Ok(config.maybe_count(POSITIONS, "max_position_embeddings")?.unwrap_or(2048) as f64)
}

/// The scaling of the frequencies.
fn scaling(config: &Config, object: &Config, contexts: Contexts, rotary: &Rotary) -> Result<RotaryScaling> {
    let kind = kind(config, object)?;
    if is_phi3(config)? && !matches!(kind.as_str(), "default" | "longrope") {
        return Err(object.unsupported("rope_type", kind, "default or longrope is supported in this family"));
    }
    Ok(match kind.as_str() {
        "default" => RotaryScaling::Nothing,
        // The factor has an effect only on texts longer than the context, which are refused.
        "dynamic" => {
            object.maybe_number("factor")?;
            RotaryScaling::Nothing
        }
        "linear" => RotaryScaling::Linear { factor: object.number("factor")? },
        "llama3" => RotaryScaling::Llama3 {
            factor: object.number("factor")?,
            low: object.number("low_freq_factor")?,
            high: object.number("high_freq_factor")?,
            context: contexts.first,
        },
        "yarn" => yarn(object, rotary, contexts)?,
        "longrope" => longrope(object, rotary, contexts)?,
        other => return Err(object.unsupported("rope_type", other, KNOWN)),
    })
}

/// YaRN's scaling.
///
/// # Source
/// Peng et al., "YaRN", arXiv 2309.00071; the attention factor of transformers 5.23.
fn yarn(object: &Config, rotary: &Rotary, contexts: Contexts) -> Result<RotaryScaling> {
    let Contexts { first: context, whole, truncate } = contexts;
    if !rotary.n_rotated.is_multiple_of(2) {
        return Err(object.unsupported(
            "rope_type",
            "yarn",
            "an even number of rotated dimensions is supported for YaRN",
        ));
    }
    let factor = object.maybe_number("factor")?.unwrap_or(whole / context);
    let magnitude = |weight: f64| if factor <= 1.0 { 1.0 } else { 0.1 * weight * factor.ln() + 1.0 };
    let scales = (object.maybe_number("mscale")?, object.maybe_number("mscale_all_dim")?);
    let default = match scales {
        (Some(one), Some(all)) if one != 0.0 && all != 0.0 => magnitude(one) / magnitude(all),
        _ => magnitude(1.0),
    };
    let attention_factor = object.maybe_number("attention_factor")?.unwrap_or(default);
    let n = rotary.n_rotated as f64;
    // The index of the pair whose rotation makes this number of turns over the original context.
    let dimension = |turns: f64| n * (context / (turns * 2.0 * PI)).ln() / (2.0 * rotary.theta.ln());
    let turns = |name, default| {
        let stated = object.maybe_number(name)?.filter(|turns| *turns != 0.0);
        Ok::<_, crate::error::Error>(dimension(stated.unwrap_or(default)))
    };
    let (first, second) = (turns("beta_fast", 32.0)?, turns("beta_slow", 1.0)?);
    let (first, second) = if truncate { (first.floor(), second.ceil()) } else { (first, second) };
    let bounds = (first.max(0.0), second.min(n - 1.0));
    Ok(RotaryScaling::Yarn { factor, bounds, attention_factor })
}

/// LongRoPE's scaling.
///
/// # Source
/// Ding et al., "LongRoPE", arXiv 2402.13753. Only the short factors are used, because texts beyond the original
/// context are refused.
fn longrope(object: &Config, rotary: &Rotary, contexts: Contexts) -> Result<RotaryScaling> {
    let Contexts { first: context, whole, .. } = contexts;
    object.maybe_numbers("long_factor")?;
    let factors = object.maybe_numbers("short_factor")?.unwrap_or_default();
    if factors.len() != rotary.n_pairs() {
        let expected = format!("a list of {} numbers is supported", rotary.n_pairs());
        return Err(object.unsupported("short_factor", format!("a list of {}", factors.len()), expected));
    }
    let factor = object.maybe_number("factor")?.unwrap_or(whole / context);
    let default = if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / context.ln()).sqrt() };
    let attention_factor = object.maybe_number("attention_factor")?.unwrap_or(default);
    Ok(RotaryScaling::EachOwn { factors: factors.into(), attention_factor })
}
