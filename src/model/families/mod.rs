//! Families: one file each, all read by the same forward pass.
//!
//! To add one: a file here with its serde config, its [`Spec`] and its tensor names; a line in
//! [`FAMILIES`]; a fixture made by transformers.

mod gpt2;
mod gpt_neox;
pub(crate) mod llama;

use super::params::Param;
use super::spec::Spec;
use super::weights::Source;
use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use std::path::Path;

/// A family: how to read its config and where its checkpoint keeps each parameter.
pub struct Family {
    /// The `model_type` in config.json.
    pub model_type: &'static str,
    /// The spec that a config describes.
    pub spec: fn(&Config) -> Result<Spec>,
    /// Where a parameter lies in the checkpoint.
    pub source: fn(&Spec, Param) -> Source,
    /// What some checkpoints of the family write before every tensor name, and others leave out.
    pub prefix: &'static str,
}

/// Every family there is.
pub const FAMILIES: &[Family] = &[gpt2::FAMILY, gpt_neox::FAMILY, llama::FAMILY];

/// Fields that count what a model has at least one of; families divide by some of them.
const COUNTS: &[&str] =
    &["num_attention_heads", "n_head", "num_key_value_heads", "num_hidden_layers", "n_layer"];

/// A config.json, and where it came from.
pub struct Config<'a> {
    path: &'a Path,
    value: serde_json::Value,
}

impl<'a> Config<'a> {
    /// Parses a config.json.
    ///
    /// # Errors
    /// [`Error::BadFile`] if it is not JSON.
    pub fn parse(path: &'a Path, bytes: &[u8]) -> Result<Config<'a>> {
        let value = serde_json::from_slice(bytes)
            .map_err(|e| Error::bad_file(path, e, "a Hugging Face config.json"))?;
        Ok(Config { path, value })
    }

    /// The family that the config names.
    ///
    /// # Errors
    /// [`Error::UnknownFamily`] listing those there are.
    pub fn family(&self) -> Result<&'static Family> {
        let model_type = self.value.get("model_type").and_then(|v| v.as_str()).unwrap_or("(none)");
        FAMILIES.iter().find(|f| f.model_type == model_type).ok_or_else(|| Error::UnknownFamily {
            path: self.path.to_path_buf(),
            model_type: model_type.to_string(),
            known: FAMILIES.iter().map(|f| f.model_type).collect::<Vec<_>>().join(", "),
        })
    }

    /// The spec that the config describes, once its counts can be those of a model.
    ///
    /// # Errors
    /// [`Error::UnknownFamily`], [`Error::BadFile`] or [`Error::UnsupportedConfig`] naming the field.
    pub fn spec(&self) -> Result<Spec> {
        let is_zero = |field: &&&str| self.value.get(**field).and_then(serde_json::Value::as_u64) == Some(0);
        if let Some(field) = COUNTS.iter().find(is_zero) {
            return Err(self.unsupported(field, 0, "at least 1 is"));
        }
        let spec = (self.family()?.spec)(self)?;
        if !spec.n_heads.is_multiple_of(spec.n_kv_heads) {
            let expected = format!("a divisor of the {} query heads is", spec.n_heads);
            return Err(self.unsupported("num_key_value_heads", spec.n_kv_heads, expected));
        }
        Ok(spec)
    }

    /// The config in a family's own types.
    fn read<C: DeserializeOwned>(&self) -> Result<C> {
        serde_json::from_value(self.value.clone())
            .map_err(|e| Error::bad_file(self.path, e, "a complete config of its family"))
    }

    /// Refuses a value that the forward pass does not honour.
    fn unsupported(&self, field: &str, value: impl ToString, expected: impl ToString) -> Error {
        Error::UnsupportedConfig {
            path: self.path.to_path_buf(),
            field: field.to_string(),
            value: value.to_string(),
            expected: expected.to_string(),
        }
    }

    /// The rotary base: `rope_theta`, or within `rope_parameters`; any scaling is refused.
    fn rope_theta(&self, default: f64) -> Result<f64> {
        let inside = |field: &str| self.value.get("rope_parameters").and_then(|p| p.get(field));
        for (field, scaling) in [
            ("rope_scaling", self.value.get("rope_scaling")),
            ("rope_parameters", self.value.get("rope_parameters")),
        ] {
            let kind =
                scaling.and_then(|s| s.get("rope_type").or_else(|| s.get("type"))).and_then(|v| v.as_str());
            if let Some(kind) = kind.filter(|kind| *kind != "default") {
                return Err(self.unsupported(field, kind, "only unscaled rotary positions are"));
            }
        }
        let theta = self.value.get("rope_theta").or_else(|| inside("rope_theta"));
        Ok(theta.and_then(serde_json::Value::as_f64).unwrap_or(default))
    }
}
