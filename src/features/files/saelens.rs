//! SAELens folders: `cfg.json` and `sae_weights.safetensors`, of version 6 and earlier.

use super::super::dictionary::{Dictionary, SparseActivation};
use super::{Tensors, place};
use crate::artefact;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::limits::LATENTS;
use crate::model::tensors_of_file;
use candle_core::Tensor;
use ndarray::Axis;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

const CONFIG: &str = "cfg.json";
const WEIGHTS: &str = "sae_weights.safetensors";
/// The files of a folder.
pub const FILES: [&str; 2] = [CONFIG, WEIGHTS];
/// The version of SAELens whose format is written.
const FORMAT: &str = "6.0.0";

/// Config fields that change the numbers, with their supported values.
const SUPPORTED: [(&str, &[&str], &str); 7] = [
    ("architecture", &["standard", "topk", "jumprelu"], "standard, topk or jumprelu"),
    ("activation_fn", &["relu", "topk"], "relu or topk"),
    ("normalize_activations", &["none", "false"], "none: fold the scale into the weights first"),
    ("reshape_activations", &["none", "hook_z"], "none or hook_z"),
    ("finetuning_scaling_factor", &["false"], "false"),
    ("hook_head_index", &["null"], "all heads together"),
    ("center_writing_weights", &["false"], "false: mappa does not centre the weights"),
];
/// Fields that had another name in earlier versions.
const EARLIER: [(&str, &str); 3] = [
    ("hook_name", "hook_point"),
    ("activation_fn", "activation_fn_str"),
    ("hook_head_index", "hook_point_head_index"),
];

/// Reads a folder.
pub(super) fn load(folder: &Path, hook_point: Option<HookPoint>) -> Result<Dictionary> {
    let config = Config::load(folder.join(CONFIG))?;
    let path = folder.join(WEIGHTS);
    let mut tensors = tensors_of_file(&path, "weights as SAELens saves them; download the file again")?;
    drop_unit_scales(&mut tensors)?;
    let kind = config.kind()?;
    let known =
        ["W_enc", "b_enc", "W_dec", "b_dec"].into_iter().chain(kind.needs_threshold().then_some("threshold"));
    if let Some(other) = tensors.keys().find(|name| !known.clone().any(|known| known == *name)) {
        let expected = format!("only {}", known.collect::<Vec<_>>().join(", "));
        return Err(Error::bad_file(&path, format!("a tensor `{other}`"), expected));
    }
    let get = |name: &str| Ok(tensors.get(name).cloned());
    let tensors = Tensors { path: &path, get: &get };
    let w_enc = tensors.matrix("W_enc", Some(config.count("d_in")?), config.maybe_count("d_sae")?)?;
    let (d_in, d_sae) = w_enc.dim();
    let dictionary = Dictionary {
        hook_point: place(&config.path, config.get("hook_name").and_then(Value::as_str), hook_point)?,
        model: config.get("model_name").and_then(Value::as_str).map(String::from),
        made_with_bos: config.get("prepend_bos").and_then(Value::as_bool),
        activation: match kind {
            Kind::Relu => SparseActivation::Relu,
            Kind::TopK(k) => SparseActivation::TopK(k),
            Kind::JumpRelu => SparseActivation::JumpRelu(tensors.vector("threshold", d_sae)?.to_vec()),
        },
        b_enc: tensors.vector("b_enc", d_sae)?,
        w_dec: tensors.matrix("W_dec", Some(d_sae), Some(d_in))?,
        b_dec: tensors.vector("b_dec", d_in)?,
        w_enc,
        subtracts_b_dec: config.flag("apply_b_dec_to_input", true)?,
    };
    Ok(match config.flag("rescale_acts_by_decoder_norm", false)? {
        true => with_norms_in_encoder(dictionary),
        false => dictionary,
    })
}

/// Drops the scales of earlier versions if all of them are 1, because they change nothing.
fn drop_unit_scales(tensors: &mut HashMap<String, Tensor>) -> Result<()> {
    if let Some(scales) = tensors.get("scaling_factor")
        && scales
            .to_dtype(candle_core::DType::F32)?
            .flatten_all()?
            .to_vec1::<f32>()?
            .iter()
            .all(|s| *s == 1.0)
    {
        tensors.remove("scaling_factor");
    }
    Ok(())
}

/// The same dictionary with directions of length 1: the lengths of the decoder's rows are moved into the encoder.
fn with_norms_in_encoder(mut dictionary: Dictionary) -> Dictionary {
    let norms = dictionary.w_dec.map_axis(Axis(1), |row| row.dot(&row).sqrt().max(1e-8)); // [d_sae]
    dictionary.w_enc *= &norms;
    dictionary.b_enc *= &norms;
    dictionary.w_dec /= &norms.insert_axis(Axis(1));
    dictionary
}

/// The activation function, without its thresholds, which lie in the weights' file.
enum Kind {
    Relu,
    TopK(usize),
    JumpRelu,
}

impl Kind {
    fn needs_threshold(&self) -> bool {
        matches!(self, Kind::JumpRelu)
    }
}

struct Config {
    path: PathBuf,
    fields: Value,
}

impl Config {
    fn load(path: PathBuf) -> Result<Config> {
        let bad =
            |found: &dyn std::fmt::Display| Error::bad_file(&path, found, "a config as SAELens saves it");
        let fields: Value = serde_json::from_str(&artefact::load_text(&path)?).map_err(|e| bad(&e))?;
        if !fields.is_object() {
            return Err(bad(&"no JSON object"));
        }
        let config = Config { path, fields };
        for (field, supported, expected) in SUPPORTED {
            let Some(value) = config.get(field) else { continue };
            let word = value.as_str().map_or_else(|| value.to_string(), String::from);
            if !supported.contains(&word.as_str()) {
                return Err(config.refuse(field, expected));
            }
        }
        Ok(config)
    }

