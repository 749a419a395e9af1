//! Qwen2 and Qwen2.5: a Llama with biases on query, key and value; its later layers may slide.

use super::layers::slides;
use super::rope::WHOLE;
use super::{Config, Family, llama};
use crate::error::Result;
use crate::model::spec::{Biases, Spec};

pub(super) const FAMILY: Family =
    Family { model_type: "qwen2", spec, source: llama::source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    let mut spec = llama::alike(config, "qwen2", WHOLE)?;
    slide(config, &mut spec)?;
    Ok(Spec { biases: Biases { qkv: true, ..Biases::NONE }, ..spec })
}

/// Lets layers from `max_window_layers` on slide, if the config says that any do.
pub(super) fn slide(config: &Config, spec: &mut Spec) -> Result<()> {
    config.unread(&["use_mrope"]);
    let usual = if config.has("sliding_window") { None } else { Some(4096) };
    let window = config.maybe_count("sliding_window")?.or(usual);
    let window = window.filter(|_| config.flag_or("use_sliding_window", false).unwrap_or(false));
    config.flag_or("use_sliding_window", false)?;
    let first = config.maybe_number("max_window_layers")?.unwrap_or(28.0) as usize;
    let slides = slides(config, spec.n_layers, |l| window.is_some() && l >= first)?;
    for (layer, slides) in spec.layers.iter_mut().zip(slides) {
        layer.window = window.filter(|_| slides);
    }
    Ok(())
}
