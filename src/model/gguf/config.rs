//! A file's metadata as the config.json that the same model has in a Hugging Face folder.
//!
//! What a family's `spec` makes of it then holds for both. A GGUF file means what llama.cpp computes from it:
//! where the format keeps silent (gelu's form, a window written and not used), its choice stands here.

use super::architectures::{Architecture, EXPERTS, Rotation, UNSAID};
use super::header::Value as Stored;
use super::keys::Keys;
use super::metadata::Metadata;
use super::rope;
use crate::error::Result;
use serde_json::{Map, Value};

/// What the tensors tell that the metadata does not.
pub(super) struct Shapes {
    /// SliceRows of the embedding.
    pub d_vocab: usize,
    /// Whether there is no unembedding of its own.
    pub tied: bool,
    /// Each frequency's own divisor, where the file has them.
    pub frequency_factors: Option<Vec<f64>>,
    /// Whether the MLP has a norm of its own.
    pub mlp_norm: bool,
    /// Whether attention has a norm beside the block's (Falcon).
    pub second_attn_norm: bool,
    /// Whether queries and keys have norms.
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
        let (d_model, n) = (keys.count("embedding_length")?, keys.count("attention.head_count")?);
        let n_kv = keys.maybe_count("attention.head_count_kv")?.unwrap_or(n);
        let width = keys.maybe_count("attention.key_length")?.unwrap_or(d_model / n.max(1));
        keys.only("attention.value_length", width, &format!("only the width of keys, {width}, is"))?;
        Ok(Heads { d_model, n, n_kv, width })
    }

    /// Refuses what a family whose config has no field for it could not mean.
    fn are_usual(&self, keys: &Keys, field: &str) -> Result<()> {
        match field {
            "head_dim" => {
                let usual = self.d_model / self.n.max(1);
                keys.only(
                    "attention.key_length",
                    usual,
                    &format!("only {usual}, a head's share of the stream, is"),
                )
            }
            "intermediate_size" => {
                let usual = 4 * self.d_model;
                keys.only("feed_forward_length", usual, &format!("only {usual}, four times the stream, is"))
            }
            _ => keys.only("attention.head_count_kv", self.n, "only the number of query heads is"),
        }
    }
}

/// The fields of the config.json.
///
/// # Errors
/// What is missing, of another type, or not honoured, by file and key.
pub(super) fn fields(
    metadata: &Metadata,
    architecture: &'static Architecture,
    shapes: Shapes,
) -> Result<Map<String, Value>> {
    let keys = Keys { metadata, architecture: architecture.name };
    keys.only("expert_count", 0, &format!("only 0 is: {EXPERTS}"))?;
    causal(&keys)?;
    let heads = Heads::of(&keys)?;
    let mut fields = Map::new();
    for (name, value) in [
        ("hidden_size", heads.d_model),
        ("num_attention_heads", heads.n),
        ("num_key_value_heads", heads.n_kv),
        ("head_dim", heads.width),
        ("num_hidden_layers", keys.count("block_count")?),
        ("intermediate_size", keys.count("feed_forward_length")?),
        ("max_position_embeddings", keys.count("context_length")?),
        ("vocab_size", shapes.d_vocab),
    ] {
        let named = architecture.names.iter().find(|(llamas, _)| *llamas == name);
        match named.map_or(name, |(_, own)| own) {
            UNSAID => heads.are_usual(&keys, name)?,
            own => drop(fields.insert(own.to_string(), value.into())),
        }
    }
    let mut put = |name: &str, value: Value| fields.insert(name.to_string(), value);
    put("model_type", architecture.model_type.into());
    put("tie_word_embeddings", shapes.tied.into());
    if architecture.activation.0 != UNSAID {
        put(architecture.activation.0, architecture.activation.1.into());
    }
    match (architecture.epsilon.0, epsilon(&keys, architecture)?) {
        (UNSAID, _) => {}
        (field, epsilon) => drop(put(field, epsilon.into())),
    }
    fields.extend(of_its_own(&keys, heads, &shapes)?);
    if architecture.rotation != Rotation::No {
        fields.extend(rope::fields(&keys, (architecture.rotation, heads.width), shapes.frequency_factors)?);
    }
    metadata.finish(architecture.name)?;
    Ok(fields)
}

