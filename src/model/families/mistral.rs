//! Mistral: a Llama whose layers all look at a sliding window.

use super::rope::WHOLE;
use super::{Config, Family, llama};
use crate::error::Result;
use crate::model::spec::Spec;

pub(super) const FAMILY: Family =
    Family { model_type: "mistral", spec, source: llama::source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    let mut spec = llama::alike(config, "mistral", WHOLE)?;
    let usual = if config.has("sliding_window") { None } else { Some(4096) };
    let window = config.maybe_count("sliding_window")?.or(usual);
    spec.layers.iter_mut().for_each(|layer| layer.window = window);
    Ok(spec)
}
