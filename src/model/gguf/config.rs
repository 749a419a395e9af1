//! A file's metadata as the config.json that the same model has in a Hugging Face folder.
//!
//! What a family's `spec` makes of it then holds for both. A GGUF file means what llama.cpp computes from it:
//! where the format keeps silent (gelu's form, a window written and not used), its choice stands here.

use super::header::Value as Stored;
use super::metadata::Metadata;
use crate::error::Result;
use serde_json::{Map, Value, json};

/// An architecture that is read, and the family it is.
pub(super) struct Architecture {
    /// `general.architecture`.
    name: &'static str,
    /// The family's `model_type`.
    pub model_type: &'static str,
    /// The non-linearity, which the format does not tell, under the name that the family's config has for it.
    activation: (&'static str, &'static str),
    /// Whether 1 was added to the weights of the norms, as the family's formula does.
    pub norms_hold_one: bool,
    /// True where the rows of each query and key were reordered, so that those which are rotated together are neighbours.
    pub pairs_lie_together: bool,
}

const fn like_llama(name: &'static str) -> Architecture {
    Architecture {
        name,
        model_type: name,
        activation: ("hidden_act", "silu"),
        norms_hold_one: false,
        pairs_lie_together: false,
    }
}

const fn like_gemma(name: &'static str, model_type: &'static str) -> Architecture {
    let activation = ("hidden_activation", "gelu_pytorch_tanh");
    Architecture { model_type, activation, norms_hold_one: true, ..like_llama(name) }
}

const ARCHITECTURES: &[Architecture] = &[
    Architecture { pairs_lie_together: true, ..like_llama("llama") },
    like_llama("qwen2"),
    like_llama("qwen3"),
    like_gemma("gemma2", "gemma2"),
    like_gemma("gemma3", "gemma3_text"),
    Architecture { model_type: "phi", activation: ("hidden_act", "gelu_new"), ..like_llama("phi2") },
    like_llama("phi3"),
    Architecture { model_type: "gpt_neox", activation: ("hidden_act", "gelu_new"), ..like_llama("gptneox") },
];

/// What the tensors tell that the metadata does not.
pub(super) struct Shapes {
    /// Rows of the embedding.
    pub d_vocab: usize,
    /// Whether there is no unembedding of its own.
    pub tied: bool,
    /// Each frequency's own divisor, where the file has them.
    pub frequency_factors: Option<Vec<f64>>,
}

/// The architecture that a file names.
///
/// # Errors
/// [`crate::Error::UnsupportedConfig`] listing those there are.
pub(super) fn architecture(metadata: &Metadata) -> Result<&'static Architecture> {
    let key = "general.architecture";
    let name = metadata.required(key, metadata.text(key))?;
    ARCHITECTURES.iter().find(|known| known.name == name).ok_or_else(|| {
        let known: Vec<&str> = ARCHITECTURES.iter().map(|known| known.name).collect();
        let found = Stored::Text(name.to_string());
        metadata.unsupported(key, &found, format!("one of {} is", known.join(", ")))
    })
}

/// The keys of one architecture.
struct Keys<'a> {
    metadata: &'a Metadata<'a>,
    architecture: &'static str,
}

impl Keys<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    fn count(&self, name: &str) -> Result<usize> {
        let key = self.key(name);
        self.metadata.required(&key, self.metadata.count(&key))
    }

    fn maybe_count(&self, name: &str) -> Result<Option<usize>> {
        self.metadata.count(&self.key(name))
    }

    fn maybe_number(&self, name: &str) -> Result<Option<f64>> {
        self.metadata.number(&self.key(name))
    }

    fn number(&self, name: &str) -> Result<f64> {
        let key = self.key(name);
        self.metadata.required(&key, self.metadata.number(&key))
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
    let (d_model, n_heads) = (keys.count("embedding_length")?, keys.count("attention.head_count")?);
    let d_head = keys.maybe_count("attention.key_length")?.unwrap_or(d_model / n_heads.max(1));
    if let Some(other) = keys.maybe_count("attention.value_length")?.filter(|n| *n != d_head) {
        let (key, other) = (keys.key("attention.value_length"), Stored::Integer(other as i64));
        return Err(metadata.unsupported(&key, &other, format!("only the width of keys, {d_head}, is")));
    }
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_string(), value);
    put("model_type", architecture.model_type.into());
    put("hidden_size", d_model.into());
    put("num_attention_heads", n_heads.into());
    if architecture.name != "gptneox" {
        put("num_key_value_heads", keys.maybe_count("attention.head_count_kv")?.unwrap_or(n_heads).into());
    }
    put("num_hidden_layers", keys.count("block_count")?.into());
    put("intermediate_size", keys.count("feed_forward_length")?.into());
    put("max_position_embeddings", keys.count("context_length")?.into());
    put("vocab_size", shapes.d_vocab.into());
    put("tie_word_embeddings", shapes.tied.into());
    put(architecture.activation.0, architecture.activation.1.into());
    let is_centred = matches!(architecture.name, "phi2" | "gptneox");
    let (eps, epsilon) = if is_centred {
        ("layer_norm_eps", "attention.layer_norm_epsilon")
    } else {
        ("rms_norm_eps", "attention.layer_norm_rms_epsilon")
    };
    put(eps, keys.number(epsilon)?.into());
    if !is_centred && architecture.name != "phi3" {
        put("head_dim", d_head.into());
    }
    fields.extend(of_its_own(&keys, (d_model, n_heads, d_head))?);
    fields.extend(rope(&keys, d_head, shapes.frequency_factors)?);
    metadata.finish(architecture.name)?;
    Ok(fields)
}

