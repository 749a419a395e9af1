//! A file's metadata as the config.json of the same model in a Hugging Face folder.
//!
//! The family's `spec` then reads both formats. The numbers are those of llama.cpp: for settings that the format lacks
//! (gelu's form, a stored but unused window), this module makes the same choice as llama.cpp.

use super::architectures::{ABSENT, Architecture, EXPERTS, Rotation};
use super::header::Value as Stored;
use super::keys::Keys;
use super::metadata::Metadata;
use super::rope;
use crate::error::Result;
use crate::limits::{ANY, HEADS, LAYERS, POSITIONS, WIDTH};
use serde_json::{Map, Value};

/// Settings that follow from the tensors, not from the metadata.
pub(super) struct Shapes {
    /// Rows of the embedding.
    pub d_vocab: usize,
    /// True if there is no separate unembedding.
    pub tied: bool,
    /// The divisor of each frequency, if the file has them.
    pub frequency_factors: Option<Vec<f64>>,
    /// True if the MLP has its own norm.
    pub mlp_norm: bool,
    /// True if attention has its own norm in addition to the block's (Falcon).
    pub second_attn_norm: bool,
    /// True if queries and keys have norms.
    pub qk_norm: bool,
}

/// The widths and numbers of heads.
#[derive(Clone, Copy)]
struct Heads {
    d_model: usize,
    n: usize,
    n_kv: usize,
    width: usize,
}

impl Heads {
    fn of(keys: &Keys) -> Result<Heads> {
        let (d_model, n) =
            (keys.count(WIDTH, "embedding_length")?, keys.count(HEADS, "attention.head_count")?);
        let n_kv = keys.maybe_count(HEADS, "attention.head_count_kv")?.unwrap_or(n);
        let width = keys.maybe_count(WIDTH, "attention.key_length")?.unwrap_or(d_model / n);
        keys.only(
            "attention.value_length",
            width,
            &format!("only the width of keys, {width}, is supported"),
        )?;
        Ok(Heads { d_model, n, n_kv, width })
    }

    /// Refuses a value other than the default, for a family whose config has no field for it.
    fn check_default(&self, keys: &Keys, field: &str) -> Result<()> {
        match field {
            "head_dim" => {
                let default = self.d_model / self.n;
                keys.only(
                    "attention.key_length",
                    default,
                    &format!("only {default}, the stream's width per head, is supported"),
                )
            }
            "intermediate_size" => {
                let default = 4 * self.d_model;
                keys.only(
                    "feed_forward_length",
                    default,
                    &format!("only {default}, four times the stream's width, is supported"),
                )
            }
            _ => keys.only("attention.head_count_kv", self.n, "only the number of query heads is supported"),
        }
    }
}

/// The fields of the config.json.
///
/// # Errors
/// A value that is missing, of the wrong type, or not supported; the error names the file and the key.
pub(super) fn fields(
    metadata: &Metadata,
    architecture: &'static Architecture,
    shapes: Shapes,
) -> Result<Map<String, Value>> {
    let keys = Keys { metadata, architecture: architecture.name };
    keys.only("expert_count", 0, &format!("only 0 is supported: {EXPERTS}"))?;
    check_direction(&keys)?;
    let heads = Heads::of(&keys)?;
    let mut fields = Map::new();
    for (name, value) in [
        ("hidden_size", heads.d_model),
        ("num_attention_heads", heads.n),
        ("num_key_value_heads", heads.n_kv),
        ("head_dim", heads.width),
        ("num_hidden_layers", keys.count(LAYERS, "block_count")?),
        ("intermediate_size", keys.count(WIDTH, "feed_forward_length")?),
        ("max_position_embeddings", keys.count(POSITIONS, "context_length")?),
        ("vocab_size", shapes.d_vocab),
    ] {
        let named = architecture.names.iter().find(|(llamas, _)| *llamas == name);
        match named.map_or(name, |(_, own)| own) {
            ABSENT => heads.check_default(&keys, name)?,
            own => drop(fields.insert(own.to_string(), value.into())),
        }
    }
    let mut put = |name: &str, value: Value| fields.insert(name.to_string(), value);
    put("model_type", architecture.model_type.into());
    put("tie_word_embeddings", shapes.tied.into());
    if architecture.activation.0 != ABSENT {
        put(architecture.activation.0, architecture.activation.1.into());
    }
    match (architecture.epsilon.0, epsilon(&keys, architecture)?) {
        (ABSENT, _) => {}
        (field, epsilon) => drop(put(field, epsilon.into())),
    }
    fields.extend(own_fields(&keys, heads, &shapes)?);
    if architecture.rotation != Rotation::No {
        fields.extend(rope::fields(&keys, architecture.rotation, heads.width, shapes.frequency_factors)?);
    }
    metadata.finish(architecture.name)?;
    Ok(fields)
}

