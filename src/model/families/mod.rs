//! Families: one file each, all read by the same forward pass.
//!
//! To add one: a file here that reads its config as a [`Spec`] and names its tensors; a line in
//! [`FAMILIES`]; a fixture made by transformers.
//!
//! - `config`: a config.json read field by field; what is not read is refused
//! - `harmless`: the fields that need not be read
//! - `rope`: rotary positions and their scaling
//! - `refused`: families that are known and not taken, with the reason

mod config;
mod gpt2;
mod gpt_neox;
mod harmless;
pub(crate) mod llama;
mod refused;
mod rope;

pub use config::Config;

use super::params::Param;
use super::spec::Spec;
use super::weights::Source;
use crate::error::{Error, Result};

/// A family: how to read its config and where its checkpoint keeps each parameter.
pub struct Family {
    /// The `model_type` in config.json.
    pub model_type: &'static str,
    /// The spec that a config describes.
    pub spec: fn(&Config) -> Result<Spec>,
    /// Where a parameter lies in the checkpoint.
    pub source: fn(&Spec, Param) -> Source,
    /// What some checkpoints of the family write before every tensor name but the head's, and others
    /// leave out.
    pub prefix: &'static str,
}

/// Every family there is.
pub const FAMILIES: &[Family] = &[gpt2::FAMILY, gpt_neox::FAMILY, llama::FAMILY];

impl Config {
    /// The family that the config names.
    ///
    /// # Errors
    /// [`Error::UnknownFamily`] listing those there are.
    pub fn family(&self) -> Result<&'static Family> {
        let model_type = self.maybe_text("model_type")?.unwrap_or_else(|| "(none)".into());
        if let Some(reason) = refused::reason(&model_type) {
            return Err(self.unsupported("model_type", model_type, reason));
        }
        FAMILIES.iter().find(|f| f.model_type == model_type).ok_or_else(|| Error::UnknownFamily {
            path: self.path().to_path_buf(),
            model_type,
            known: FAMILIES.iter().map(|f| f.model_type).collect::<Vec<_>>().join(", "),
        })
    }

    /// The spec that the config describes, once every field that changes numbers was read.
    ///
    /// # Errors
    /// [`Error::UnknownFamily`], [`Error::BadFile`] or [`Error::UnsupportedConfig`] naming the field.
    pub fn spec(&self) -> Result<Spec> {
        let spec = (self.family()?.spec)(self)?;
        if !spec.n_heads.is_multiple_of(spec.n_kv_heads) {
            let expected = format!("a divisor of the {} query heads is", spec.n_heads);
            return Err(self.unsupported("num_key_value_heads", spec.n_kv_heads, expected));
        }
        if spec.d_head == 0 {
            let expected = format!("at least as many as the {} heads is", spec.n_heads);
            return Err(self.unsupported("hidden_size", spec.d_model, expected));
        }
        self.finish()?;
        Ok(spec)
    }
}