/// What is added to the variance in norms.
fn epsilon(keys: &Keys, architecture: &Architecture) -> Result<f64> {
    const USUAL: f32 = 1e-5;
    let (field, key) = architecture.epsilon;
    let name = format!("attention.{key}");
    let found = keys.number(&name)?;
    if field == UNSAID && found as f32 != USUAL {
        return Err(keys.metadata.unsupported(
            &keys.key(&name),
            &Stored::Float(found),
            format!("only {USUAL:e} is"),
        ));
    }
    Ok(found)
}

/// Refuses a model that looks the other way than its family; llama.cpp takes one that says nothing as causal.
fn causal(keys: &Keys) -> Result<()> {
    let (key, is_encoder) = (keys.key("attention.causal"), keys.architecture == "bert");
    match keys.metadata.flag(&key)?.unwrap_or(true) {
        found if found == is_encoder => {
            Err(keys.metadata.unsupported(&key, &Stored::Flag(found), format!("only {} is", !found)))
        }
        _ => Ok(()),
    }
}

/// What only one architecture has.
fn of_its_own(keys: &Keys, heads: Heads, shapes: &Shapes) -> Result<Map<String, Value>> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_string(), value);
    match keys.architecture {
        "gptneox" => {
            let key = keys.key("use_parallel_residual");
            put("use_parallel_residual", keys.metadata.required(&key, keys.metadata.flag(&key))?.into());
        }
        "phi3" => {
            // Written by the converter, and not used by llama.cpp.
            keys.maybe_count("attention.sliding_window")?;
        }
        "stablelm" => {
            // llama.cpp goes by the tensors, whatever is written.
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

/// Granite's multipliers; of those that are left out or 0, llama.cpp takes what is usual.
fn granite(keys: &Keys, heads: Heads) -> Result<Map<String, Value>> {
    let mut fields = Map::new();
    let usual = (heads.width as f64).sqrt().recip();
    for (key, field, usual) in [
        ("attention.scale", "attention_multiplier", usual),
        ("embedding_scale", "embedding_multiplier", 1.0),
        ("residual_scale", "residual_multiplier", 1.0),
    ] {
        let found = keys.maybe_number(key)?.filter(|x| *x != 0.0);
        fields.insert(field.to_string(), found.unwrap_or(usual).into());
    }
    fields.insert("logits_scaling".into(), keys.number("logit_scale")?.into());
    let key = keys.key("rope.scaling.finetuned");
    match keys.metadata.flag(&key)? {
        Some(false) => {
            Err(keys.metadata.unsupported(&key, &Stored::Flag(false), "only true, with rotation, is"))
        }
        _ => Ok(fields),
    }
}

/// The windows and soft-caps of Gemma 2 and 3.
fn gemma(keys: &Keys, heads: Heads) -> Result<Map<String, Value>> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_string(), value);
    let (n_layers_of_27b, every) = if keys.architecture == "gemma2" { (46, 2) } else { (62, 6) };
    // The 27B models scale by a head's share of the stream; the format tells them by depth alone.
    let is_27b = keys.count("block_count")? == n_layers_of_27b;
    put("query_pre_attn_scalar", if is_27b { heads.d_model / heads.n } else { heads.width }.into());
    match keys.maybe_count("attention.sliding_window")? {
        Some(window) if window > 0 => {
            put("sliding_window", window.into());
            put("layer_types", layer_types(keys, every)?.into());
        }
        None if keys.architecture == "gemma2" => {} // 4096, as its family takes it
        _ => drop(put("sliding_window", Value::Null)),
    }
    for name in ["attn_logit_softcapping", "final_logit_softcapping"] {
        if let Some(cap) = keys.maybe_number(name)? {
            put(name, cap.into());
        }
    }
    Ok(fields)
}

/// Which layers slide: a list in the file, or all but every so many.
fn layer_types(keys: &Keys, every: usize) -> Result<Vec<&'static str>> {
    let name = "attention.sliding_window_pattern";
    let slides = match keys.metadata.flags(&keys.key(name)) {
        Some(slides) => slides,
        None => {
            let every = keys.maybe_count(name)?.unwrap_or(every).max(1);
            (0..keys.count("block_count")?).map(|l| !(l + 1).is_multiple_of(every)).collect()
        }
    };
    Ok(slides.into_iter().map(|slides| if slides { "sliding_attention" } else { "full_attention" }).collect())
}
