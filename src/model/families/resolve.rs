//! From a config to its family and its checked spec.

use super::config::Config;
use super::family::Family;
use super::{FAMILIES, refused};
use crate::error::{Error, Result};
use crate::model::spec::{PositionEncoding, Spec};
use crate::model::weights::Weights;

/// Fields that would change numbers in any family, and the one supported value.
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
    /// [`Error::UnsupportedConfig`] with the reason for a family that is known but not supported;
    /// [`Error::UnknownFamily`] with a list of the supported ones for any other family.
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

    /// The spec that the config describes; every field that changes numbers is read or refused.
    ///
    /// # Errors
    /// [`Error::UnknownFamily`], [`Error::BadFile`] or [`Error::UnsupportedConfig`] naming the field.
    pub fn spec(&self) -> Result<Spec> {
        for (name, supported) in EVERYWHERE {
            self.only(name, *supported)?;
        }
        self.is_not_quantised()?;
        for name in ["per_layer_config", "pruned_heads"] {
            if let Some(object) = self.object(name)? {
                object.finish()?;
            }
        }
        let spec = (self.family()?.spec)(self)?;
        if !spec.n_heads.is_multiple_of(spec.n_kv_heads) {
            let expected = format!("a divisor of the {} query heads is supported", spec.n_heads);
            return Err(self.unsupported("num_key_value_heads", spec.n_kv_heads, expected));
        }
        if spec.d_head == 0 {
            let expected = format!("at least {}, the number of heads, is supported", spec.n_heads);
            return Err(self.unsupported("hidden_size", spec.d_model, expected));
        }
        let too_wide = spec.layers.iter().find_map(|layer| match &layer.position {
            PositionEncoding::Rotary(rotary) => {
                Some(rotary.n_pairs().saturating_mul(2)).filter(|n| *n > spec.d_head)
            }
            _ => None,
        });
        if let Some(n) = too_wide {
            let expected =
                format!("a head wide enough for the {n} dimensions that are rotated in pairs is supported");
            return Err(self.unsupported("head_dim", spec.d_head, expected));
        }
        self.finish()?;
        Ok(spec)
    }

    /// Refuses quantised weights, with the name of the method.
    fn is_not_quantised(&self) -> Result<()> {
        let name = "quantization_config";
        let Some(object) = self.object(name)?.filter(|object| !object.is_empty()) else { return Ok(()) };
        let is_of_bits = object.has("load_in_4bit") || object.has("load_in_8bit");
        let default = match (is_of_bits, object.has("group_size")) {
            (true, _) => "bitsandbytes",
            (false, true) => "MLX",
            (false, false) => "an unnamed method",
        };
        let method = object.maybe_text("quant_method")?.unwrap_or_else(|| default.into());
        Err(self.unsupported(
            name,
            method,
            "quantised weights are read from GGUF files only: \
             use a GGUF file of the model, or the model before quantisation",
        ))
    }

    /// Refuses weights that MLX quantised. The config alone does not decide, since MLX's configs are also copied to
    /// models that are not quantised.
    ///
    /// # Errors
    /// [`Error::UnsupportedConfig`] with the name of a quantised tensor.
    pub fn is_not_packed(&self, weights: &Weights) -> Result<()> {
        let name = "quantization";
        match weights.find(|tensor| tensor.ends_with(".scales")).filter(|_| self.has(name)) {
            Some(scales) => Err(self.unsupported(
                name,
                format!("that of MLX, with the tensor {scales}"),
                "use the model before MLX quantised it, or a GGUF file of the model",
            )),
            None => Ok(()),
        }
    }
}
