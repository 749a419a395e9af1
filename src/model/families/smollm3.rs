//! SmolLM3: a Llama without rotation in every fourth layer.

use super::config::Config;
use super::family::Family;
use super::layers::slides;
use super::llama;
use super::rope::{Defaults, WHOLE};
use crate::error::Result;
use crate::limits::POSITIONS;
use crate::model::spec::{Biases, Head, PositionEncoding, Spec};

pub(super) const FAMILY: Family =
    Family { model_type: "smollm3", spec, source: llama::source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    let mut spec = llama::common_spec(config, "smollm3", Defaults { theta: 2_000_000.0, ..WHOLE })?;
    config.unread(&["max_window_layers"]);
    let every = config.maybe_count(POSITIONS, "no_rope_layer_interval")?.unwrap_or(4);
    // Despite its name, the list has a 1 for each layer that rotates.
    let rotates = match config.maybe_counts("no_rope_layers")? {
        Some(list) if list.len() == spec.n_layers => list.into_iter().map(|one| one == 1).collect(),
        Some(list) => {
            let expected = format!("a list of {}, one per layer, is supported", spec.n_layers);
            return Err(config.unsupported("no_rope_layers", format!("a list of {}", list.len()), expected));
        }
        None => (0..spec.n_layers).map(|l| !(l + 1).is_multiple_of(every)).collect::<Vec<bool>>(),
    };
    let uses_window = config.flag_or("use_sliding_window", false)?;
    let window = config.maybe_count(POSITIONS, "sliding_window")?.filter(|_| uses_window);
    let slides = slides(config, spec.n_layers, |l| window.is_some() && !rotates[l])?;
    for (l, layer) in spec.layers.iter_mut().enumerate() {
        layer.window = window.filter(|_| slides[l]);
        if !rotates[l] {
            layer.position = PositionEncoding::Nothing;
        }
    }
    let bias = config.flag_or("attention_bias", false)?;
    Ok(Spec {
        biases: Biases { qkv: bias, attn_out: bias, mlp: config.flag_or("mlp_bias", false)? },
        head: Some(Head::plain(config.flag_or("tie_word_embeddings", true)?)),
        ..spec
    })
}
