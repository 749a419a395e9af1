//! Mistral: a Llama with a sliding window in all layers.

use super::config::Config;
use super::family::Family;
use super::layers::window;
use super::llama;
use super::rope::WHOLE;
use crate::error::Result;
use crate::model::spec::Spec;

pub(super) const FAMILY: Family =
    Family { model_type: "mistral", spec, source: llama::source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    let mut spec = llama::common_spec(config, "mistral", WHOLE)?;
    let window = window(config)?;
    spec.layers.iter_mut().for_each(|layer| layer.window = window);
    Ok(spec)
}