/// The term added to the variance in norms.
fn epsilon(keys: &Keys, architecture: &Architecture) -> Result<f64> {
    const DEFAULT: f32 = 1e-5;
    let (field, key) = architecture.epsilon;
    let name = format!("attention.{key}");
    let found = keys.number(&name)?;
    if field == ABSENT && found as f32 != DEFAULT {
        return Err(keys.metadata.unsupported(
            &keys.key(&name),
            &Stored::Float(found),
            format!("only {DEFAULT:e} is supported"),
        ));
    }
    Ok(found)
}

/// Refuses attention of another direction than the family's; without the key, llama.cpp uses causal attention.
fn check_direction(keys: &Keys) -> Result<()> {
    let (key, is_encoder) = (keys.key("attention.causal"), keys.architecture == "bert");
    match keys.metadata.flag(&key)?.unwrap_or(true) {
        found if found == is_encoder => Err(keys.metadata.unsupported(
            &key,
            &Stored::Flag(found),
            format!("only {} is supported", !found),
        )),
        _ => Ok(()),
    }
}

/// The fields that only this architecture has.
fn own_fields(keys: &Keys, heads: Heads, shapes: &Shapes) -> Result<Map<String, Value>> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_string(), value);
    match keys.architecture {
        "gptneox" => {
            let key = keys.key("use_parallel_residual");
            put("use_parallel_residual", keys.metadata.required(&key, keys.metadata.flag(&key))?.into());
        }
        "phi3" => {
            // Written by the converter, but not used by llama.cpp.
            keys.maybe_count(ANY, "attention.sliding_window")?;
        }
        "stablelm" => {
            // llama.cpp follows the tensors, not this key.
            keys.metadata.flag(&keys.key("use_parallel_residual"))?;
            put("use_parallel_residual", (!shapes.mlp_norm).into());
            put("qk_layernorm", shapes.qk_norm.into());
        }
        "falcon" => {
            put("new_decoder_architecture", true.into());
            put("num_ln_in_parallel_attn", if shapes.second_attn_norm { 2 } else { 1 }.into());
        }
        "olmo" => {
            if let Some(clip) = keys.maybe_number("attention.clamp_kqv")?.filter(|clip| *clip != 0.0) {
                put("clip_qkv", clip.into());
            }
        }
        "granite" => return granite(keys, heads),
        "gemma2" | "gemma3" => return gemma(keys, heads),
        _ => {}
    }
    Ok(fields)
}

/// Granite's multipliers. `logit_scale` is required; for other ones that are missing or 0, llama.cpp uses the default.
fn granite(keys: &Keys, heads: Heads) -> Result<Map<String, Value>> {
    let mut fields = Map::new();
    let scale = (heads.width as f64).sqrt().recip();
    for (key, field, default) in [
        ("attention.scale", "attention_multiplier", scale),
        ("embedding_scale", "embedding_multiplier", 1.0),
        ("residual_scale", "residual_multiplier", 1.0),
    ] {
        let found = keys.maybe_number(key)?.filter(|x| *x != 0.0);
        fields.insert(field.to_string(), found.unwrap_or(default).into());
    }
    fields.insert("logits_scaling".into(), keys.number("logit_scale")?.into());
    let key = keys.key("rope.scaling.finetuned");
    match keys.metadata.flag(&key)? {
        Some(false) => Err(keys.metadata.unsupported(
            &key,
            &Stored::Flag(false),
            "only true, which means rotation, is supported",
        )),
        _ => Ok(fields),
    }
}

/// The windows and soft-caps of Gemma 2 and 3.
fn gemma(keys: &Keys, heads: Heads) -> Result<Map<String, Value>> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_string(), value);
    let (n_layers_of_27b, every) = if keys.architecture == "gemma2" { (46, 2) } else { (62, 6) };
    // The 27B models scale by the stream's width per head; in the format only their depth distinguishes them.
    let is_27b = keys.count(LAYERS, "block_count")? == n_layers_of_27b;
    put("query_pre_attn_scalar", if is_27b { heads.d_model / heads.n } else { heads.width }.into());
    match keys.maybe_count(ANY, "attention.sliding_window")? {
        Some(window) if window > 0 => {
            put("sliding_window", window.into());
            put("layer_types", layer_types(keys, every)?.into());
        }
        None if keys.architecture == "gemma2" => {} // 4096, its family's default
        _ => drop(put("sliding_window", Value::Null)),
    }
    for name in ["attn_logit_softcapping", "final_logit_softcapping"] {
        if let Some(cap) = keys.maybe_number(name)? {
            put(name, cap.into());
        }
    }
    Ok(fields)
}

/// The layers with a window: a list in the file, or all except every n-th.
fn layer_types(keys: &Keys, every: usize) -> Result<Vec<&'static str>> {
    let name = "attention.sliding_window_pattern";
    let slides = match keys.metadata.flags(&keys.key(name)) {
        Some(slides) => slides,
        None => {
            let every = keys.maybe_count(ANY, name)?.unwrap_or(every).max(1);
            (0..keys.count(LAYERS, "block_count")?).map(|l| !(l + 1).is_multiple_of(every)).collect()
        }
    };
    Ok(slides.into_iter().map(|slides| if slides { "sliding_attention" } else { "full_attention" }).collect())
}
