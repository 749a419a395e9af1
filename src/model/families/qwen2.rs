//! Qwen2 and Qwen2.5: a Llama with biases on query, key and value; later layers may have a window.

use super::config::Config;
use super::family::Family;
use super::layers::{slides, window};
use super::llama;
use super::rope::WHOLE;
use crate::error::Result;
use crate::model::spec::{Biases, Spec};

pub(super) const FAMILY: Family =
    Family { model_type: "qwen2", spec, source: llama::source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    let mut spec = llama::common_spec(config, "qwen2", WHOLE)?;
    set_windows(config, &mut spec)?;
    Ok(Spec { biases: Biases { qkv: true, ..Biases::NONE }, ..spec })
}

/// Sets the window of the layers from `max_window_layers` on, if the config uses one.
pub(super) fn set_windows(config: &Config, spec: &mut Spec) -> Result<()> {
    config.unread(&["use_mrope"]);
    let window = window(config)?.filter(|_| config.flag_or("use_sliding_window", false).unwrap_or(false));
    config.flag_or("use_sliding_window", false)?;
    let first = config.maybe_number("max_window_layers")?.unwrap_or(28.0) as usize;
    let slides = slides(config, spec.n_layers, |l| window.is_some() && l >= first)?;
    for (layer, slides) in spec.layers.iter_mut().zip(slides) {
        layer.window = window.filter(|_| slides);
    }
    Ok(())
}
