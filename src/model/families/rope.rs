//! Rotary positions as configs describe them: `rope_parameters`, or `rope_theta` and `rope_scaling`.

use super::config::Config;
use crate::error::Result;
use crate::model::rotary::{Rotary, RotaryLayout, RotaryScaling};
use std::f64::consts::PI;

/// The names under which configs keep the base and the rotated share of a head.
const THETA: [&str; 2] = ["rotary_emb_base", "rope_theta"];
const SHARE: [&str; 2] = ["partial_rotary_factor", "rotary_pct"];

/// The kinds of scaling that [`scaling`] knows.
const KNOWN: &str = "one of default, linear, dynamic, llama3, yarn, longrope is";

/// How a family rotates where its config says nothing.
#[derive(Clone, Copy)]
pub(super) struct Usual {
    pub layout: RotaryLayout,
    pub theta: f64,
    /// The rotated share of a head; `None` where transformers rotates the whole of it whatever is said.
    pub share: Option<f64>,
}

/// The whole head, halves paired, base 10,000.
pub(super) const WHOLE: Usual = Usual { layout: RotaryLayout::Half, theta: 10_000.0, share: None };

/// The rotation that a config describes.
pub(super) fn rotary(config: &Config, d_head: usize, usual: Usual) -> Result<Rotary> {
    let (inside, older) = (config.object("rope_parameters")?, config.object("rope_scaling")?);
    let first = |names: &[&str], default: f64| -> Result<f64> {
        for object in inside.iter().chain([config]) {
            for name in names {
                if let Some(found) = object.maybe_number(name)? {
                    return Ok(found);
                }
            }
        }
        Ok(default)
    };
    let (theta, share) = (first(&THETA, usual.theta)?, first(&SHARE, usual.share.unwrap_or(1.0))?);
    if usual.share.is_none() && share != 1.0 {
        return Err(config.unsupported("partial_rotary_factor", share, "only 1 is, in this family"));
    }
    let n_rotated = (d_head as f64 * share) as usize;
    let mut rotary = Rotary { n_rotated, theta, layout: usual.layout, scaling: RotaryScaling::Nothing };
    // The older field stands above, as transformers takes it; both are rarely there.
    if let Some(object) = older.or(inside) {
        THETA.iter().chain(&SHARE).try_for_each(|name| object.maybe_number(name).map(|_| ()))?;
        rotary.scaling = scaling(config, &object, &rotary)?;
        object.finish()?;
    }
    Ok(rotary)
}

/// The rotation of one kind of layer, where `rope_parameters` has an object for each (Gemma 3).
pub(super) fn rotary_of_kind(config: &Config, kind: &Config, mut rotary: Rotary) -> Result<Rotary> {
    rotary.theta = kind.number_or("rope_theta", rotary.theta)?;
    rotary.scaling = scaling(config, kind, &rotary)?;
    kind.finish()?;
    Ok(rotary)
}

/// The longest text whose frequencies do not depend on how long it is.
///
/// Dynamic and LongRoPE scaling change every token's frequencies once a text is longer than the first
/// context, so the same beginning would no longer give the same numbers; such texts are refused.
pub(super) fn n_context(config: &Config, max_positions: usize) -> Result<usize> {
    let Some(object) = config.object("rope_scaling")?.or(config.object("rope_parameters")?) else {
        return Ok(max_positions);
    };
    let original = original(config, &object)?;
    Ok(match kind(&object)?.as_str() {
        "longrope" | "su" => original.unwrap_or(max_positions as f64) as usize,
        _ => max_positions,
    })
}

fn kind(object: &Config) -> Result<String> {
    let (new, old) = (object.maybe_text("rope_type")?, object.maybe_text("type")?);
    Ok(new.or(old).unwrap_or_else(|| "default".into()))
}

fn original(config: &Config, object: &Config) -> Result<Option<f64>> {
    let (inside, outside) = (
        object.maybe_number("original_max_position_embeddings")?,
        config.maybe_number("original_max_position_embeddings")?,
    );
    // Where both are there, transformers takes the outer one.
    Ok(outside.or(inside))
}

fn scaling(config: &Config, object: &Config, rotary: &Rotary) -> Result<RotaryScaling> {
    let context = original(config, object)?;
    let max = || {
        Ok::<_, crate::error::Error>(config.maybe_count("max_position_embeddings")?.unwrap_or(2048) as f64)
    };
    Ok(match kind(object)?.as_str() {
        "default" => RotaryScaling::Nothing,
        // Until a text is longer than the context, which is refused, the factor has no effect.
        "dynamic" => {
            object.maybe_number("factor")?;
            RotaryScaling::Nothing
        }
        "linear" => RotaryScaling::Linear { factor: object.number("factor")? },
        "llama3" => RotaryScaling::Llama3 {
            factor: object.number("factor")?,
            low: object.number("low_freq_factor")?,
            high: object.number("high_freq_factor")?,
            context: context.map_or_else(max, Ok)?,
        },
        "yarn" => yarn(object, rotary, (context.map_or_else(max, Ok)?, max()?))?,
        "longrope" | "su" => longrope(object, rotary, (context.map_or_else(max, Ok)?, max()?))?,
        other => return Err(object.unsupported("rope_type", other, KNOWN)),
    })
}

/// # Source
/// Peng et al., "YaRN", arXiv 2309.00071; the attention factor as transformers 5.23 takes it.
fn yarn(object: &Config, rotary: &Rotary, (context, max): (f64, f64)) -> Result<RotaryScaling> {
    let factor = object.maybe_number("factor")?.unwrap_or(max / context);
    let magnitude = |weight: f64| if factor <= 1.0 { 1.0 } else { 0.1 * weight * factor.ln() + 1.0 };
    let scales = (object.maybe_number("mscale")?, object.maybe_number("mscale_all_dim")?);
    let usual = match scales {
        (Some(one), Some(all)) if one != 0.0 && all != 0.0 => magnitude(one) / magnitude(all),
        _ => magnitude(1.0),
    };
    let attention_factor = object.maybe_number("attention_factor")?.unwrap_or(usual);
    let n = rotary.n_rotated as f64;
    // The dimension whose wave turns this often over the first context.
    let dimension = |turns: f64| n * (context / (turns * 2.0 * PI)).ln() / (2.0 * rotary.theta.ln());
    let first = dimension(object.number_or("beta_fast", 32.0)?);
    let second = dimension(object.number_or("beta_slow", 1.0)?);
    let (first, second) =
        if object.flag_or("truncate", true)? { (first.floor(), second.ceil()) } else { (first, second) };
    let bounds = (first.max(0.0), second.min(n - 1.0));
    Ok(RotaryScaling::Yarn { factor, bounds, attention_factor })
}

/// # Source
/// Ding et al., "LongRoPE", arXiv 2402.13753; the short factors, as texts beyond the first context are
/// refused.
fn longrope(object: &Config, rotary: &Rotary, (context, max): (f64, f64)) -> Result<RotaryScaling> {
    object.maybe_numbers("long_factor")?;
    let factors = object.maybe_numbers("short_factor")?.unwrap_or_default();
    if factors.len() != rotary.n_rotated / 2 {
        let expected = format!("a list of {} numbers is", rotary.n_rotated / 2);
        return Err(object.unsupported("short_factor", format!("a list of {}", factors.len()), expected));
    }
    let factor = object.maybe_number("factor")?.unwrap_or(max / context);
    let usual = if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / context.ln()).sqrt() };
    let attention_factor = object.maybe_number("attention_factor")?.unwrap_or(usual);
    Ok(RotaryScaling::EachOwn { factors, attention_factor })
}