/// What only one architecture has.
fn of_its_own(keys: &Keys, (d_model, n_heads, d_head): (usize, usize, usize)) -> Result<Map<String, Value>> {
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
        "gemma2" | "gemma3" => {
            let (n_layers_of_27b, every) = if keys.architecture == "gemma2" { (46, 2) } else { (62, 6) };
            // The 27B models scale by a head's share of the stream; the format tells them by depth alone.
            let is_27b = keys.count("block_count")? == n_layers_of_27b;
            put("query_pre_attn_scalar", if is_27b { d_model / n_heads } else { d_head }.into());
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
        }
        _ => {}
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

const ORIGINAL: &str = "original_max_position_embeddings";

/// The rotation: `rope_parameters` of one kind, or of Gemma 3's two.
fn rope(keys: &Keys, d_head: usize, factors: Option<Vec<f64>>) -> Result<Map<String, Value>> {
    let mut rope = scaling(keys, factors)?;
    rope.insert("rope_theta".into(), keys.maybe_number("rope.freq_base")?.unwrap_or(10_000.0).into());
    let n_rotated = keys.maybe_count("rope.dimension_count")?.unwrap_or(d_head);
    let rope = if keys.architecture == "gemma3" {
        let theta = keys.maybe_number("rope.freq_base_swa")?.unwrap_or(10_000.0);
        let sliding = json!({ "rope_type": "default", "rope_theta": theta });
        json!({ "full_attention": rope, "sliding_attention": sliding })
    } else {
        if n_rotated != d_head {
            // The share is multiplied back and cut to a whole number, which must not fall below.
            let share = (n_rotated as f64 + 0.5) / d_head as f64;
            rope.insert("partial_rotary_factor".into(), share.into());
        } else if matches!(keys.architecture, "phi2" | "gptneox") {
            rope.insert("partial_rotary_factor".into(), 1.0.into());
        }
        Value::Object(rope)
    };
    let first = rope.get(ORIGINAL).cloned(); // where Phi-3 has it
    let first = first.map(|first| (ORIGINAL.to_string(), first));
    Ok([("rope_parameters".to_string(), rope)].into_iter().chain(first).collect())
}

/// How frequencies are stretched, under Hugging Face's names.
fn scaling(keys: &Keys, factors: Option<Vec<f64>>) -> Result<Map<String, Value>> {
    let key = keys.key("rope.scaling.type");
    let kind = keys.metadata.text(&key)?.unwrap_or("linear");
    let factor = keys.maybe_number("rope.scaling.factor")?.or(keys.maybe_number("rope.scale_linear")?);
    let factor = factor.filter(|x| *x != 0.0 && *x != 1.0);
    let context = keys.maybe_count("rope.scaling.original_context_length")?;
    let context = context.map_or_else(|| keys.count("context_length"), Ok)?;
    let attention = keys.maybe_number("rope.scaling.attn_factor")?.unwrap_or(1.0);
    if attention != 1.0 && factors.is_none() {
        let (key, found) = (keys.key("rope.scaling.attn_factor"), Stored::Float(attention));
        return Err(keys.metadata.unsupported(&key, &found, "only 1 is, without factors of each frequency"));
    }
    let fields = match (kind, factors, factor) {
        ("linear" | "none" | "longrope", Some(factors), None) => json!({
            "rope_type": "longrope",
            "short_factor": factors,
            "long_factor": factors,
            "attention_factor": attention,
            "original_max_position_embeddings": context,
        }),
        ("linear" | "none", None, None) | ("none", None, _) => json!({ "rope_type": "default" }),
        ("linear", None, Some(factor)) => json!({ "rope_type": "linear", "factor": factor }),
        ("yarn", None, factor) => json!({
            "rope_type": "yarn",
            "factor": factor.unwrap_or(1.0),
            "original_max_position_embeddings": context,
            "beta_fast": keys.maybe_number("rope.scaling.yarn_beta_fast")?.unwrap_or(32.0),
            "beta_slow": keys.maybe_number("rope.scaling.yarn_beta_slow")?.unwrap_or(1.0),
        }),
        (other, ..) => {
            let expected = "one of none, linear, yarn, or longrope with factors of each frequency is";
            return Err(keys.metadata.unsupported(&key, &Stored::Text(other.to_string()), expected));
        }
    };
    let Value::Object(fields) = fields else { return Ok(Map::new()) };
    Ok(fields)
}
