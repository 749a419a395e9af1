//! Families: one file each, all read by the same forward pass.
//!
//! To add one: a file here that reads its config as a [`Spec`] and names its tensors; a line in
//! [`FAMILIES`]; a fixture made by transformers.
//!
//! - `config`: a config.json read field by field; what is not read and may change numbers is refused
//! - `reference`: the fields that transformers reads, and so may change numbers
//! - `harmless`: the fields that need not be read where a checkpoint brings code of its own
//! - `rope`, `alibi`, `layers`: what several families say of positions and windows
//! - `refused`: families that are known and not taken, with the reason

mod alibi;
mod bert;
mod bloom;
mod chatglm;
mod config;
mod distilbert;
mod falcon;
mod gemma;
mod gemma2;
mod gemma3;
mod glm;
mod glm4;
mod gpt2;
mod gpt_neo;
mod gpt_neox;
mod gptj;
mod granite;
mod harmless;
mod layers;
pub(crate) mod llama;
mod mistral;
mod mpt;
mod olmo;
mod olmo2;
mod opt;
mod phi;
mod phi3;
mod qwen2;
mod qwen3;
mod reference;
mod refused;
mod roberta;
mod rope;
mod smollm3;
mod stablelm;
mod starcoder2;
mod xglm;

pub use config::Config;

use super::spec::{PositionEncoding, Spec};
use super::weights::{Param, TensorSource, Weights};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A family: how to read its config and where its checkpoint keeps each parameter.
pub struct Family {
    /// The `model_type` in config.json.
    pub model_type: &'static str,
    /// The spec that a config describes.
    pub spec: fn(&Config) -> Result<Spec>,
    /// Where a parameter lies in the checkpoint.
    pub source: fn(&Spec, Param) -> TensorSource,
    /// What some checkpoints of the family write before every tensor name but the head's, and others
    /// leave out.
    pub prefix: &'static str,
}

/// How far a checkpoint's numbers are from those of transformers: a line of `measured.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The family.
    pub family: String,
    /// The fixture's folder.
    pub checkpoint: String,
    /// Largest difference over texts, layers and logits, relative to the largest reference value.
    pub error: f32,
    /// The version of transformers that made the fixture.
    pub transformers: String,
    /// The checkpoint's choices, in words.
    pub choices: String,
}

/// The table of measured errors, as the tests wrote it.
pub const MEASURED: &str = include_str!("measured.csv");

/// Every family there is.
pub const FAMILIES: &[Family] = &[
    bert::FAMILY,
    bloom::FAMILY,
    chatglm::FAMILY,
    distilbert::FAMILY,
    falcon::FAMILY,
    gemma::FAMILY,
    gemma2::FAMILY,
    gemma3::FAMILY,
    glm::FAMILY,
    glm4::FAMILY,
    gpt2::FAMILY,
    gpt_neo::FAMILY,
    gpt_neox::FAMILY,
    gptj::FAMILY,
    granite::FAMILY,
    llama::FAMILY,
    mistral::FAMILY,
    mpt::FAMILY,
    olmo::FAMILY,
    olmo2::FAMILY,
    opt::FAMILY,
    phi::FAMILY,
    phi3::FAMILY,
    qwen2::FAMILY,
    qwen3::FAMILY,
    roberta::FAMILY,
    smollm3::FAMILY,
    stablelm::FAMILY,
    starcoder2::FAMILY,
    xglm::FAMILY,
];

/// Fields that would change numbers in any family, and the one value that is honoured.
const EVERYWHERE: &[(&str, bool)] = &[
    ("add_cross_attention", false),
    ("is_causal", true),
    ("is_encoder_decoder", false),
    ("tie_encoder_decoder", false),
    ("use_bidirectional_attention", false),
];

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
        for (name, honoured) in EVERYWHERE {
            self.only(name, *honoured)?;
        }
        self.is_not_quantised()?;
        for name in ["per_layer_config", "pruned_heads"] {
            if let Some(object) = self.object(name)? {
                object.finish()?;
            }
        }
        let spec = (self.family()?.spec)(self)?;
        if !spec.n_heads.is_multiple_of(spec.n_kv_heads) {
            let expected = format!("a divisor of the {} query heads is", spec.n_heads);
            return Err(self.unsupported("num_key_value_heads", spec.n_kv_heads, expected));
        }
        if spec.d_head == 0 {
            let expected = format!("at least as many as the {} heads is", spec.n_heads);
            return Err(self.unsupported("hidden_size", spec.d_model, expected));
        }
        let too_wide = spec.layers.iter().find_map(|layer| match &layer.position {
            PositionEncoding::Rotary(rotary) => Some(2 * rotary.n_pairs()).filter(|n| *n > spec.d_head),
            _ => None,
        });
        if let Some(n) = too_wide {
            let expected = format!("a head wide enough for the {n} dimensions that are rotated in pairs is");
            return Err(self.unsupported("head_dim", spec.d_head, expected));
        }
        self.finish()?;
        Ok(spec)
    }

    /// Refuses weights that are packed into fewer bits, by the name of what packed them.
    fn is_not_quantised(&self) -> Result<()> {
        let name = "quantization_config";
        let Some(object) = self.object(name)?.filter(|object| !object.is_empty()) else { return Ok(()) };
        let is_of_bits = object.has("load_in_4bit") || object.has("load_in_8bit");
        let usual = match (is_of_bits, object.has("group_size")) {
            (true, _) => "bitsandbytes",
            (false, true) => "MLX",
            (false, false) => "an unnamed method",
        };
        let method = object.maybe_text("quant_method")?.unwrap_or_else(|| usual.into());
        Err(self.unsupported(
            name,
            method,
            "quantised weights are read from GGUF files alone: \
            take one of those, or the model before it was quantised",
        ))
    }

    /// Refuses weights that MLX packed: its configs are also copied to models that are not quantised.
    ///
    /// # Errors
    /// [`Error::UnsupportedConfig`] naming a packed tensor.
    pub fn is_not_packed(&self, weights: &Weights) -> Result<()> {
        let name = "quantization";
        match weights.find(|tensor| tensor.ends_with(".scales")).filter(|_| self.has(name)) {
            Some(scales) => Err(self.unsupported(
                name,
                format!("MLX's, with {scales}"),
                "weights as they were before MLX \
                packed them are, or a GGUF file of the model",
            )),
            None => Ok(()),
        }
    }
}