    /// A field, at any of the places that different versions use; `None` also for null, which always means the default.
    fn get(&self, field: &str) -> Option<&Value> {
        let earlier = EARLIER.iter().find(|(now, _)| *now == field).map(|(_, earlier)| *earlier);
        let metadata = self.fields.get("metadata");
        let places = [
            Some(&self.fields),
            metadata,
            self.fields.get("model_from_pretrained_kwargs"),
            metadata.and_then(|metadata| metadata.get("model_from_pretrained_kwargs")),
        ];
        let names = std::iter::once(field).chain(earlier);
        let mut found = names.flat_map(|name| places.into_iter().flatten().map(move |at| at.get(name)));
        found.find_map(|value| value.filter(|value| !value.is_null()))
    }

    fn refuse(&self, field: &str, expected: &str) -> Error {
        Error::UnsupportedConfig {
            path: self.path.clone(),
            field: field.to_string(),
            value: self.get(field).map_or("missing".into(), Value::to_string),
            expected: expected.to_string(),
        }
    }

    fn flag(&self, field: &str, default: bool) -> Result<bool> {
        let value = self.get(field).map_or(Some(default), Value::as_bool);
        value.ok_or_else(|| self.refuse(field, "true or false"))
    }

    fn maybe_count(&self, field: &str) -> Result<Option<usize>> {
        let count = |value: &Value| LATENTS.size(value.as_u64()?);
        let wrong = || self.refuse(field, &LATENTS.to_string());
        self.get(field).map(|value| count(value).ok_or_else(wrong)).transpose()
    }

    fn count(&self, field: &str) -> Result<usize> {
        self.maybe_count(field)?.ok_or_else(|| self.refuse(field, "a whole number above 0"))
    }

    fn kind(&self) -> Result<Kind> {
        let is = |field, name: &str| self.get(field).and_then(Value::as_str) == Some(name);
        match self.get("architecture").and_then(Value::as_str) {
            Some("topk") => Ok(Kind::TopK(self.k()?)),
            Some("jumprelu") if !is("activation_fn", "topk") => Ok(Kind::JumpRelu),
            Some("jumprelu") => Err(self.refuse("activation_fn", "relu in a jumprelu dictionary")),
            _ if is("activation_fn", "topk") => Ok(Kind::TopK(self.k()?)),
            _ => Ok(Kind::Relu),
        }
    }

    fn k(&self) -> Result<usize> {
        // Versions before 6 keep k among the activation's arguments.
        match self.get("activation_fn_kwargs").and_then(|kwargs| kwargs.get("k")).and_then(Value::as_u64) {
            Some(k) if self.get("k").is_none() => Ok(k as usize),
            _ => self.count("k"),
        }
    }
}

/// Writes a folder that SAELens can also read.
pub(super) fn save(dictionary: &Dictionary, folder: &Path) -> Result<()> {
    let fault = |e: &dyn std::fmt::Display| Error::Internal(format!("writing a dictionary: {e}"));
    let threshold = match &dictionary.activation {
        SparseActivation::JumpRelu(each) => Some(each),
        _ => None,
    };
    let (d_in, d_sae) = dictionary.w_enc.dim();
    let bytes_of = |values: &mut dyn Iterator<Item = &f32>| values.flat_map(|x| x.to_le_bytes()).collect();
    let mut tensors: Vec<(&str, Vec<usize>, Vec<u8>)> = vec![
        ("W_enc", vec![d_in, d_sae], bytes_of(&mut dictionary.w_enc.iter())),
        ("b_enc", vec![d_sae], bytes_of(&mut dictionary.b_enc.iter())),
        ("W_dec", vec![d_sae, d_in], bytes_of(&mut dictionary.w_dec.iter())),
        ("b_dec", vec![d_in], bytes_of(&mut dictionary.b_dec.iter())),
    ];
    tensors.extend(threshold.map(|each| ("threshold", vec![d_sae], bytes_of(&mut each.iter()))));
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((*name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|e| fault(&e))?;
    let bytes = safetensors::serialize(views, None).map_err(|e| fault(&e))?;
    artefact::save_bytes(&folder.join(WEIGHTS), &bytes)?;
    let mut text = serde_json::to_vec_pretty(&config_of(dictionary)).map_err(|e| fault(&e))?;
    text.push(b'\n');
    artefact::save_bytes(&folder.join(CONFIG), &text)
}

fn config_of(dictionary: &Dictionary) -> Value {
    // At hook_z TransformerLens has an axis for the heads; SAELens then flattens it. Rows here are already flat.
    let reshape = if matches!(dictionary.hook_point, HookPoint::AttnZ(_)) { "hook_z" } else { "none" };
    let mut config = json!({
        "d_in": dictionary.d_in(),
        "d_sae": dictionary.d_sae(),
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": dictionary.subtracts_b_dec,
        "normalize_activations": "none",
        "reshape_activations": reshape,
        "architecture": "standard",
        "metadata": {
            "sae_lens_version": FORMAT,
            "model_name": dictionary.model,
            "prepend_bos": dictionary.made_with_bos,
            "hook_name": dictionary.hook_point.to_string(),
        },
    });
    match &dictionary.activation {
        SparseActivation::Relu => {}
        SparseActivation::TopK(k) => {
            config["architecture"] = "topk".into();
            config["k"] = (*k).into();
            config["rescale_acts_by_decoder_norm"] = false.into();
        }
        SparseActivation::JumpRelu(_) => config["architecture"] = "jumprelu".into(),
    }
    config
}
