//! The rotation of queries and keys as fields of a Hugging Face config.

use super::architectures::Rotation;
use super::header::Value as Stored;
use super::keys::Keys;
use crate::error::Result;
use crate::limits::{POSITIONS, WIDTH};
use serde_json::{Map, Value, json};

const ORIGINAL: &str = "original_max_position_embeddings";

/// The config fields of the rotation: one set of `rope_parameters`, or two for Gemma 3.
///
/// # Errors
/// A value of the wrong type, or not supported; the error names the key.
pub(super) fn fields(
    keys: &Keys,
    rotation: Rotation,
    d_head: usize,
    factors: Option<Vec<f64>>,
) -> Result<Map<String, Value>> {
    let mut rope = scaling(keys, factors)?;
    rope.insert("rope_theta".into(), keys.maybe_number("rope.freq_base")?.unwrap_or(10_000.0).into());
    let n_rotated = keys.maybe_count(WIDTH, "rope.dimension_count")?.unwrap_or(d_head);
    let rope = if keys.architecture == "gemma3" {
        let theta = keys.maybe_number("rope.freq_base_swa")?.unwrap_or(10_000.0);
        let sliding = json!({ "rope_type": "default", "rope_theta": theta });
        json!({ "full_attention": rope, "sliding_attention": sliding })
    } else {
        if n_rotated != d_head {
            // The family truncates `share · d_head` to a whole number; with the half, the result is `n_rotated`.
            let share = (n_rotated as f64 + 0.5) / d_head as f64;
            rope.insert("partial_rotary_factor".into(), share.into());
        } else if rotation == Rotation::Share {
            rope.insert("partial_rotary_factor".into(), 1.0.into());
        }
        Value::Object(rope)
    };
    let first = rope.get(ORIGINAL).cloned(); // Phi-3's config has this field outside `rope_parameters`
    let first = first.map(|first| (ORIGINAL.to_string(), first));
    Ok([("rope_parameters".to_string(), rope)].into_iter().chain(first).collect())
}

/// The scaling of the frequencies, by Hugging Face's names.
fn scaling(keys: &Keys, factors: Option<Vec<f64>>) -> Result<Map<String, Value>> {
    let key = keys.key("rope.scaling.type");
    let kind = keys.metadata.text(&key)?.unwrap_or("linear");
    let factor = keys.maybe_number("rope.scaling.factor")?.or(keys.maybe_number("rope.scale_linear")?);
    let factor = factor.filter(|x| *x != 0.0 && *x != 1.0);
    let context = keys.maybe_count(POSITIONS, "rope.scaling.original_context_length")?;
    let context = context.map_or_else(|| keys.count(POSITIONS, "context_length"), Ok)?;
    let attention = keys.maybe_number("rope.scaling.attn_factor")?.unwrap_or(1.0);
    if attention != 1.0 && factors.is_none() {
        let (key, found) = (keys.key("rope.scaling.attn_factor"), Stored::Float(attention));
        return Err(keys.metadata.unsupported(
            &key,
            &found,
            "only 1 is supported without factors per frequency",
        ));
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
            let expected = "one of none, linear, yarn, or longrope with factors per frequency is supported";
            return Err(keys.metadata.unsupported(&key, &Stored::Text(other.to_string()), expected));
        }
    };
    let Value::Object(fields) = fields else { return Ok(Map::new()) };
    Ok(fields)
}
